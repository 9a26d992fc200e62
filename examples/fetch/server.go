package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// documents are what the client asks for, in this order; missing is the one that
// the server does not have.
var documents = []string{"guide", "terms", missing, "notes", "rules", "legal"}

const missing = "ghost"

// content returns the document, some 2 kB of it.
func content(document string) string {
	return strings.Repeat("This is the "+document+".\n", 100)
}

// A fault is a way to answer badly.
type fault int

const (
	healthy fault = iota
	busySeconds
	busyDate
	broken
	cut
	slow
	faults // the number of them, healthy included
)

// retryAfter is how long a busy server asks to be left alone. Retry-After knows
// whole seconds only.
const retryAfter = time.Second

// A server has all documents but the missing one, and fails at random.
type server struct {
	url      string
	seed     uint64
	failures float64
	http     *http.Server

	mu    sync.Mutex
	asked map[string]int // requests, by document
}

func newServer(seed uint64, failures float64) *server {
	return &server{seed: seed, failures: failures, asked: make(map[string]int)}
}

// serve starts a server on a free loopback port.
func serve(seed uint64, failures float64) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := newServer(seed, failures)
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: s}
	go s.http.Serve(listener) // its error is that of close
	return s, nil
}

func (s *server) close() { s.http.Close() }

// requests returns how often the server was asked for document.
func (s *server) requests(document string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[document]
}

// fault decides how an attempt fares, from 1. It keeps no state: the same seed,
// document and attempt fare alike in whatever order the requests arrive.
func (s *server) fault(document string, attempt int) fault {
	r := rand.New(source(s.seed, fmt.Sprint(document, " ", attempt)))
	if r.Float64() >= s.failures {
		return healthy
	}
	return 1 + fault(r.IntN(int(faults)-1))
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	document := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	s.asked[document]++
	s.mu.Unlock()

	// Never at random: the client is to ask once, and a 500 would be a reason
	// to ask again.
	if document == missing {
		http.Error(w, "no such document", http.StatusNotFound)
		return
	}
	body := content(document)
	previous, _ := strconv.Atoi(r.Header.Get(previousAttempts)) // without one: 0
	switch s.fault(document, previous+1) {
	case healthy:
		io.WriteString(w, body)
	case busySeconds:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		http.Error(w, "ask again in a second", http.StatusServiceUnavailable)
	case busyDate:
		// From the same reading of the clock as Date, which net/http would read
		// later, perhaps in the next second.
		now := time.Now().UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Retry-After", now.Add(retryAfter).Format(http.TimeFormat))
		http.Error(w, "ask again at a date", http.StatusServiceUnavailable)
	case broken:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // net/http's way to drop the connection
	case slow:
		<-r.Context().Done() // slower than any timeout: until the client hangs up
	}
}

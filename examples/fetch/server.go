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

// documents lists the documents that the client requests, in this order. The server does
// not have the missing one.
var documents = []string{"guide", "terms", missing, "notes", "rules", "legal"}

const missing = "ghost"

// content returns a document of about 2 kB.
func content(document string) string {
	return strings.Repeat("This is the "+document+".\n", 100)
}

// A fault is a way in which a request can fail.
type fault int

const (
	healthy fault = iota
	busySeconds
	busyDate
	broken
	cut
	slow
	faults // the number of faults, including healthy
)

// retryAfter is the delay that a busy server asks for. Retry-After can express only whole
// seconds.
const retryAfter = time.Second

// A server has all documents except the missing one, and fails at random.
type server struct {
	url      string
	seed     uint64
	failures float64
	http     *http.Server

	mu    sync.Mutex
	count map[string]int // requests, by document
}

func newServer(seed uint64, failures float64) *server {
	return &server{seed: seed, failures: failures, count: make(map[string]int)}
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
	go s.http.Serve(listener) // until close
	return s, nil
}

func (s *server) close() { s.http.Close() }

// requests returns the number of requests for document.
func (s *server) requests(document string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[document]
}

// fault returns the fault of an attempt, counted from 1. It depends only on the flags,
// the document, and the attempt, not on the order of the requests.
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
	s.count[document]++
	s.mu.Unlock()

	// The missing document never fails at random, because the client must request it only
	// once.
	if document == missing {
		http.Error(w, "no such document", http.StatusNotFound)
		return
	}
	body := content(document)
	previous, _ := strconv.Atoi(r.Header.Get(previousAttempts)) // 0 if there is no such header
	switch s.fault(document, previous+1) {
	case healthy:
		io.WriteString(w, body)
	case busySeconds:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		http.Error(w, "try again in 1s", http.StatusServiceUnavailable)
	case busyDate:
		// Date is set here because net/http would read the clock again, perhaps in
		// the next second.
		now := time.Now().UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Retry-After", now.Add(retryAfter).Format(http.TimeFormat))
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	case broken:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case cut:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		io.WriteString(w, body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // makes net/http close the connection
	case slow:
		<-r.Context().Done() // until the client closes the connection
	}
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/retry"
)

// TestServerFaults writes documents, side by side, to a real server that is
// stopped and started again in the midst of it, and that cuts connections off
// before, and in, its answers. Nothing in it waits for time to pass: the server
// comes back when the clients have retried often enough.
func TestServerFaults(t *testing.T) {
	const (
		documents = 400
		clients   = 8
		outages   = 4
	)
	goroutines := runtime.NumGoroutine()
	site := newFaultySite(t, documents, outages, 4*clients)

	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	put := retry.WrapUnary(func(ctx context.Context, id int) (string, error) {
		return putDocument(ctx, client, site, id)
	}, retry.WithClock(site), retry.WithMaxAttempts(retry.Unlimited))

	var retries atomic.Int64
	ctx := retry.Override(t.Context(), retry.WithOnRetry(func(context.Context, retry.Event) { retries.Add(1) }))
	ids := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for id := range ids {
				if answer, err := put(ctx, id); err != nil || answer != strings.Repeat(content(id), 2) {
					t.Errorf("document %d: got answer %q, %v", id, answer, err)
				}
			}
		})
	}
	for id := range documents {
		ids <- id
	}
	close(ids)
	wg.Wait()
	transport.CloseIdleConnections()
	site.mu.Lock()
	site.stop()
	site.mu.Unlock()
	site.serving.Wait()
	// The runtime and net/http take a moment to end what has been closed.
	for tries := 0; runtime.NumGoroutine() > goroutines && tries < 1000; tries++ {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after:\n%s", goroutines, n, stacks[:runtime.Stack(stacks, true)])
	}

	site.mu.Lock()
	defer site.mu.Unlock()
	if len(site.stored) != documents {
		t.Errorf("%d documents are stored, want %d", len(site.stored), documents)
	}
	for id := range documents {
		switch {
		case site.stored[id] != content(id):
			t.Errorf("document %d is stored as %q", id, site.stored[id])
		case site.writes[id] != 1:
			t.Errorf("document %d was written %d times", id, site.writes[id])
		case site.successes[id] != 1:
			t.Errorf("document %d: %d attempts succeeded, want the last only", id, site.successes[id])
		case site.attempts[id] != site.failures[id]+1:
			t.Errorf("document %d: %d attempts for %d failures", id, site.attempts[id], site.failures[id])
		}
		retries.Add(-int64(site.failures[id]))
	}
	if retries.Load() != 0 {
		t.Errorf("%d more retries than failures", retries.Load())
	}
	// The faults did happen.
	if site.outages != outages || site.refused == 0 || site.cutBefore == 0 || site.cutWithin == 0 || site.replays == 0 {
		t.Errorf("%d outages, %d refused connections, %d cut before and %d in an answer, %d documents sent again: want some of each",
			site.outages, site.refused, site.cutBefore, site.cutWithin, site.replays)
	}
}

// putDocument is an attempt. It counts for the site what it saw.
func putDocument(ctx context.Context, client *http.Client, site *faultySite, id int) (answer string, err error) {
	site.count(&site.attempts[id])
	defer func() {
		var op *net.OpError
		switch {
		case err == nil:
			site.count(&site.successes[id])
		case errors.As(err, &op) && op.Op == "dial":
			site.count(&site.refused)
			fallthrough
		default:
			site.count(&site.failures[id])
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, site.url(id), strings.NewReader(content(id)))
	if err != nil {
		return "", retry.Permanent(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", response.Status)
	}
	return string(body), nil
}

// content is long enough for an answer of it to be cut.
func content(id int) string { return strings.Repeat(fmt.Sprintf("document %d\n", id), 200) }

// A faultySite is a server with a store of documents by their id, and the Clock
// of its clients.
type faultySite struct {
	t       *testing.T
	address string
	name    string // of this run, should the address serve another one meanwhile
	serving sync.WaitGroup

	mu        sync.Mutex
	server    *http.Server // nil while it is stopped
	requests  int
	stopAt    []int // numbers of requests
	patience  int   // Sleeps until it is started again
	sleeps    int   // those since it was stopped
	stored    map[int]string
	writes    []int
	replays   int
	outages   int
	cutBefore int
	cutWithin int

	// What the clients saw, by document, and connections that were refused.
	attempts, failures, successes []int
	refused                       int
}

func newFaultySite(t *testing.T, documents, outages, patience int) *faultySite {
	s := &faultySite{
		t:         t,
		name:      fmt.Sprint(rand.Uint64()),
		patience:  patience,
		stored:    map[int]string{},
		writes:    make([]int, documents),
		attempts:  make([]int, documents),
		failures:  make([]int, documents),
		successes: make([]int, documents),
	}
	for n := range outages {
		s.stopAt = append(s.stopAt, 1+(n+1)*documents/(outages+1))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.serve(listener)
	return s
}

func (s *faultySite) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *faultySite) url(id int) string {
	return fmt.Sprintf("http://%s/%s/%d", s.address, s.name, id)
}

func (s *faultySite) serve(listener net.Listener) {
	server := &http.Server{Handler: s}
	s.server = server
	s.serving.Go(func() {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			s.t.Error(err)
		}
	})
}

// stop refuses new connections and cuts off those that there are, with s.mu held.
func (s *faultySite) stop() {
	if s.server != nil {
		_ = s.server.Close()
		s.server = nil
	}
}

// ServeHTTP stores a document and answers with it, twice over. Every fifth
// request is cut off without being heard, and every seventh in the answer.
func (s *faultySite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var id int
	if _, err := fmt.Sscanf(r.URL.Path, "/"+s.name+"/%d", &id); err != nil {
		http.Error(w, "meant for another run", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off by stop
	}
	cutWithin := s.store(id, string(body))
	w.Header().Set("Content-Length", fmt.Sprint(2*len(body)))
	_, _ = w.Write(body)
	if cutWithin {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// store makes the faults that are due, and writes a document unless it is there.
func (s *faultySite) store(id int, body string) (cutWithin bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.stopAt) > 0 && s.requests >= s.stopAt[0] {
		s.stopAt = s.stopAt[1:]
		s.outages++
		s.stop()
	}
	if s.requests%5 == 0 {
		s.cutBefore++
		panic(http.ErrAbortHandler)
	}
	if _, again := s.stored[id]; again {
		s.replays++
	} else {
		s.stored[id] = body
		s.writes[id]++
	}
	if s.requests%7 == 0 {
		s.cutWithin++
		return true
	}
	return false
}

// Now is of no use here: no time passes.
func (s *faultySite) Now() time.Time { return scenarioStart }

// Sleep returns at once. While the server is stopped it counts, and starts it
// again in the end.
func (s *faultySite) Sleep(ctx context.Context, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		s.sleeps++
	}
	if s.sleeps < s.patience {
		return ctx.Err()
	}
	s.sleeps = 0
	listener, err := net.Listen("tcp", s.address)
	for tries := 0; err != nil && tries < 3000; tries++ {
		time.Sleep(10 * time.Millisecond) // a stranger has got the port meanwhile
		listener, err = net.Listen("tcp", s.address)
	}
	if err != nil {
		return err
	}
	s.serve(listener)
	return ctx.Err()
}

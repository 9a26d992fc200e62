package retryhttp_test

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
	"example.com/retry/retryhttp"
)

var errBoom = errors.New("boom")

// quiet hides what servers log about connections that tests break.
var quiet = log.New(io.Discard, "", 0)

// noJitter makes the wait equal to the delay that the server asked for.
func noJitter(time.Duration, *rand.Rand) time.Duration { return 0 }

// attempts returns a policy of n attempts without waits.
func attempts(n int, opts ...retry.Option) retry.Option {
	return retry.Policy(append(opts, retry.WithMaxAttempts(n), retry.WithBackoff(retry.Constant(0)))...)
}

// bubble runs f in a synctest bubble.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if strings.Contains(os.Getenv("GODEBUG"), "asynctimerchan=1") {
		t.Skip("testing/synctest does not support asynctimerchan=1")
	}
	synctest.Test(t, f)
}

// A server counts its requests and its connections.
type server struct {
	*httptest.Server
	requests atomic.Int32
	opened   atomic.Int32
	open     atomic.Int32
}

// start starts a server that speaks HTTP/2 or HTTP/1.1. The handler is given the number of
// the request, from 1.
func start(t *testing.T, h2 bool, handler func(w http.ResponseWriter, r *http.Request, n int)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(w, r, int(s.requests.Add(1)))
	}))
	s.Config.ErrorLog = quiet
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// client returns a client of s that retries according to policy.
func (s *server) client(policy retry.Option) *http.Client {
	return &http.Client{Transport: s.transport(policy)}
}

func (s *server) transport(policy retry.Option) *retryhttp.Transport {
	return &retryhttp.Transport{Base: s.Client().Transport, Policy: policy}
}

// bothProtocols runs test over HTTP/1.1 and HTTP/2.
func bothProtocols(t *testing.T, test func(t *testing.T, h2 bool)) {
	t.Run("HTTP1", func(t *testing.T) { test(t, false) })
	t.Run("HTTP2", func(t *testing.T) { test(t, true) })
}

// failFirst returns a handler that answers the first n requests with 503 and the others with 200.
func failFirst(n int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, i int) {
		io.Copy(io.Discard, r.Body)
		if i <= n {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		io.WriteString(w, "response")
	}
}

// A baseFunc is a Base. It closes the body of the request, as a RoundTripper must.
type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	return f(req)
}

// response returns a response with a body.
func response(code int, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: body}
}

// A spyBody is a body that records what happens to it.
type spyBody struct {
	io.Reader
	reads, closes atomic.Int32
}

func newSpyBody(text string) *spyBody { return &spyBody{Reader: strings.NewReader(text)} }

func (b *spyBody) Read(p []byte) (int, error) {
	b.reads.Add(1)
	return b.Reader.Read(p)
}

func (b *spyBody) Close() error {
	b.closes.Add(1)
	return nil
}

// A source makes the bodies of a request and counts how many are made and closed.
type source struct {
	mu           sync.Mutex
	text         string
	made, closed int
	err          error // of GetBody
}

type sourceBody struct {
	io.Reader
	source *source
	once   sync.Once
}

func (b *sourceBody) Close() error {
	b.once.Do(func() {
		b.source.mu.Lock()
		defer b.source.mu.Unlock()
		b.source.closed++
	})
	return nil
}

func (s *source) body() io.ReadCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	// The body hides the strings.Reader, so that its length is unknown.
	return &sourceBody{Reader: struct{ io.Reader }{strings.NewReader(s.text)}, source: s}
}

func (s *source) getBody() (io.ReadCloser, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.body(), nil
}

// checkClosed waits until every body is closed, because http.Transport may close a body
// after RoundTrip returned.
func (s *source) checkClosed(t *testing.T, wantMade int) {
	t.Helper()
	made, closed := 0, 0
	eventually(t, "every body of the request is closed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		made, closed = s.made, s.closed
		return made == closed
	})
	if made != wantMade {
		t.Errorf("bodies = %d, want %d", made, wantMade)
	}
}

// newRequest returns a request with the body of s, or without one.
func newRequest(t *testing.T, method, url string, s *source) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s != nil {
		req.Body, req.GetBody = s.body(), s.getBody
	}
	return req
}

// get returns a GET request for a fake Base.
func get(ctx context.Context) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://service.example/", nil)
	if err != nil {
		panic(err)
	}
	return req
}

// readAll reads and closes the body.
func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	return string(text)
}

// checkStatus checks that the outcome is a response with the status, and closes it.
func checkStatus(t *testing.T, resp *http.Response, err error, want int) {
	t.Helper()
	if err != nil {
		t.Fatalf("error = %v, want a response %d", err, want)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("status = %d, want %d", resp.StatusCode, want)
	}
}

func checkRequests(t *testing.T, got interface{ Load() int32 }, want int32) {
	t.Helper()
	if got := got.Load(); got != want {
		t.Errorf("requests = %d, want %d", got, want)
	}
}

// eventually waits until done, which depends on another goroutine, returns true. The
// test reaches the limit only if it fails.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 2000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Fatalf("after 10s still not true: %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
}

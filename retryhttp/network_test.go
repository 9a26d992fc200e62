package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retryhttp"
	"example.com/retry/retrytest"
)

// TestBrokenConnections checks failures of real connections, and which methods are
// retried after them.
func TestBrokenConnections(t *testing.T) {
	hijack := func(w http.ResponseWriter) net.Conn {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		return conn
	}
	tests := []struct {
		name string
		fail func(http.ResponseWriter)
		want error
	}{
		{"closed", func(w http.ResponseWriter) { hijack(w).Close() }, io.EOF},
		{"reset", func(w http.ResponseWriter) {
			conn := hijack(w)
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}, syscall.ECONNRESET},
		{"cut in the header", func(w http.ResponseWriter) {
			conn := hijack(w)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
			conn.Close()
		}, io.ErrUnexpectedEOF},
		{"not HTTP", func(w http.ResponseWriter) {
			conn := hijack(w)
			io.WriteString(conn, "hello\r\n\r\n")
			conn.Close()
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) {
				if r.Header.Get("Fail") == "always" || n == 1 {
					test.fail(w)
				}
			})
			resp, err := s.client(attempts(3)).Do(newRequest(t, "PUT", s.URL, &source{text: "body"}))
			checkStatus(t, resp, err, 200)
			checkRequests(t, &s.requests, 2)

			req := newRequest(t, "POST", s.URL, nil)
			req.Header.Set("Fail", "always")
			_, err = s.transport(attempts(3)).RoundTrip(req)
			if _, ok := err.(*retry.Error); ok || err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("POST: error = %#v, want %v", err, test.want)
			}
			checkRequests(t, &s.requests, 3)

			req = newRequest(t, "GET", s.URL, nil)
			req.Header.Set("Fail", "always")
			_, err = s.transport(attempts(3)).RoundTrip(req)
			e, ok := err.(*retry.Error)
			if !ok || e.Attempts != 3 || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("GET: error = %v, want %v", err, test.want)
			}
		})
	}
	t.Run("HTTP2", func(t *testing.T) {
		s := start(t, true, func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				panic(http.ErrAbortHandler) // resets the stream
			}
		})
		resp, err := s.client(attempts(3)).Do(newRequest(t, "PUT", s.URL, &source{text: "body"}))
		checkStatus(t, resp, err, 200)
		checkRequests(t, &s.requests, 2)
	})
}

func TestServerThatIsNotThere(t *testing.T) {
	client := &http.Client{Transport: &retryhttp.Transport{Base: &http.Transport{}, Policy: attempts(3)}}
	addr := refusedAddr(t)
	_, err := client.Get("http://" + addr)
	want := fmt.Sprintf(`Get "http://%s": retry: gave up after 3 attempts: dial tcp %[1]s: connect: connection refused`, addr)
	if err == nil || err.Error() != want || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestRedirects(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		var paths []string
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			body, _ := io.ReadAll(r.Body)
			paths = append(paths, r.Method+r.URL.Path+" "+string(body))
			switch {
			case n == 1 || n == 3:
				w.WriteHeader(503)
			case r.URL.Path == "/a":
				http.Redirect(w, r, "/b", http.StatusTemporaryRedirect)
			default:
				io.WriteString(w, "response")
			}
		})
		bodies := &source{text: "order"}
		req := newRequest(t, "POST", s.URL+"/a", bodies)
		req.Header.Set("Idempotency-Key", "42")
		resp, err := s.client(attempts(2)).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "response" {
			t.Errorf("body = %q, want response", got)
		}
		if got := resp.Request.URL.Path; got != "/b" {
			t.Errorf("Response.Request.URL.Path = %q, want /b", got)
		}
		got, want := fmt.Sprint(paths), "[POST/a order POST/a order POST/b order POST/b order]"
		if got != want {
			t.Errorf("requests = %v, want %v", got, want)
		}
		bodies.checkClosed(t, 4)
	})
}

// TestSharedTransport shares one Transport between goroutines, for the race detector.
func TestSharedTransport(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		var first sync.Map
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			body, _ := io.ReadAll(r.Body)
			if _, again := first.LoadOrStore(r.URL.Path, true); !again {
				w.WriteHeader(503)
			}
			w.Write(body)
		})
		client := s.client(attempts(5))
		client.Timeout = time.Minute
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				text := strings.Repeat(fmt.Sprint(i, " "), 1000)
				req := newRequest(t, "PUT", fmt.Sprint(s.URL, "/", i), &source{text: text})
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				if got := readAll(t, resp); got != text || resp.StatusCode != 200 {
					t.Errorf("response = %d with %d bytes, want 200 with %d", resp.StatusCode, len(got), len(text))
				}
			})
		}
		wg.Wait()
		checkRequests(t, &s.requests, 100)
	})
}

// TestNothingIsLeft checks that no goroutine and no connection is left after requests that
// end in different ways.
func TestNothingIsLeft(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		before := runtime.NumGoroutine()
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			io.Copy(io.Discard, r.Body) // otherwise the server does not notice that the client left
			switch r.URL.Path {
			case "/fail":
				w.WriteHeader(503)
				io.WriteString(w, "failure")
			case "/abort":
				panic(http.ErrAbortHandler)
			case "/hang":
				<-r.Context().Done()
			case "/stall":
				if n%2 == 1 {
					w.WriteHeader(503)
				}
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
		})
		policy := attempts(2, retry.WithAttemptTimeout(50*time.Millisecond))
		client := s.client(policy)
		for _, path := range []string{"/", "/fail", "/abort", "/hang", "/stall"} {
			for range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				req := newRequest(t, "PUT", s.URL+path, &source{text: "body"}).WithContext(ctx)
				if resp, err := client.Do(req); err == nil {
					resp.Body.Close()
				}
				cancel()
			}
		}
		eventually(t, "every connection is closed", func() bool {
			client.CloseIdleConnections() // again, because net/http ends a canceled HTTP/2 stream asynchronously
			return s.open.Load() == 0
		})
		if s.opened.Load() == 0 {
			t.Error("no connection was opened")
		}
		s.Close()
		eventually(t, "every goroutine has ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// TestNestedTransports checks that the layers within a process do not multiply attempts.
func TestNestedTransports(t *testing.T) {
	var calls atomic.Int32
	var transport http.RoundTripper = baseFunc(func(*http.Request) (*http.Response, error) {
		calls.Add(1)
		return nil, errBoom
	})
	for range 3 {
		transport = &retryhttp.Transport{Base: transport, Policy: attempts(4)}
	}
	_, err := transport.RoundTrip(get(t.Context()))
	if !errors.Is(err, errBoom) || !errors.Is(err, retry.ErrNotRetryable) {
		t.Errorf("error = %v, want %v because of %v", err, errBoom, retry.ErrNotRetryable)
	}
	checkRequests(t, &calls, 4)
}

// TestOverride checks that the caller's context reaches the Transport.
func TestOverride(t *testing.T) {
	s := start(t, false, failFirst(100))
	ctx := retry.Override(t.Context(), retry.WithMaxAttempts(1))
	resp, err := s.client(attempts(5)).Do(newRequest(t, "GET", s.URL, nil).WithContext(ctx))
	checkStatus(t, resp, err, 503)
	checkRequests(t, &s.requests, 1)
}

// TestLoseReplies checks that, if replies are lost, only requests that are safe to
// repeat are sent again.
func TestLoseReplies(t *testing.T) {
	tests := []struct {
		method, key string
		want        int32
	}{
		{"GET", "", 3},
		{"POST", "42", 3},
		{"POST", "", 1},
	}
	for _, test := range tests {
		s := start(t, false, failFirst(0))
		ctx := retrytest.LoseReplies(t.Context(), 2, io.ErrUnexpectedEOF)
		req := newRequest(t, test.method, s.URL, &source{text: "body"}).WithContext(ctx)
		if test.key != "" {
			req.Header.Set("Idempotency-Key", test.key)
		}
		resp, err := s.client(attempts(5)).Do(req)
		if test.want == 3 {
			checkStatus(t, resp, err, 200)
		} else if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: error = %v, want %v", test.method, err, io.ErrUnexpectedEOF)
		}
		checkRequests(t, &s.requests, test.want)
		// A reply that was lost has been closed, and its connection is reused.
		if got := s.opened.Load(); got > 2 {
			t.Errorf("%s: connections = %d, want at most 2", test.method, got)
		}
	}
}

func TestBudget(t *testing.T) {
	s := start(t, false, failFirst(100))
	client := s.client(attempts(5, retry.WithBudget(retry.NewBudget(2, 0))))
	for _, want := range []int32{3, 4} {
		resp, err := client.Get(s.URL)
		checkStatus(t, resp, err, 503)
		checkRequests(t, &s.requests, want)
	}
}

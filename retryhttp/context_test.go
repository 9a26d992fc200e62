package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"example.com/retry"
	"example.com/retry/retryhttp"
)

// A stalledBody blocks until the context of its attempt ends.
type stalledBody struct {
	ctx context.Context
	spyBody
}

func (b *stalledBody) Read(p []byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func TestCancelBeforeAttempt(t *testing.T) {
	s := start(t, false, failFirst(0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bodies := &source{text: "body"}
	_, err := s.client(attempts(3)).Do(newRequest(t, "PUT", s.URL, bodies).WithContext(ctx))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
	checkRequests(t, &s.requests, 0)
	bodies.checkClosed(t, 1)
}

func TestCancelInAttempt(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		bothProtocols(t, func(t *testing.T, h2 bool) {
			ctx, cancel := context.WithCancelCause(t.Context())
			s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
				cancel(errBoom)
				<-r.Context().Done()
			})
			_, err := s.client(attempts(3)).Do(newRequest(t, method, s.URL, nil).WithContext(ctx))
			e, ok := errors.AsType[*retry.Error](err)
			if !ok || e.Err != errBoom || !errors.Is(e.Reason, context.Canceled) {
				t.Errorf("%s: error = %v, want %v because of %v", method, err, context.Canceled, errBoom)
			}
			checkRequests(t, &s.requests, 1)
		})
	}
}

// TestCancelForErrorOfRetry checks that the error says that the context was canceled, even
// if the cause is an error of package retry, as with errgroup.
func TestCancelForErrorOfRetry(t *testing.T) {
	cause := &retry.Error{Attempts: 1, Err: errBoom, Reason: retry.ErrNotRetryable}
	for _, method := range []string{"GET", "POST"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		transport := &retryhttp.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) {
			cancel(cause)
			return nil, errBoom
		})}
		req := get(ctx)
		req.Method = method
		_, err := transport.RoundTrip(req)
		if e, ok := err.(*retry.Error); !ok || e.Err != error(cause) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error = %v, want %v because of %v", method, err, context.Canceled, cause)
		}
	}
}

// TestCancelInWait checks that the response is closed if the wait after it has begun.
func TestCancelInWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var body *spyBody
		transport := &retryhttp.Transport{
			Base: baseFunc(func(*http.Request) (*http.Response, error) {
				body = newSpyBody("response")
				time.AfterFunc(time.Second, cancel) // long before the wait is over
				return response(503, body), nil
			}),
			Policy: retry.Policy(retry.WithBackoff(retry.Constant(30*time.Second)), retry.WithJitter(retry.NoJitter)),
		}
		begin := time.Now()
		resp, err := transport.RoundTrip(get(ctx))
		e, ok := err.(*retry.Error)
		if resp != nil || !ok || !errors.Is(e.Reason, context.Canceled) || e.Attempts != 1 {
			t.Errorf("RoundTrip() = %v, %v, want %v", resp, err, context.Canceled)
		}
		if got := time.Since(begin); got != time.Second {
			t.Errorf("RoundTrip took %v, want 1s", got)
		}
		if body.closes.Load() != 1 {
			t.Errorf("body was closed %d times, want 1", body.closes.Load())
		}
	})
}

// TestCancelBeforeWait checks that RoundTrip returns the response if the wait after it has
// not begun.
func TestCancelBeforeWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	body := newSpyBody("response")
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) { return response(503, body), nil }),
		Retry: func(*http.Response) bool {
			cancel()
			return true
		},
	}
	resp, err := transport.RoundTrip(get(ctx))
	if err != nil || resp.StatusCode != 503 || body.closes.Load() != 0 {
		t.Errorf("RoundTrip() = %v, %v, want 503 with an open body", resp, err)
	}
}

// TestCancelInBody checks that, after the caller's context is canceled, the error of the
// body is the cause of the context.
func TestCancelInBody(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Minute} {
		bothProtocols(t, func(t *testing.T, h2 bool) {
			s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
				io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			policy := attempts(3)
			if timeout != 0 {
				policy = attempts(3, retry.WithAttemptTimeout(timeout))
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			resp, err := s.client(policy).Do(newRequest(t, "GET", s.URL, nil).WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
				t.Errorf("Read() = %v before the cancellation, want nil", err)
			}
			cancel(errBoom)
			for range 2 {
				if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != errBoom {
					t.Errorf("Read() = %d, %v, want %v", n, err, errBoom)
				}
			}
		})
	}
}

// TestBodyOfEndedContext checks that what Base has received can still be read, and that
// io.EOF is not replaced.
func TestBodyOfEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	transport := &retryhttp.Transport{Base: status(200)}
	resp, err := transport.RoundTrip(get(ctx))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if got := readAll(t, resp); got != "response" {
		t.Errorf("body = %q, want response", got)
	}
}

// TestErrorOfBody checks that an error of the body is not replaced if the caller's
// context is not done.
func TestErrorOfBody(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		resp, err := s.client(attempts(3, retry.WithAttemptTimeout(time.Minute))).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if string(got) != "begin" || err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("body = %q, %v, want begin and an error of the connection", got, err)
		}
		checkRequests(t, &s.requests, 1)
	})
}

// TestAttemptTimeout checks that an attempt that times out is retried, and checks the
// error.
func TestAttemptTimeout(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			<-r.Context().Done()
		})
		_, err := s.client(attempts(2, retry.WithAttemptTimeout(20*time.Millisecond))).Get(s.URL)
		e, ok := errors.AsType[*retry.Error](err)
		if !ok || e.Err != context.DeadlineExceeded || !errors.Is(err, retry.ErrExhausted) {
			t.Errorf("error = %v, want %v because of %v", err, context.DeadlineExceeded, retry.ErrExhausted)
		}
		if !os.IsTimeout(err) || !err.(*url.Error).Timeout() {
			t.Errorf("error = %v, want a timeout", err)
		}
	})
}

// TestAttemptTimeoutOfBase checks that the error is the cause of the attempt's context,
// regardless of what Base returns, and that a response that arrives too late is closed.
func TestAttemptTimeoutOfBase(t *testing.T) {
	late := newSpyBody("response")
	for name, outcome := range map[string]struct {
		resp   *http.Response
		err    error
		closes int32
	}{
		"error":    {nil, errBoom, 0},
		"response": {response(200, late), nil, 1},
		"neither":  {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				transport := &retryhttp.Transport{
					Base: baseFunc(func(req *http.Request) (*http.Response, error) {
						<-req.Context().Done()
						if cause := context.Cause(req.Context()); cause != context.DeadlineExceeded {
							t.Errorf("cause = %v, want %v", cause, context.DeadlineExceeded)
						}
						return outcome.resp, outcome.err
					}),
					Policy: attempts(1, retry.WithAttemptTimeout(time.Second)),
					Retry: func(*http.Response) bool {
						t.Error("Retry was called with a response that arrived too late")
						return false
					},
				}
				begin := time.Now()
				resp, err := transport.RoundTrip(get(t.Context()))
				e, ok := err.(*retry.Error)
				if resp != nil || !ok || e.Err != context.DeadlineExceeded {
					t.Errorf("RoundTrip() = %v, %v, want %v", resp, err, context.DeadlineExceeded)
				}
				if got := time.Since(begin); got != time.Second {
					t.Errorf("RoundTrip took %v, want 1s", got)
				}
				if got := late.closes.Swap(0); got != outcome.closes {
					t.Errorf("late body was closed %d times, want %d", got, outcome.closes)
				}
			})
		})
	}
}

// A slowContext takes two seconds to return its Done channel if slow is set.
type slowContext struct {
	context.Context
	slow bool
}

func (c *slowContext) Done() <-chan struct{} {
	if c.slow {
		time.Sleep(2 * time.Second)
	}
	return c.Context.Done()
}

// TestAttemptTimeoutAfterBase checks that a timeout that expires as soon as Base has
// returned does not end the body.
func TestAttemptTimeoutAfterBase(t *testing.T) {
	bubble(t, func(t *testing.T) {
		caller := &slowContext{Context: t.Context()}
		var attempt context.Context
		transport := &retryhttp.Transport{
			Base: baseFunc(func(req *http.Request) (*http.Response, error) {
				attempt = req.Context()
				caller.slow = true
				return response(200, newSpyBody("response")), nil
			}),
			Policy: retry.WithAttemptTimeout(time.Second),
		}
		resp, err := transport.RoundTrip(get(caller))
		caller.slow = false
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := attempt.Err(); err != nil {
			t.Errorf("Err() = %v while the body is open, want nil", err)
		}
		resp.Body.Close()
	})
}

// TestAttemptTimeoutThenSlowBody checks that an attempt timeout does not end the body.
func TestAttemptTimeoutThenSlowBody(t *testing.T) {
	const timeout = 50 * time.Millisecond
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				<-r.Context().Done()
				return
			}
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush()
			time.Sleep(2 * timeout)
			io.WriteString(w, "end")
		})
		// On a busy machine, more attempts than the first may exceed the timeout.
		resp, err := s.client(attempts(100, retry.WithAttemptTimeout(timeout))).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "begin end" {
			t.Errorf("body = %q, want begin end", got)
		}
		if got := s.requests.Load(); got < 2 {
			t.Errorf("requests = %d, want at least 2", got)
		}
	})
}

// TestAttemptTimeoutOfPost checks the error of a request that is not safe to repeat.
func TestAttemptTimeoutOfPost(t *testing.T) {
	s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) { <-r.Context().Done() })
	_, err := s.transport(attempts(3, retry.WithAttemptTimeout(20*time.Millisecond))).RoundTrip(newRequest(t, "POST", s.URL, nil))
	if err != context.DeadlineExceeded {
		t.Errorf("error = %#v, want %v", err, context.DeadlineExceeded)
	}
}

func TestClientTimeout(t *testing.T) {
	t.Run("attempt", func(t *testing.T) {
		s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) { <-r.Context().Done() })
		client := s.client(attempts(3))
		client.Timeout = 30 * time.Millisecond
		_, err := client.Get(s.URL)
		checkTimeout(t, err)
		if got := s.requests.Load(); got > 1 { // 0 if connecting took too long
			t.Errorf("requests = %d, want 1", got)
		}
	})
	t.Run("wait", func(t *testing.T) {
		// A wait that would exceed the timeout does not begin.
		s := start(t, false, failFirst(100))
		client := s.client(retry.Policy(retry.WithBackoff(retry.Constant(24*time.Hour)), retry.WithJitter(retry.NoJitter)))
		client.Timeout = time.Hour
		resp, err := client.Get(s.URL)
		checkStatus(t, resp, err, 503)
		checkRequests(t, &s.requests, 1)
	})
	t.Run("wait after an error", func(t *testing.T) {
		client := &http.Client{
			Transport: &retryhttp.Transport{
				Base:   failure(errBoom),
				Policy: retry.Policy(retry.WithBackoff(retry.Constant(24*time.Hour)), retry.WithJitter(retry.NoJitter)),
			},
			Timeout: time.Hour,
		}
		_, err := client.Get("http://service.example/")
		checkTimeout(t, err)
		if !errors.Is(err, retry.ErrDeadline) || !errors.Is(err, errBoom) {
			t.Errorf("error = %v, want %v because of %v", err, errBoom, retry.ErrDeadline)
		}
	})
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		// Only an attempt that is faster than the timeout reaches the body.
		for timeout := 50 * time.Millisecond; ; timeout *= 2 {
			client := s.client(attempts(3, retry.WithAttemptTimeout(time.Hour)))
			client.Timeout = timeout
			resp, err := client.Get(s.URL)
			if err != nil && timeout < 10*time.Second {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			checkTimeout(t, err)
			return
		}
	})
}

func checkTimeout(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() || !os.IsTimeout(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want a timeout", err)
	}
}

// TestStalledResponse checks that a response that does not end delays the next attempt
// by 100 ms, and that the context of its attempt then ends.
func TestStalledResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var bodies []*stalledBody
		transport := &retryhttp.Transport{
			Base: baseFunc(func(req *http.Request) (*http.Response, error) {
				bodies = append(bodies, &stalledBody{ctx: req.Context()})
				return response(503, bodies[len(bodies)-1]), nil
			}),
			Policy: attempts(3),
		}
		begin := time.Now()
		resp, err := transport.RoundTrip(get(t.Context()))
		checkStatus(t, resp, err, 503)
		if got, want := time.Since(begin), 200*time.Millisecond; got != want {
			t.Errorf("RoundTrip took %v, want %v", got, want)
		}
		for i, body := range bodies {
			if body.closes.Load() != 1 || body.ctx.Err() == nil {
				t.Errorf("body %d: closed %d times, context %v, want 1 and %v", i, body.closes.Load(), body.ctx.Err(), context.Canceled)
			}
		}
	})
}

// TestStalledConnection is TestStalledResponse with real connections.
func TestStalledConnection(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 2 {
				return
			}
			w.WriteHeader(503)
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		resp, err := s.client(attempts(3)).Get(s.URL)
		checkStatus(t, resp, err, 200)
		checkRequests(t, &s.requests, 2)
	})
}

// TestEndlessResponse checks that at most 64 KiB of a response are read.
func TestEndlessResponse(t *testing.T) {
	var bodies []*endlessBody
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) {
			bodies = append(bodies, &endlessBody{})
			return response(503, bodies[len(bodies)-1]), nil
		}),
		Policy: attempts(2),
	}
	resp, err := transport.RoundTrip(get(t.Context()))
	checkStatus(t, resp, err, 503)
	if got := bodies[0].read; got != 64<<10 {
		t.Errorf("bytes read = %d, want 64 KiB", got)
	}
}

type endlessBody struct{ read int }

func (b *endlessBody) Read(p []byte) (int, error) {
	b.read += len(p)
	return len(p), nil
}

func (*endlessBody) Close() error { return nil }

// A foreignContext is a context that package context does not recognize. A goroutine waits
// for its end as long as anything derived from it is in use.
type foreignContext struct{ context.Context }

func (foreignContext) Value(any) any { return nil }

// TestContextOfAttemptEnds checks when the context of an attempt ends, and that the
// caller's context then holds no reference to the attempt.
func TestContextOfAttemptEnds(t *testing.T) {
	readToEnd := func(t *testing.T, resp *http.Response) { io.Copy(io.Discard, resp.Body) }
	closeBody := func(t *testing.T, resp *http.Response) { resp.Body.Close() }
	tests := []struct {
		name string
		base baseFunc
		end  func(*testing.T, *http.Response) // nil if RoundTrip has ended the context
	}{
		{"body read to the end", status(200), readToEnd},
		{"body closed", status(200), closeBody},
		{"body of the last response closed", status(503), closeBody},
		{"no body", func(*http.Request) (*http.Response, error) { return response(200, nil), nil }, nil},
		{"NoBody", func(*http.Request) (*http.Response, error) { return response(200, http.NoBody), nil }, nil},
		{"error", failure(errBoom), nil},
		{"neither", failure(nil), nil},
		{"both", func(*http.Request) (*http.Response, error) { return response(200, newSpyBody("")), errBoom }, nil},
		{"panic", func(*http.Request) (*http.Response, error) { panic(errBoom) }, nil},
		{"Goexit", func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil }, nil},
	}
	for _, test := range tests {
		for _, timeout := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s timeout %v", test.name, timeout), func(t *testing.T) {
				policy := attempts(2)
				if timeout {
					policy = attempts(2, retry.WithAttemptTimeout(time.Hour))
				}
				before := runtime.NumGoroutine()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				caller := foreignContext{ctx}
				var ctxs []context.Context
				var objects []weak.Pointer[[64]byte]
				transport := &retryhttp.Transport{
					Base: baseFunc(func(req *http.Request) (*http.Response, error) {
						object := new([64]byte)
						ctx := req.Context()
						// The object is reachable as long as
						// ctx is.
						context.AfterFunc(ctx, func() { runtime.KeepAlive(object) })
						objects = append(objects, weak.Make(object))
						ctxs = append(ctxs, ctx)
						if err := ctx.Err(); err != nil {
							t.Errorf("Err() = %v while Base is called, want nil", err)
						}
						return test.base(req)
					}),
					Policy: policy,
				}
				var resp *http.Response
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { recover() }()
					resp, _ = transport.RoundTrip(get(caller))
				})
				wg.Wait()
				last := ctxs[len(ctxs)-1]
				if test.end != nil {
					if err := last.Err(); err != nil {
						t.Errorf("Err() = %v while the body is open, want nil", err)
					}
					test.end(t, resp)
				}
				for i, ctx := range ctxs {
					if ctx.Err() == nil {
						t.Errorf("the context of attempt %d has not ended", i+1)
					}
				}
				resp, last, ctxs = nil, nil, nil
				eventually(t, "nothing refers to the attempts", func() bool {
					runtime.GC()
					for _, object := range objects {
						if object.Value() != nil {
							return false
						}
					}
					return true
				})
				eventually(t, "nothing waits for the end of the caller's context", func() bool {
					return runtime.NumGoroutine() <= before
				})
				runtime.KeepAlive(caller)
			})
		}
	}
}

// TestCallerEndsAttempt checks that the caller's context ends the context of an attempt
// whose body is open, even if the body is an io.Writer.
func TestCallerEndsAttempt(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{
		"body": newSpyBody("response"),
		"io.Writer": struct {
			*spyBody
			io.Writer
		}{newSpyBody(""), io.Discard},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				caller, cancel := context.WithCancelCause(t.Context())
				var attempt context.Context
				transport := &retryhttp.Transport{
					Base: baseFunc(func(req *http.Request) (*http.Response, error) {
						attempt = req.Context()
						return response(200, body), nil
					}),
					Policy: retry.WithAttemptTimeout(time.Second),
				}
				if _, err := transport.RoundTrip(get(caller)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if err := attempt.Err(); err != nil {
					t.Errorf("Err() = %v after the attempt timeout, want nil", err)
				}
				cancel(errBoom)
				synctest.Wait()
				if cause := context.Cause(attempt); cause != errBoom {
					t.Errorf("cause = %v, want %v", cause, errBoom)
				}
			})
		})
	}
}

// TestNoGoroutineIsStarted counts goroutines while a body is open. Goroutines of earlier
// tests may end meanwhile.
func TestNoGoroutineIsStarted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		before := runtime.NumGoroutine()
		transport := &retryhttp.Transport{Base: baseFunc(func(req *http.Request) (*http.Response, error) {
			_, cancel := context.WithCancel(req.Context()) // as http.Transport does
			defer cancel()
			if got := runtime.NumGoroutine(); got > before {
				t.Errorf("NumGoroutine() = %d in Base, want at most %d", got, before)
			}
			return response(503, newSpyBody("response")), nil
		}), Policy: attempts(3, retry.WithAttemptTimeout(time.Hour))}
		resp, err := transport.RoundTrip(get(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if got := runtime.NumGoroutine(); got > before {
			t.Errorf("NumGoroutine() = %d while the body is open, want at most %d", got, before)
		}
		resp.Body.Close()
	})
}

// TestPanics checks that a panic propagates and that the response is closed.
func TestPanics(t *testing.T) {
	tests := []struct {
		name   string
		policy retry.Option
		retry  func(*http.Response) bool
		base   baseFunc
	}{
		{"Base", nil, nil, func(*http.Request) (*http.Response, error) { panic(errBoom) }},
		{"Retry", nil, func(*http.Response) bool { panic(errBoom) }, nil},
		{"error map", retry.WithMapError(func(context.Context, error) error { panic(errBoom) }), nil, nil},
		{"filter", retry.WithRetryIf(func(error) bool { panic(errBoom) }), nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response503 := response(503, nil)
			body := newSpyBody("response")
			response503.Body = body
			base := test.base
			if base == nil {
				base = func(*http.Request) (*http.Response, error) { return response503, nil }
			}
			request := newSpyBody("request")
			req := get(t.Context())
			req.Body = request
			req.GetBody = func() (io.ReadCloser, error) { return request, nil }
			defer func() {
				if got := recover(); got != errBoom {
					t.Errorf("recover() = %v, want %v", got, errBoom)
				}
				if closes := request.closes.Load(); closes != 1 {
					t.Errorf("body of the request was closed %d times, want 1", closes)
				}
				if closes := body.closes.Load(); test.base == nil && closes != 1 {
					t.Errorf("body of the response was closed %d times, want 1", closes)
				}
			}()
			transport := &retryhttp.Transport{Base: base, Policy: test.policy, Retry: test.retry}
			transport.RoundTrip(req)
		})
	}
}

// TestHugeRequestBodyIsInterrupted checks a server that answers before it has read the
// body, which Base may still be sending when the next attempt begins.
func TestHugeRequestBodyIsInterrupted(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			if n < 3 {
				w.WriteHeader(503)
				return
			}
			got, err := io.Copy(io.Discard, r.Body)
			if err != nil || got != 4<<20 {
				t.Errorf("body of %d bytes, error %v, want 4 MiB", got, err)
			}
		})
		bodies := &source{text: strings.Repeat("x", 4<<20)}
		resp, err := s.client(attempts(10)).Do(newRequest(t, "PUT", s.URL, bodies))
		checkStatus(t, resp, err, 200)
		bodies.mu.Lock()
		made := bodies.made
		bodies.mu.Unlock()
		bodies.checkClosed(t, made)
	})
}

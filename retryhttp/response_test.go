package retryhttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retryhttp"
	"example.com/retry/retrytest"
)

func TestWhichStatusesAreRetried(t *testing.T) {
	tests := []struct {
		code int
		want int
	}{
		{101, 1}, {200, 1}, {204, 1}, {304, 1}, {307, 1}, {400, 1}, {401, 1}, {404, 1}, {407, 1}, {408, 2}, {409, 1},
		{423, 1}, {425, 1}, {428, 1}, {429, 2}, {430, 1}, {499, 1}, {500, 2}, {501, 1}, {502, 2}, {503, 2}, {504, 2},
		{505, 2}, {520, 2}, {529, 2}, {599, 2}, {600, 1}, {-503, 1},
	}
	for _, test := range tests {
		calls := 0
		transport := &retryhttp.Transport{
			Base: baseFunc(func(*http.Request) (*http.Response, error) {
				calls++
				return response(test.code, http.NoBody), nil
			}),
			Policy: attempts(2),
		}
		resp, err := transport.RoundTrip(get(t.Context()))
		checkStatus(t, resp, err, test.code)
		if calls != test.want {
			t.Errorf("status %d: attempts = %d, want %d", test.code, calls, test.want)
		}
	}
}

// TestRetry checks that Retry is called once for every response.
func TestRetry(t *testing.T) {
	s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Number", fmt.Sprint(n))
		w.WriteHeader(409 - n)
	})
	req := newRequest(t, "GET", s.URL, nil)
	var seen []string
	transport := s.transport(attempts(5))
	transport.Retry = func(resp *http.Response) bool {
		if resp.Request != req {
			t.Errorf("Response.Request = %p, want the caller's %p", resp.Request, req)
		}
		seen = append(seen, resp.Header.Get("Number")+" "+resp.Status)
		return resp.StatusCode != 406
	}
	resp, err := transport.RoundTrip(req)
	checkStatus(t, resp, err, 406)
	want := []string{"1 408 Request Timeout", "2 407 Proxy Authentication Required", "3 406 Not Acceptable"}
	if !slices.Equal(seen, want) {
		t.Errorf("responses = %q, want %q", seen, want)
	}
	if resp.Request != req {
		t.Errorf("Response.Request = %p, want the caller's %p", resp.Request, req)
	}
}

// TestStatusErrorIsWhatPolicySees checks what hooks, predicates, and error maps
// receive.
func TestStatusErrorIsWhatPolicySees(t *testing.T) {
	s := start(t, false, failFirst(2))
	var seen []string
	see := func(who string, err error) {
		if e, ok := errors.AsType[*retryhttp.StatusError](err); ok {
			seen = append(seen, fmt.Sprintf("%s %d %v", who, e.Response.StatusCode, e))
		}
	}
	budget := retry.NewBudget(10, 0)
	resp, err := s.client(attempts(5,
		retry.WithBudget(budget),
		retry.WithMapError(func(_ context.Context, err error) error { see("map", err); return err }),
		retry.WithRetryIf(func(err error) bool { see("filter", err); return true }),
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { see("retry", ev.Err) }),
		retry.WithOnDone(func(_ context.Context, ev retry.Event) { see("done", ev.Err) }),
	)).Do(newRequest(t, "GET", s.URL, nil))
	checkStatus(t, resp, err, 200)
	const text = " 503 503 Service Unavailable"
	want := []string{"map" + text, "filter" + text, "retry" + text, "map" + text, "filter" + text, "retry" + text, "done" + text}
	if !slices.Equal(seen, want) {
		t.Errorf("seen = %q, want %q", seen, want)
	}
	if got := budget.Tokens(); got != 9 { // the retry that succeeded cost nothing
		t.Errorf("Tokens() = %v, want 9", got)
	}
}

func TestStatusErrorText(t *testing.T) {
	tests := []struct {
		status string
		code   int
		want   string
	}{
		{"503 Service Unavailable", 503, "503 Service Unavailable"},
		{"503 Try Later", 503, "503 Try Later"},
		{"529 ", 529, "529"}, // as net/http returns it over HTTP/2
		{"", 503, "503 Service Unavailable"},
		{"", 529, "529"},
	}
	for _, test := range tests {
		resp := response(test.code, nil)
		resp.Status = test.status
		resp.Request = get(t.Context())
		resp.Request.URL.User = url.UserPassword("user", "secret")
		if got := (&retryhttp.StatusError{Response: resp}).Error(); got != test.want {
			t.Errorf("Error() = %q, want %q", got, test.want)
		}
	}
}

func TestStatusErrorRetryAfter(t *testing.T) {
	date := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	format := func(d time.Duration) string { return date.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"none", nil, 0},
		{"seconds", http.Header{"Retry-After": {"120"}}, 2 * time.Minute},
		{"seconds and date", http.Header{"Retry-After": {"120"}, "Date": {format(0)}}, 2 * time.Minute},
		{"the first of two", http.Header{"Retry-After": {"1", "2"}}, time.Second},
		{"invalid", http.Header{"Retry-After": {"soon"}}, 0},
		{"invalid before valid", http.Header{"Retry-After": {"soon", "2"}}, 0},
		{"date", http.Header{"Retry-After": {format(time.Minute)}, "Date": {format(0)}}, time.Minute},
		{"date that has passed", http.Header{"Retry-After": {format(-time.Minute)}, "Date": {format(0)}}, 0},
		{"date that has passed without Date", http.Header{"Retry-After": {format(time.Minute)}}, 0},
		{"date that has passed with invalid Date", http.Header{"Retry-After": {format(time.Minute)}, "Date": {"today"}}, 0},
	}
	for _, test := range tests {
		resp := response(404, nil)
		resp.Header = test.header
		if got := (&retryhttp.StatusError{Response: resp}).RetryAfter(); got != test.want {
			t.Errorf("%s: RetryAfter() = %v, want %v", test.name, got, test.want)
		}
	}
	for name, invalid := range map[string][]string{"no": nil, "an invalid": {"today"}} {
		resp := response(503, nil)
		resp.Header = http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}, "Date": invalid}
		got := (&retryhttp.StatusError{Response: resp}).RetryAfter()
		if got <= 50*time.Minute || got > time.Hour {
			t.Errorf("RetryAfter() with %s Date = %v, want about an hour", name, got)
		}
	}
}

func TestRetryAfterOfServer(t *testing.T) {
	date := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, value := range map[string]string{
		"seconds": "30",
		"date":    date.Add(30 * time.Second).Format(http.TimeFormat),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) {
				if n == 1 {
					w.Header().Set("Date", date.Format(http.TimeFormat))
					w.Header().Set("Retry-After", value)
					w.WriteHeader(429)
				}
			})
			var clock retrytest.Clock
			resp, err := s.client(attempts(5, retry.WithClock(&clock), retry.WithJitter(noJitter))).Get(s.URL)
			checkStatus(t, resp, err, 200)
			if want := []time.Duration{30 * time.Second}; !slices.Equal(clock.Waits(), want) {
				t.Errorf("waits = %v, want %v", clock.Waits(), want)
			}
		})
	}
}

// TestLastResponse checks that the caller gets the last response, regardless of the
// reason for stopping, with a body that arrives after RoundTrip has returned.
func TestLastResponse(t *testing.T) {
	wrap := func(_ context.Context, err error) error { return fmt.Errorf("wrapped: %w", err) }
	hour, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	tests := []struct {
		name   string
		ctx    context.Context
		policy retry.Option
		after  string
		want   int32
	}{
		{"ErrExhausted", t.Context(), nil, "", 3},
		{"one attempt", t.Context(), retry.WithMaxAttempts(1), "", 1},
		{"filter", t.Context(), retry.WithRetryIf(retry.Is(errBoom)), "", 1},
		{"budget", t.Context(), retry.WithBudget(new(retry.Budget)), "", 1},
		{"ErrRetryAfter", t.Context(), nil, "61", 1},
		{"ErrDeadline", hour, retry.WithMaxRetryAfter(24 * time.Hour), "7200", 1},
		{"ErrMaxElapsed", t.Context(), retry.WithMaxElapsed(time.Second), "30", 1},
		{"error map that wraps", t.Context(), retry.WithMapError(wrap), "", 3},
		{"Permanent", t.Context(), retry.WithMapError(func(_ context.Context, err error) error { return retry.Permanent(err) }), "", 1},
		{"error map that returns nil", t.Context(), retry.WithMapError(func(context.Context, error) error { return nil }), "", 1},
	}
	const size = 1 << 20
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bothProtocols(t, func(t *testing.T, h2 bool) {
				var returned sync.WaitGroup
				returned.Add(1)
				s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
					if test.after != "" {
						w.Header().Set("Retry-After", test.after)
					}
					w.WriteHeader(503)
					w.(http.Flusher).Flush()
					if int32(n) < test.want {
						return
					}
					returned.Wait()
					io.WriteString(w, strings.Repeat("x", size))
				})
				policy := retry.Policy(attempts(3), test.policy)
				req := newRequest(t, "GET", s.URL, nil).WithContext(test.ctx)
				resp, err := s.transport(policy).RoundTrip(req)
				returned.Done()
				if err != nil {
					t.Fatalf("RoundTrip() = %v, want a response", err)
				}
				if resp.StatusCode != 503 {
					t.Errorf("status = %d, want 503", resp.StatusCode)
				}
				checkRequests(t, &s.requests, test.want)
				if body := readAll(t, resp); len(body) != size {
					t.Errorf("body of %d bytes, want %d", len(body), size)
				}
			})
		})
	}
}

// TestLastResponseIsUntouched checks that the body of the last response is not read.
func TestLastResponseIsUntouched(t *testing.T) {
	var bodies []*spyBody
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) {
			bodies = append(bodies, newSpyBody("response"))
			return response(503, bodies[len(bodies)-1]), nil
		}),
		Policy: attempts(3),
	}
	resp, err := transport.RoundTrip(get(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range bodies {
		reads, closes := body.reads.Load(), body.closes.Load()
		if last := i == 2; last && (reads != 0 || closes != 0) || !last && (reads == 0 || closes != 1) {
			t.Errorf("body %d: read %d times, closed %d times; want the last one untouched and the others read and closed once", i, reads, closes)
		}
	}
	if got := readAll(t, resp); got != "response" {
		t.Errorf("body = %q, want response", got)
	}
	if closes := bodies[2].closes.Load(); closes != 1 {
		t.Errorf("last body was closed %d times, want 1", closes)
	}
}

// TestResponseThatIsNotReturned checks that a response is closed if RoundTrip returns
// an error, and checks the error.
func TestResponseThatIsNotReturned(t *testing.T) {
	other := func(_ context.Context, err error) error { return errBoom }
	permanent := func(_ context.Context, err error) error { return retry.Permanent(errBoom) }
	another := func(_ context.Context, err error) error {
		return &retryhttp.StatusError{Response: response(500, nil)}
	}
	tests := []struct {
		name   string
		method string
		code   int
		policy retry.Option
		want   string
	}{
		{"failure mapped to another error", "GET", 503, retry.WithMapError(other), "retry: gave up after 2 attempts: boom"},
		{"success mapped to an error", "GET", 200, retry.WithMapError(other), "retry: gave up after 2 attempts: boom"},
		{"success mapped to Permanent", "GET", 200, retry.WithMapError(permanent), "retry: gave up after 1 attempt (not retryable): boom"},
		{"success of POST mapped to Permanent", "POST", 200, retry.WithMapError(permanent), "retry: gave up after 1 attempt (not retryable): boom"},
		{"failure of POST mapped to Permanent", "POST", 503, retry.WithMapError(permanent), "boom"},
		{"another StatusError", "GET", 503, retry.WithMapError(another), "retry: gave up after 2 attempts: 500 Internal Server Error"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var bodies []*spyBody
			transport := &retryhttp.Transport{
				Base: baseFunc(func(*http.Request) (*http.Response, error) {
					bodies = append(bodies, newSpyBody("response"))
					return response(test.code, bodies[len(bodies)-1]), nil
				}),
				Policy: attempts(2, test.policy),
			}
			req := get(t.Context())
			req.Method = test.method
			resp, err := transport.RoundTrip(req)
			if resp != nil || err == nil || err.Error() != test.want {
				t.Errorf("RoundTrip() = %v, %v, want %s", resp, err, test.want)
			}
			for i, body := range bodies {
				if closes := body.closes.Load(); closes != 1 {
					t.Errorf("body %d was closed %d times, want 1", i, closes)
				}
			}
			if last := bodies[len(bodies)-1]; last.reads.Load() != 0 {
				t.Error("the last body was read")
			}
		})
	}
}

// TestErrorMapReplacesBody checks that the Transport closes the body that Base returned.
func TestErrorMapReplacesBody(t *testing.T) {
	var bodies []*spyBody
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) {
			bodies = append(bodies, newSpyBody("response"))
			return response(503, bodies[len(bodies)-1]), nil
		}),
		Policy: attempts(2, retry.WithMapError(func(_ context.Context, err error) error {
			e, _ := errors.AsType[*retryhttp.StatusError](err)
			e.Response.Body = newSpyBody("replaced")
			return err
		})),
	}
	resp, err := transport.RoundTrip(get(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "replaced" {
		t.Errorf("body = %q, want replaced", got)
	}
	if closes := bodies[0].closes.Load(); closes != 1 {
		t.Errorf("first body was closed %d times, want 1", closes)
	}
}

func TestErrorMapReturnsNil(t *testing.T) {
	transport := &retryhttp.Transport{
		Base:   failure(errBoom),
		Policy: retry.WithMapError(func(context.Context, error) error { return nil }),
	}
	if resp, err := transport.RoundTrip(get(t.Context())); resp != nil || err != nil {
		t.Errorf("RoundTrip() = %v, %v, want nil, nil", resp, err)
	}
}

// TestConnectionsAreReused counts the connections of many retries.
func TestConnectionsAreReused(t *testing.T) {
	tests := []struct {
		name     string
		body     int
		min, max int32
	}{
		{"no body", 0, 1, 1},
		// On a busy machine, reading a response may take longer than the limit.
		{"small body", 1000, 1, 3},
		{"body of 60 KiB", 60 << 10, 1, 3},
		{"body of 1 MiB", 1 << 20, 5, 5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) {
				w.WriteHeader(503)
				io.WriteString(w, strings.Repeat("x", test.body))
			})
			resp, err := s.client(attempts(5)).Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, resp); len(got) != test.body {
				t.Errorf("body of %d bytes, want %d", len(got), test.body)
			}
			checkRequests(t, &s.requests, 5)
			if got := s.opened.Load(); got < test.min || got > test.max {
				t.Errorf("connections = %d, want %d to %d", got, test.min, test.max)
			}
		})
	}
}

func TestNoBody(t *testing.T) {
	writer := struct {
		io.ReadWriter
		io.Closer
	}{bufio.NewReadWriter(nil, nil), io.NopCloser(nil)}
	tests := []struct {
		name       string
		body, want io.ReadCloser
	}{
		{"nil", nil, http.NoBody},
		{"NoBody", http.NoBody, http.NoBody},
		{"io.Writer", writer, writer},
	}
	for _, test := range tests {
		transport := &retryhttp.Transport{Base: baseFunc(func(*http.Request) (*http.Response, error) {
			return response(200, test.body), nil
		})}
		resp, err := transport.RoundTrip(get(t.Context()))
		if err != nil || resp.Body != test.want {
			t.Errorf("%s: RoundTrip() = %v, %v, want the body %v", test.name, resp, err, test.want)
		}
	}
}

func TestHead(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			w.Header().Set("Content-Length", "1000000")
			if n == 1 {
				w.WriteHeader(503)
			}
		})
		resp, err := s.client(attempts(3)).Head(s.URL)
		checkStatus(t, resp, err, 200)
		if resp.ContentLength != 1000000 {
			t.Errorf("ContentLength = %d, want 1000000", resp.ContentLength)
		}
		checkRequests(t, &s.requests, 2)
		if got := s.opened.Load(); got != 1 {
			t.Errorf("connections = %d, want 1", got)
		}
	})
}

func TestTrailers(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
			io.Copy(io.Discard, r.Body)
			if n == 1 {
				w.WriteHeader(503)
				return
			}
			w.Header().Set("Trailer", "Got")
			io.WriteString(w, "response")
			w.Header().Set("Got", r.Trailer.Get("Checksum"))
		})
		req := newRequest(t, "PUT", s.URL, nil)
		req.Trailer = http.Header{"Checksum": nil}
		sent := 0
		req.GetBody = func() (io.ReadCloser, error) {
			sent++
			number := fmt.Sprint(sent)
			return io.NopCloser(&atEOF{strings.NewReader("body"), func() { req.Trailer.Set("Checksum", number) }}), nil
		}
		req.Body, _ = req.GetBody()
		resp, err := s.client(attempts(3)).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Trailer.Get("Got") != "" {
			t.Errorf("Trailer = %v before the end of the body, want no value", resp.Trailer)
		}
		if got := readAll(t, resp); got != "response" {
			t.Errorf("body = %q, want response", got)
		}
		if got := resp.Trailer.Get("Got"); got != "2" {
			t.Errorf("Trailer = %v, want the checksum of attempt 2", resp.Trailer)
		}
	})
}

// An atEOF is a reader that calls f when it returns io.EOF.
type atEOF struct {
	io.Reader
	f func()
}

func (r *atEOF) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.f()
	}
	return n, err
}

// TestSwitchingProtocols checks that the body of a 101 response can be written to.
func TestSwitchingProtocols(t *testing.T) {
	s := start(t, false, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			w.WriteHeader(503)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(101)
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, err := buf.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		io.WriteString(conn, "echo "+line)
	})
	req := newRequest(t, "GET", s.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := s.client(attempts(3, retry.WithAttemptTimeout(time.Minute))).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode != 101 || !ok {
		t.Fatalf("response = %v, want 101 with a body that is an io.Writer", resp)
	}
	io.WriteString(conn, "hello\n")
	if got, err := io.ReadAll(conn); string(got) != "echo hello\n" || err != nil {
		t.Errorf("body = %q, %v, want echo hello", got, err)
	}
}

// TestWriterThatIsNotReturned checks that a connection is closed without being read.
func TestWriterThatIsNotReturned(t *testing.T) {
	type conn struct {
		*spyBody
		io.Writer
	}
	var conns []conn
	var ctxs []context.Context
	transport := &retryhttp.Transport{
		Base: baseFunc(func(req *http.Request) (*http.Response, error) {
			ctxs = append(ctxs, req.Context())
			conns = append(conns, conn{newSpyBody("response"), io.Discard})
			return response(101, conns[len(conns)-1]), nil
		}),
		Policy: attempts(2),
		Retry:  func(*http.Response) bool { return len(conns) == 1 },
	}
	resp, err := transport.RoundTrip(get(t.Context()))
	if err != nil || resp.Body != io.ReadCloser(conns[1]) {
		t.Fatalf("RoundTrip() = %v, %v, want the second response", resp, err)
	}
	if first := conns[0]; first.closes.Load() != 1 || first.reads.Load() != 0 {
		t.Errorf("first body: read %d times, closed %d times, want 0 and 1", first.reads.Load(), first.closes.Load())
	}
	if ctxs[0].Err() == nil || ctxs[1].Err() != nil {
		t.Errorf("contexts = %v, %v, want only the first to have ended", ctxs[0].Err(), ctxs[1].Err())
	}
}

// TestBaseReturnsBothOrNeither checks a Base that breaks the contract of RoundTripper.
func TestBaseReturnsBothOrNeither(t *testing.T) {
	body := newSpyBody("response")
	calls := 0
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) {
			if calls++; calls == 1 {
				return response(200, body), errBoom
			}
			return response(200, nil), errBoom
		}),
		Policy: attempts(2),
		Retry: func(*http.Response) bool {
			t.Error("Retry was called with a response that came with an error")
			return false
		},
	}
	if resp, err := transport.RoundTrip(get(t.Context())); resp != nil || !errors.Is(err, errBoom) {
		t.Errorf("RoundTrip() = %v, %v, want %v", resp, err, errBoom)
	}
	if body.closes.Load() != 1 {
		t.Errorf("body was closed %d times, want 1", body.closes.Load())
	}
	transport.Base = failure(nil)
	if resp, err := transport.RoundTrip(get(t.Context())); resp != nil || err != nil {
		t.Errorf("RoundTrip() = %v, %v, want nil, nil", resp, err)
	}
}

// idleCloser counts the calls to CloseIdleConnections.
type idleCloser struct {
	http.RoundTripper
	calls int
}

func (c *idleCloser) CloseIdleConnections() { c.calls++ }

func TestCloseIdleConnections(t *testing.T) {
	base := &idleCloser{RoundTripper: status(503)}
	client := &http.Client{Transport: &retryhttp.Transport{Base: base, Policy: attempts(3)}}
	resp, err := client.Get("http://service.example/")
	checkStatus(t, resp, err, 503)
	if base.calls != 0 {
		t.Errorf("CloseIdleConnections() was called %d times by retries, want 0", base.calls)
	}
	client.CloseIdleConnections()
	if base.calls != 1 {
		t.Errorf("CloseIdleConnections() was called %d times, want 1", base.calls)
	}
	(&retryhttp.Transport{Base: status(200)}).CloseIdleConnections() // without the method
	(&retryhttp.Transport{}).CloseIdleConnections()
}

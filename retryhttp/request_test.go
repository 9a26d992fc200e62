package retryhttp_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retryhttp"
)

func TestZeroTransport(t *testing.T) {
	s := start(t, false, failFirst(1))
	clock := retry.WithBackoff(retry.Constant(0))
	ctx := retry.Override(t.Context(), clock)
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &retryhttp.Transport{}
	resp, err := transport.RoundTrip(req)
	checkStatus(t, resp, err, 200)
	checkRequests(t, &s.requests, 2)
}

func TestBodyIsSentAgain(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	openFile := func() (io.ReadCloser, error) { return os.Open(file) }
	unknown := &source{text: text}

	tests := []struct {
		name    string
		body    func() io.Reader              // if http.NewRequest sets GetBody
		getBody func() (io.ReadCloser, error) // if it does not
		length  int64
	}{
		{name: "strings.Reader", body: func() io.Reader { return strings.NewReader(text) }, length: int64(len(text))},
		{name: "bytes.Reader", body: func() io.Reader { return bytes.NewReader([]byte(text)) }, length: int64(len(text))},
		{name: "bytes.Buffer", body: func() io.Reader { return bytes.NewBufferString(text) }, length: int64(len(text))},
		{name: "file", getBody: openFile, length: int64(len(text))},
		{name: "unknown length", getBody: unknown.getBody, length: -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bothProtocols(t, func(t *testing.T, h2 bool) {
				s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
					got, err := io.ReadAll(r.Body)
					if err != nil || string(got) != text {
						t.Errorf("attempt %d: body of %d bytes, error %v, want %d bytes", n, len(got), err, len(text))
					}
					if r.ContentLength != test.length {
						t.Errorf("attempt %d: ContentLength = %d, want %d", n, r.ContentLength, test.length)
					}
					if n < 3 {
						w.WriteHeader(503)
					}
				})
				var req *http.Request
				if test.body != nil {
					req, _ = http.NewRequestWithContext(t.Context(), "PUT", s.URL, test.body())
				} else {
					req = newRequest(t, "PUT", s.URL, nil)
					req.Body, _ = test.getBody()
					req.GetBody, req.ContentLength = test.getBody, test.length
				}
				resp, err := s.client(attempts(5)).Do(req)
				checkStatus(t, resp, err, 200)
				checkRequests(t, &s.requests, 3)
			})
		})
	}
	unknown.checkClosed(t, 6)
}

func TestBodyIsNotRewound(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		s := start(t, h2, failFirst(1))
		bodies := &source{text: "once"}
		req := newRequest(t, "PUT", s.URL, bodies)
		req.GetBody = nil
		resp, err := s.client(attempts(5)).Do(req)
		checkStatus(t, resp, err, 503)
		checkRequests(t, &s.requests, 1)
		bodies.checkClosed(t, 1)
	})
}

func TestEmptyBodyStaysAsItIs(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"nil": nil, "NoBody": http.NoBody} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			transport := &retryhttp.Transport{
				Base: baseFunc(func(req *http.Request) (*http.Response, error) {
					calls++
					if req.Body != body {
						t.Errorf("Body = %v, want %v", req.Body, body)
					}
					return nil, errBoom
				}),
				Policy: attempts(3),
			}
			req := get(t.Context())
			req.Body = body
			if _, err := transport.RoundTrip(req); !errors.Is(err, retry.ErrExhausted) {
				t.Errorf("error = %v, want %v", err, retry.ErrExhausted)
			}
			if calls != 3 {
				t.Errorf("calls = %d, want 3", calls)
			}
		})
	}
}

func TestGetBodyFails(t *testing.T) {
	s := start(t, false, failFirst(1))
	bodies := &source{text: "body", err: errBoom}
	var last []*http.Response
	transport := s.transport(attempts(5))
	transport.Retry = func(resp *http.Response) bool {
		last = append(last, resp)
		return true
	}
	_, err := transport.RoundTrip(newRequest(t, "PUT", s.URL, bodies))
	if !errors.Is(err, errBoom) || !errors.Is(err, retry.ErrNotRetryable) {
		t.Errorf("error = %v, want %v because of %v", err, errBoom, retry.ErrNotRetryable)
	}
	checkRequests(t, &s.requests, 1)
	bodies.checkClosed(t, 1)
	if len(last) != 1 {
		t.Fatalf("responses = %d, want 1", len(last))
	}
	if _, err := last[0].Body.Read(make([]byte, 1)); err == nil {
		t.Error("the response of the first attempt is open")
	}
}

// TestBodyIsClosedWithoutAttempt checks that the Transport closes the body if Base cannot.
func TestBodyIsClosedWithoutAttempt(t *testing.T) {
	canceled, cancel := context.WithCancelCause(context.Background())
	cancel(errBoom)
	tests := []struct {
		name   string
		ctx    context.Context
		policy retry.Option
		want   error
		text   string
	}{
		{"done context", canceled, nil, errBoom, "retry: gave up before the first attempt (context canceled: boom)"},
		{"invalid option", t.Context(), retry.WithMaxAttempts(0), retry.ErrInvalid, "retry: invalid option: WithMaxAttempts(0): must be at least 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			transport := &retryhttp.Transport{
				Base: baseFunc(func(*http.Request) (*http.Response, error) {
					t.Error("Base was called")
					return nil, nil
				}),
				Policy: test.policy,
			}
			body := newSpyBody("body")
			req := get(test.ctx)
			req.Body = body
			resp, err := transport.RoundTrip(req)
			if resp != nil || !errors.Is(err, test.want) || err.Error() != test.text {
				t.Errorf("RoundTrip() = %v, %v, want %v", resp, err, test.text)
			}
			if body.closes.Load() != 1 {
				t.Errorf("body was closed %d times, want 1", body.closes.Load())
			}
			// A request without a body must get the same error.
			if _, err := transport.RoundTrip(get(test.ctx)); !errors.Is(err, test.want) {
				t.Errorf("error = %v, want %v", err, test.want)
			}
		})
	}
}

func TestRequestIsNotModified(t *testing.T) {
	ctx := t.Context()
	req := get(ctx)
	req.Header.Set("Name", "value")
	req.Trailer = http.Header{"Checksum": nil}
	before, header := *req, req.Header.Clone()
	var headers []http.Header
	transport := &retryhttp.Transport{
		Base: baseFunc(func(r *http.Request) (*http.Response, error) {
			if r == req {
				t.Error("Base was given the caller's request")
			}
			if !maps.EqualFunc(r.Header, header, slices.Equal) {
				t.Errorf("Header = %v, want %v", r.Header, header)
			}
			r.Header["Name"][0] = "changed"
			r.Header.Set("Authorization", "secret")
			headers = append(headers, r.Header)
			r.Trailer.Set("Checksum", "42") // Base reads the body, which sets the trailer
			if r.URL != req.URL || r.Host != req.Host {
				t.Errorf("URL = %v, Host = %q, want the URL and the Host of the request", r.URL, r.Host)
			}
			return nil, errBoom
		}),
		Policy: attempts(3),
	}
	if _, err := transport.RoundTrip(req); !errors.Is(err, errBoom) {
		t.Errorf("error = %v, want %v", err, errBoom)
	}
	if len(headers) != 3 {
		t.Errorf("attempts = %d, want 3", len(headers))
	}
	if !maps.EqualFunc(req.Header, header, slices.Equal) {
		t.Errorf("Header = %v, want %v", req.Header, header)
	}
	if got := req.Trailer.Get("Checksum"); got != "42" {
		t.Errorf("Trailer = %v, want the one that Base changed", req.Trailer)
	}
	before.Header, before.Trailer = req.Header, req.Trailer
	if !reflect.DeepEqual(*req, before) {
		t.Errorf("request = %v, want %v", *req, before)
	}
}

// TestContextOfAttempt checks the values and the deadline that Base can read.
func TestContextOfAttempt(t *testing.T) {
	var previous []int
	var traced int
	trace := &httptrace.ClientTrace{GetConn: func(string) { traced++ }}
	transport := &retryhttp.Transport{
		Base: baseFunc(func(req *http.Request) (*http.Response, error) {
			ctx := req.Context()
			previous = append(previous, retry.PreviousAttempts(ctx))
			httptrace.ContextClientTrace(ctx).GetConn("")
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Hour || time.Until(deadline) < 50*time.Minute {
				t.Errorf("Deadline() = %v, %v, want one in an hour", deadline, ok)
			}
			return nil, errBoom
		}),
		Policy: attempts(3, retry.WithAttemptTimeout(time.Hour)),
	}
	transport.RoundTrip(get(httptrace.WithClientTrace(t.Context(), trace)))
	if want := []int{0, 1, 2}; !slices.Equal(previous, want) {
		t.Errorf("PreviousAttempts() = %v, want %v", previous, want)
	}
	if traced != 3 {
		t.Errorf("traces = %d, want 3", traced)
	}
}

func TestWhichRequestsAreRepeated(t *testing.T) {
	key := func(name string, values ...string) http.Header { return http.Header{name: values} }
	tests := []struct {
		method string
		header http.Header
		want   int32
	}{
		{"", nil, 3},
		{"GET", nil, 3},
		{"HEAD", nil, 3},
		{"OPTIONS", nil, 3},
		{"TRACE", nil, 3},
		{"PUT", nil, 3},
		{"DELETE", nil, 3},
		{"POST", nil, 1},
		{"PATCH", nil, 1},
		{"CONNECT", nil, 1},
		{"PROPFIND", nil, 1},
		{"get", nil, 1},
		{"POST", key("Idempotency-Key", "42"), 3},
		{"POST", key("X-Idempotency-Key", "42"), 3},
		{"POST", key("Idempotency-Key"), 3},
		{"POST", key("X-Idempotency-Key"), 3},
		{"PATCH", key("Idempotency-Key", "42"), 3},
		{"POST", key("idempotency-key", "42"), 1}, // net/http does not find it either
		{"POST", key("Idempotency", "42"), 1},
	}
	failures := map[string]baseFunc{
		"error":    func(*http.Request) (*http.Response, error) { return nil, errBoom },
		"response": func(*http.Request) (*http.Response, error) { return response(503, http.NoBody), nil },
	}
	for failure, base := range failures {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s/%q %v", failure, test.method, test.header), func(t *testing.T) {
				var calls atomic.Int32
				transport := &retryhttp.Transport{
					Base: baseFunc(func(req *http.Request) (*http.Response, error) {
						calls.Add(1)
						return base(req)
					}),
					Policy: attempts(3),
				}
				req := get(t.Context())
				req.Method = test.method
				if test.header != nil {
					req.Header = test.header
				}
				resp, err := transport.RoundTrip(req)
				if (resp != nil) != (failure == "response") {
					t.Errorf("RoundTrip() = %v, %v, want the %s of the attempt", resp, err, failure)
				}
				checkRequests(t, &calls, test.want)
			})
		}
	}
}

// TestPost checks what a server receives for a POST without a key, with a key, and with
// the empty slice.
func TestPost(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		set    bool
		status int
		want   []string // the header that the server got, for each request
	}{
		{"no key", nil, false, 503, []string{""}},
		{"key", []string{"42"}, true, 200, []string{"42", "42"}},
		{"empty slice", []string{}, true, 200, []string{"", ""}},
		{"nil slice", nil, true, 200, []string{"", ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bothProtocols(t, func(t *testing.T, h2 bool) {
				var got []string
				s := start(t, h2, func(w http.ResponseWriter, r *http.Request, n int) {
					if values := r.Header["Idempotency-Key"]; len(values) != 0 {
						got = append(got, values...)
					} else {
						got = append(got, "")
					}
					failFirst(1)(w, r, n)
				})
				bodies := &source{text: "order"}
				req := newRequest(t, "POST", s.URL, bodies)
				if test.set {
					req.Header["Idempotency-Key"] = test.values
				}
				resp, err := s.client(attempts(3)).Do(req)
				checkStatus(t, resp, err, test.status)
				if !slices.Equal(got, test.want) {
					t.Errorf("keys = %q, want %q", got, test.want)
				}
				bodies.checkClosed(t, len(test.want))
			})
		})
	}
}

// TestPostOfRefusedConnection checks that a POST without a key is repeated if no part
// of it was sent.
func TestPostOfRefusedConnection(t *testing.T) {
	s := start(t, false, failFirst(0))
	bodies := &source{text: "order"}
	var ops []string
	calls := 0
	base := s.Client().Transport.(*http.Transport).Clone()
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if calls++; calls <= 2 {
			addr = refusedAddr(t)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	defer base.CloseIdleConnections()
	transport := &retryhttp.Transport{Base: base, Policy: attempts(5, retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
		e, _ := errors.AsType[*net.OpError](ev.Err)
		ops = append(ops, e.Op)
	}))}
	resp, err := transport.RoundTrip(newRequest(t, "POST", s.URL, bodies))
	checkStatus(t, resp, err, 200)
	checkRequests(t, &s.requests, 1)
	if want := []string{"dial", "dial"}; !slices.Equal(ops, want) {
		t.Errorf("failed operations = %q, want %q", ops, want)
	}
	bodies.checkClosed(t, 3)
}

func TestPostOfRefusedProxy(t *testing.T) {
	proxy, err := url.Parse("http://" + refusedAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	base := &http.Transport{Proxy: http.ProxyURL(proxy)}
	var op string
	retries := 0
	transport := &retryhttp.Transport{Base: base, Policy: attempts(3, retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
		e, _ := errors.AsType[*net.OpError](ev.Err)
		op = e.Op
		retries++
	}))}
	_, err = transport.RoundTrip(newRequest(t, "POST", "http://service.example/", &source{text: "order"}))
	if !errors.Is(err, retry.ErrExhausted) || op != "proxyconnect" || retries != 2 {
		t.Errorf("error = %v after %d retries of %q, want 2 of proxyconnect", err, retries, op)
	}
}

// TestPostOfBrokenConnection checks that a POST without a key is not repeated if it may
// have reached the server, and that RoundTrip returns the error of Base.
func TestPostOfBrokenConnection(t *testing.T) {
	for _, op := range []string{"read", "write", "remote error"} {
		broken := &net.OpError{Op: op, Net: "tcp", Err: errBoom}
		calls := 0
		transport := &retryhttp.Transport{
			Base: baseFunc(func(*http.Request) (*http.Response, error) {
				calls++
				return nil, broken
			}),
			Policy: attempts(3),
		}
		req := get(t.Context())
		req.Method = "POST"
		if _, err := transport.RoundTrip(req); err != error(broken) || calls != 1 {
			t.Errorf("error = %#v after %d attempts, want %#v after 1", err, calls, broken)
		}
	}
}

// TestNothingOverrulesSafety checks that neither options nor error maps make a
// Transport repeat a request that is not safe to repeat.
func TestNothingOverrulesSafety(t *testing.T) {
	dropMark := retry.WithMapError(func(_ context.Context, err error) error {
		if err == nil {
			return nil
		}
		return errors.New(err.Error())
	})
	failAll := retry.WithMapError(func(context.Context, error) error { return errBoom })
	tests := []struct {
		name     string
		method   string
		base     baseFunc
		policy   retry.Option
		override retry.Option
		want     string
	}{
		{"filter", "POST", status(503), retry.WithRetryIf(always), nil, ""},
		{"override", "POST", status(503), nil, retry.WithRetryIf(always), ""},
		{"error map of a response", "POST", status(503), dropMark, nil, "503 Service Unavailable"},
		{"error map of an error", "POST", failure(errBoom), dropMark, nil, "boom"},
		{"error map of a success", "POST", status(200), failAll, nil, "boom"},
		{"error map of an override", "POST", status(503), nil, dropMark, "503 Service Unavailable"},
		{"error map of a malformed request", "GET", failure(errors.New("net/http: invalid method")), dropMark, nil, "net/http: invalid method"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			transport := &retryhttp.Transport{
				Base: baseFunc(func(req *http.Request) (*http.Response, error) {
					calls++
					return test.base(req)
				}),
				Policy: attempts(5, test.policy),
			}
			req := get(retry.Override(t.Context(), test.override))
			req.Method = test.method
			resp, err := transport.RoundTrip(req)
			if calls != 1 {
				t.Errorf("requests = %d, want 1", calls)
			}
			if test.want == "" {
				checkStatus(t, resp, err, 503)
				return
			}
			e, ok := err.(*retry.Error)
			if !ok || resp != nil {
				t.Fatalf("RoundTrip() = %v, %v, want a *retry.Error", resp, err)
			}
			// Each error map of the test removes the Permanent marker after
			// every attempt.
			if e.Attempts != 5 || e.Err.Error() != test.want {
				t.Errorf("error = %v, want 5 attempts that end with %s", e, test.want)
			}
		})
	}
}

func TestDroppedMarkIsSetAgain(t *testing.T) {
	calls, dropped := 0, false
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, errBoom
		}),
		Policy: attempts(5, retry.WithMapError(func(_ context.Context, err error) error {
			if dropped {
				return err
			}
			dropped = true
			return errors.New("unmarked")
		})),
	}
	req := get(t.Context())
	req.Method = "POST"
	_, err := transport.RoundTrip(req)
	if want := "retry: gave up after 2 attempts (not retryable): unmarked"; err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if calls != 1 {
		t.Errorf("requests = %d, want 1", calls)
	}
}

func TestNeverRetried(t *testing.T) {
	unverified := start(t, true, failFirst(0))
	plain := start(t, false, failFirst(0))
	https := strings.Replace(plain.URL, "http:", "https:", 1)
	tests := []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"unknown authority", func(r *http.Request) { r.URL = parse(t, unverified.URL) }, "x509: certificate signed by unknown authority"},
		{"server without TLS", func(r *http.Request) { r.URL = parse(t, https) }, "server gave HTTP response to HTTPS client"},
		{"scheme", func(r *http.Request) { r.URL.Scheme = "gopher" }, "unsupported protocol scheme"},
		{"header", func(r *http.Request) { r.Header.Set("Name", "line\nbreak") }, "net/http: invalid header"},
		{"trailer", func(r *http.Request) { r.Trailer = http.Header{"bad name": nil} }, "net/http: invalid trailer"},
		{"method", func(r *http.Request) {
			r.Method = "BAD METHOD"
			r.Header["Idempotency-Key"] = nil
		}, "net/http: invalid method"},
		{"host", func(r *http.Request) { r.URL.Host = "" }, "http: no Host in request URL"},
		{"URL", func(r *http.Request) { r.URL = nil }, "http: nil Request.URL"},
		{"nil header", func(r *http.Request) { r.Header = nil }, "http: nil Request.Header"},
	}
	for _, test := range tests {
		for _, wrapped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s wrapped %v", test.name, wrapped), func(t *testing.T) {
				calls := 0
				base := &http.Transport{ForceAttemptHTTP2: true}
				defer base.CloseIdleConnections()
				transport := &retryhttp.Transport{
					Base: baseFunc(func(req *http.Request) (*http.Response, error) {
						calls++
						resp, err := base.RoundTrip(req)
						if wrapped && err != nil {
							err = fmt.Errorf("base: %w", err)
						}
						return resp, err
					}),
					Policy: attempts(3),
				}
				req := get(t.Context())
				test.change(req)
				resp, err := transport.RoundTrip(req)
				if err == nil {
					resp.Body.Close()
					t.Fatalf("RoundTrip() = %v, want an error", resp)
				}
				if _, ok := err.(*retry.Error); ok {
					t.Errorf("error = %T, want the error of Base", err)
				}
				if calls != 1 {
					t.Errorf("attempts = %d, want 1", calls)
				}
			})
		}
	}
	for _, test := range tests[:2] {
		t.Run(test.name+" of a client", func(t *testing.T) {
			req := get(t.Context())
			test.change(req)
			client := &http.Client{Transport: &retryhttp.Transport{Base: &http.Transport{}, Policy: attempts(3)}}
			_, err := client.Do(req)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %s", err, test.want)
			}
		})
	}
	checkRequests(t, &unverified.requests, 0)
}

// TestErrorsOfNetHTTP checks that the error of the first attempt is the error that a client
// without a Transport returns.
func TestErrorsOfNetHTTP(t *testing.T) {
	plain := start(t, false, failFirst(0))
	secure := start(t, true, failFirst(0))
	client := &http.Client{Transport: &retryhttp.Transport{Base: &http.Transport{}, Policy: attempts(3)}}
	_, err := client.Get(strings.Replace(plain.URL, "http:", "https:", 1))
	if !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("error = %v, want %v", err, http.ErrSchemeMismatch)
	}
	_, err = client.Get(secure.URL)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("error = %v, want an x509.UnknownAuthorityError", err)
	}
	if _, ok := errors.AsType[*retry.Error](err); ok {
		t.Errorf("error = %v, want no *retry.Error in it", err)
	}
}

// TestTextOfStatus checks that only errors of Base are searched for the texts of
// http.Transport.
func TestTextOfStatus(t *testing.T) {
	calls := 0
	transport := &retryhttp.Transport{
		Base: baseFunc(func(*http.Request) (*http.Response, error) {
			calls++
			resp := response(503, nil)
			resp.Status = "net/http: invalid status"
			return resp, nil
		}),
		Policy: attempts(3),
	}
	resp, err := transport.RoundTrip(get(t.Context()))
	checkStatus(t, resp, err, 503)
	if calls != 3 {
		t.Errorf("attempts = %d, want 3", calls)
	}
}

func TestOtherErrorsAreRetried(t *testing.T) {
	for _, err := range []error{
		io.ErrUnexpectedEOF,
		context.DeadlineExceeded,
		context.Canceled,
		&net.DNSError{Err: "no such host", IsNotFound: true},
		errors.New("http: server gave up: unsupported protocol scheme"),
	} {
		calls := 0
		transport := &retryhttp.Transport{
			Base: baseFunc(func(*http.Request) (*http.Response, error) {
				calls++
				return nil, err
			}),
			Policy: attempts(3),
		}
		_, got := transport.RoundTrip(get(t.Context()))
		e, ok := got.(*retry.Error)
		if !ok || e.Err != err || e.Attempts != 3 || calls != 3 {
			t.Errorf("error = %v after %d attempts, want %v after 3", got, calls, err)
		}
	}
}

func always(error) bool { return true }

func status(code int) baseFunc {
	return func(*http.Request) (*http.Response, error) { return response(code, newSpyBody("response")), nil }
}

func failure(err error) baseFunc {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// refusedAddr returns a loopback address on which nothing listens.
func refusedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

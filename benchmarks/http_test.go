package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// httpClients lists the ways of sending a request that are measured.
var httpClients = []httpClient{bareClient, loopClient, retryableClient, retryableStandardClient, failsafeClient}

// An httpClient is a library that retries requests, with pauses of zero.
type httpClient struct {
	lib, form string
	noRetry   bool
	prepare   func(base http.RoundTripper) send
}

// A send sends a request. If body is nil, the request has none.
type send func(ctx context.Context, method, url string, body []byte) (*http.Response, error)

const (
	httpAttempts = 4 // no client's default
	httpURL      = "http://service.test/"
)

var (
	download = bytes.Repeat([]byte("d"), 1<<10)
	upload   = bytes.Repeat([]byte("u"), 64<<10)
)

// A service is an http.RoundTripper that answers without a network, so that a benchmark
// measures only what a client adds. It answers with 503 as many times as failures says,
// and then with 200.
type service struct {
	failures, calls int
	received        bytes.Buffer // the body of the last request, if keep is set
	keep            bool
}

func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	s.calls++
	if req.Body != nil {
		s.received.Reset()
		var w io.Writer = io.Discard
		if s.keep {
			w = &s.received
		}
		if _, err := io.Copy(w, req.Body); err != nil {
			return nil, err
		}
		req.Body.Close()
	}
	code, status := http.StatusOK, "200 OK"
	if s.calls <= s.failures {
		code, status = http.StatusServiceUnavailable, "503 Service Unavailable"
	}
	return &http.Response{
		StatusCode: code, Status: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{},
		Body:          io.NopCloser(bytes.NewReader(download)),
		ContentLength: int64(len(download)),
		Request:       req,
	}, nil
}

func BenchmarkHTTPFirst(b *testing.B)  { inMemory(b, http.MethodGet, nil, 0) }
func BenchmarkHTTP503(b *testing.B)    { inMemory(b, http.MethodGet, nil, 1) }
func BenchmarkHTTPUpload(b *testing.B) { inMemory(b, http.MethodPut, upload, 0) }

// BenchmarkHTTPServer measures a request that succeeds at once, with a server on the
// loopback interface. The figures include the work of the server.
func BenchmarkHTTPServer(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(download) }))
	defer server.Close()
	for _, c := range httpClients {
		b.Run("lib="+c.lib+"/form="+c.form, func(b *testing.B) {
			b.ReportAllocs()
			do := c.prepare(server.Client().Transport)
			for b.Loop() {
				if err := exchange(b.Context(), do, http.MethodGet, server.URL, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// inMemory measures a request that gets as many 503 answers as failures says, and then
// succeeds.
func inMemory(b *testing.B, method string, body []byte, failures int) {
	for _, c := range httpClients {
		if c.noRetry && failures > 0 {
			continue
		}
		b.Run("lib="+c.lib+"/form="+c.form, func(b *testing.B) {
			b.ReportAllocs()
			s := &service{failures: failures}
			do := c.prepare(s)
			for b.Loop() {
				s.calls = 0
				if err := exchange(b.Context(), do, method, httpURL, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// exchange sends a request and reads the response to its end.
func exchange(ctx context.Context, do send, method, url string, body []byte) error {
	resp, err := do(ctx, method, url, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK || n != int64(len(download)) || err != nil {
		return fmt.Errorf("%s, %d bytes, %v", resp.Status, n, err)
	}
	return nil
}

// TestHTTPClients checks that every client repeats a request, with its whole body, if the
// answer is 503, and stops after the configured number of attempts.
func TestHTTPClients(t *testing.T) {
	for _, c := range httpClients {
		t.Run(c.lib+"/"+c.form, func(t *testing.T) {
			for _, failures := range []int{0, httpAttempts - 1, httpAttempts} {
				if c.noRetry && failures > 0 {
					continue
				}
				s := &service{failures: failures, keep: true}
				err := exchange(t.Context(), c.prepare(s), http.MethodPut, httpURL, upload)
				if gaveUp := failures == httpAttempts; (err != nil) != gaveUp {
					t.Errorf("%d failures: %v, want an error: %v", failures, err, gaveUp)
				}
				if want := min(failures+1, httpAttempts); s.calls != want {
					t.Errorf("%d failures: %d requests, want %d", failures, s.calls, want)
				}
				if !bytes.Equal(s.received.Bytes(), upload) {
					t.Errorf("%d failures: the last request had %d bytes, want the upload", failures, s.received.Len())
				}
			}
		})
	}
}

// bareClient does not retry.
var bareClient = httpClient{
	lib: "http", form: "Client", noRetry: true,
	prepare: func(base http.RoundTripper) send { return sendWith(&http.Client{Transport: base}) },
}

// sendWith returns a send that uses client.
func sendWith(client *http.Client) send {
	return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
		req, err := newRequest(ctx, method, url, body)
		if err != nil {
			return nil, err
		}
		return client.Do(req)
	}
}

func newRequest(ctx context.Context, method, url string, body []byte) (*http.Request, error) {
	if body == nil {
		return http.NewRequestWithContext(ctx, method, url, nil)
	}
	return http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
}

// loopClient is a handwritten loop around the client. It makes a new request for each
// attempt, and reads the response of a failed attempt, so that the connection is reused.
var loopClient = httpClient{
	lib: "floor", form: "loop",
	prepare: func(base http.RoundTripper) send {
		client := &http.Client{Transport: base}
		return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
			for n := 1; ; n++ {
				req, err := newRequest(ctx, method, url, body)
				if err != nil {
					return nil, err
				}
				resp, err := client.Do(req)
				failed := err != nil || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
				if !failed || n == httpAttempts {
					return resp, err
				}
				if err == nil {
					io.CopyN(io.Discard, resp.Body, 64<<10)
					resp.Body.Close()
				}
				timer := time.NewTimer(0)
				select {
				case <-timer.C:
				case <-ctx.Done():
					timer.Stop()
					return nil, ctx.Err()
				}
			}
		}
	},
}

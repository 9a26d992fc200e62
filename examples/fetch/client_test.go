package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// fetchGuide fetches the guide from s, and also returns what was logged.
func fetchGuide(t *testing.T, ctx context.Context, s *server) (result, string) {
	t.Helper()
	var log bytes.Buffer
	c := newClient(s.url, s.seed, retry.NewBudget(budgetCapacity, 0.1), newLogger(&log))
	defer c.close()
	return c.fetch(ctx, "guide"), log.String()
}

// guideMeets returns a seed for which the first attempt for the guide fails with f
// and the second succeeds.
func guideMeets(t *testing.T, f fault) string {
	t.Helper()
	return seedWhere(t, 0.5, func(s *server) bool { return slices.Equal(s.fate("guide"), []fault{f, healthy}) })
}

func TestFetchAfterFault(t *testing.T) {
	for _, tc := range []struct {
		fault    fault
		err      string
		min, max time.Duration // of the wait
	}{
		{busySeconds, "503: try again in 1s", retryAfter, retryAfter * 3 / 2},
		{busyDate, "503: try again later", retryAfter, retryAfter * 3 / 2},
		{broken, "500: out of order", 0, maxBackoff},
		{cut, "unexpected EOF after 950 bytes", 0, maxBackoff},
	} {
		t.Run(tc.err, func(t *testing.T) {
			s := startServer(t, guideMeets(t, tc.fault), 0.5)
			var clock retrytest.Clock
			r, log := fetchGuide(t, unhurried(&clock), s)
			if r.err != nil || string(r.body) != content("guide") {
				t.Errorf("fetch() = %q, %v, want the guide", r.body, r.err)
			}
			if r.attempts != 2 || s.requests("guide") != 2 {
				t.Errorf("%d attempts, %d requests, want 2 of each", r.attempts, s.requests("guide"))
			}
			if waits := clock.Waits(); len(waits) != 1 || waits[0] != r.waited {
				t.Errorf("waits = %v, want the reported %v", waits, r.waited)
			}
			if r.waited < tc.min || r.waited > tc.max {
				t.Errorf("waited %v, want %v to %v", r.waited, tc.min, tc.max)
			}
			want := fmt.Sprintf("doc=guide attempt=1 err=%q wait=%v\n", tc.err, readable(r.waited))
			if log != want {
				t.Errorf("log = %q, want %q", log, want)
			}
		})
	}
}

// This test waits for the attempt timeout in real time. On a slow machine, the second
// attempt may also time out.
func TestFetchAfterTimeout(t *testing.T) {
	t.Parallel()
	s := startServer(t, guideMeets(t, slow), 0.5)
	// If nothing ends the attempt, the test fails after a minute.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var failed []error
	ctx = retry.Override(ctx, retry.WithClock(new(retrytest.Clock)), retry.WithMaxAttempts(2),
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { failed = append(failed, ev.Err) }))
	r, _ := fetchGuide(t, ctx, s)
	if r.attempts != 2 {
		t.Errorf("%d attempts, want 2", r.attempts)
	}
	if len(failed) != 1 || !errors.Is(failed[0], context.DeadlineExceeded) {
		t.Errorf("retried errors = %v, want one DeadlineExceeded", failed)
	}
}

func TestFetchMissing(t *testing.T) {
	s := startServer(t, "1", 1)
	c := newClient(s.url, 1, retry.NewBudget(budgetCapacity, 0.1), newLogger(io.Discard))
	defer c.close()
	r := c.fetch(unhurried(new(retrytest.Clock)), missing)
	if !errors.Is(r.err, retry.ErrNotRetryable) {
		t.Errorf("error %v, want ErrNotRetryable", r.err)
	}
	if r.attempts != 1 || s.requests(missing) != 1 {
		t.Errorf("%d attempts, %d requests, want 1 of each", r.attempts, s.requests(missing))
	}
}

func TestFetchNoServer(t *testing.T) {
	s := newServer(1, 0)
	s.url = "http://127.0.0.1:0" // nothing can listen there
	r, _ := fetchGuide(t, unhurried(new(retrytest.Clock)), s)
	if !errors.Is(r.err, retry.ErrExhausted) || r.attempts != maxAttempts {
		t.Errorf("%d attempts, error %v, want %d and ErrExhausted", r.attempts, r.err, maxAttempts)
	}
	if !strings.HasPrefix(outcome(r), "attempts exhausted: dial tcp ") {
		t.Errorf("outcome() = %q, want attempts exhausted: dial tcp ...", outcome(r))
	}
}

// The server stops, its port is free for several attempts, and it starts again.
func TestFetchOutage(t *testing.T) {
	s := startServer(t, "1", 0)
	c := newClient(s.url, 1, retry.NewBudget(budgetCapacity, 0.1), newLogger(io.Discard))
	defer c.close()
	if r := c.fetch(unhurried(new(retrytest.Clock)), "guide"); r.err != nil {
		t.Fatal(r.err)
	}
	s.close() // also closes the client's idle connection

	address := strings.TrimPrefix(s.url, "http://")
	refused := 0
	ctx := retry.Override(unhurried(new(retrytest.Clock)), retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
		if e, ok := errors.AsType[*net.OpError](ev.Err); ok && e.Op == "dial" {
			refused++
		}
		if ev.Attempt < 3 {
			return
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Skip("another process took the port: ", err)
		}
		s.http = &http.Server{Handler: s}
		go s.http.Serve(listener)
	}))
	r := c.fetch(ctx, "terms")
	if r.err != nil || string(r.body) != content("terms") {
		t.Errorf("fetch() = %q, %v, want the terms", r.body, r.err)
	}
	if r.attempts != 4 || refused != 3 || s.requests("terms") != 1 {
		t.Errorf("%d attempts, %d refused connections, %d requests, want 4, 3, 1", r.attempts, refused, s.requests("terms"))
	}
}

func TestFailure(t *testing.T) {
	const date = "Mon, 01 Jan 2001 10:00:00 GMT"
	inAnHour := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, tc := range []struct {
		name             string
		status           int
		date, retryAfter string
		reason           error // of a call with one attempt
		min, max         time.Duration
	}{
		{"seconds", 503, date, "3", retry.ErrExhausted, 3 * time.Second, 3 * time.Second},
		{"date by the server's clock", 503, date, "Mon, 01 Jan 2001 10:00:02 GMT", retry.ErrExhausted, 2 * time.Second, 2 * time.Second},
		{"date in the past", 503, date, "Mon, 01 Jan 2001 09:59:59 GMT", retry.ErrExhausted, 0, 0},
		{"date by the client's clock", 503, "", inAnHour, retry.ErrExhausted, 50 * time.Minute, time.Hour},
		{"nonsense", 503, date, "soon", retry.ErrExhausted, 0, 0},
		{"none", 500, date, "", retry.ErrExhausted, 0, 0},
		{"client error", 404, date, "3", retry.ErrNotRetryable, 0, 0},
		{"last client error", 499, date, "", retry.ErrNotRetryable, 0, 0},
		{"neither client nor server error", 304, date, "", retry.ErrExhausted, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := retry.Do(context.Background(), func(context.Context) error {
				return failure(&http.Response{
					StatusCode: tc.status,
					Header:     http.Header{"Date": {tc.date}, "Retry-After": {tc.retryAfter}},
					Body:       http.NoBody,
				})
			}, retry.WithMaxAttempts(1))
			e, ok := errors.AsType[*retry.Error](err)
			if !ok || !errors.Is(e.Reason, tc.reason) {
				t.Fatalf("Do() = %v, want the reason %v", err, tc.reason)
			}
			if d := e.RetryAfter(); d < tc.min || d > tc.max {
				t.Errorf("RetryAfter() = %v, want %v to %v", d, tc.min, tc.max)
			}
		})
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

// fetchGuide fetches the guide from s, and returns what was logged, too.
func fetchGuide(t *testing.T, ctx context.Context, s *server) (result, string) {
	t.Helper()
	var log bytes.Buffer
	c := newClient(s.url, s.seed, retry.NewBudget(budgetCapacity, 0.1), newLogger(&log))
	defer c.close()
	return c.fetch(ctx, "guide"), log.String()
}

// guideMeets returns a seed with which the first attempt for the guide meets f
// and the second one succeeds.
func guideMeets(t *testing.T, f fault) string {
	t.Helper()
	return seedWhere(t, 0.5, func(s *server) bool { return slices.Equal(s.fate("guide"), []fault{f, healthy}) })
}

func TestFetchAfterFault(t *testing.T) {
	for _, tc := range []struct {
		fault    fault
		pushback time.Duration
		err      string
	}{
		{busySeconds, retryAfter, "503 Service Unavailable: ask again in a second"},
		{busyDate, retryAfter, "503 Service Unavailable: ask again at a date"},
		{broken, 0, "500 Internal Server Error: out of order"},
		{cut, 0, "cut after 950 of 1900 bytes: unexpected EOF"},
	} {
		s := startServer(t, guideMeets(t, tc.fault), 0.5)
		clock := newFakeClock()
		r, log := fetchGuide(t, unhurried(clock), s)
		if r.err != nil {
			t.Errorf("%s: %v", tc.err, r.err)
		}
		if string(r.body) != content("guide") {
			t.Errorf("%s: the body is not that of the guide: %q", tc.err, r.body)
		}
		if r.attempts != 2 || s.requests("guide") != 2 {
			t.Errorf("%s: %d attempts, %d requests, want 2", tc.err, r.attempts, s.requests("guide"))
		}
		if len(clock.slept) != 1 || clock.slept[0] != r.waited {
			t.Errorf("%s: slept %v, reported %v", tc.err, clock.slept, r.waited)
		}
		if r.waited < tc.pushback || r.waited > tc.pushback+maxBackoff {
			t.Errorf("%s: waited %v, want %v and a backoff of at most %v", tc.err, r.waited, tc.pushback, maxBackoff)
		}
		want := `msg=retrying doc=guide attempt=1 err="` + tc.err + `" wait=` + readable(r.waited).String() + "\n"
		if log != want {
			t.Errorf("logged %q, want %q", log, want)
		}
	}
}

// The one test in which the client's own attempt timeout runs out. Whether the
// second answer comes in time is up to the machine, and not asked.
func TestFetchAfterSlowAnswer(t *testing.T) {
	t.Parallel()
	s := startServer(t, guideMeets(t, slow), 0.5)
	// If nothing ends the attempt, the test is to fail in the end.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var failed []error
	ctx = retry.Override(ctx, retry.WithClock(newFakeClock()), retry.WithMaxAttempts(2),
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { failed = append(failed, ev.Err) }))
	r, _ := fetchGuide(t, ctx, s)
	if r.attempts != 2 {
		t.Errorf("%d attempts, want 2", r.attempts)
	}
	if len(failed) != 1 || !errors.Is(failed[0], context.DeadlineExceeded) {
		t.Errorf("the attempts before the last failed with %v, want a deadline exceeded", failed)
	}
}

func TestFetchMissing(t *testing.T) {
	s := startServer(t, "1", 1)
	c := newClient(s.url, 1, retry.NewBudget(budgetCapacity, 0.1), newLogger(io.Discard))
	defer c.close()
	r := c.fetch(unhurried(newFakeClock()), missing)
	if !errors.Is(r.err, retry.ErrNotRetryable) {
		t.Errorf("error %v, want ErrNotRetryable", r.err)
	}
	if r.attempts != 1 || s.requests(missing) != 1 {
		t.Errorf("%d attempts, %d requests, want 1", r.attempts, s.requests(missing))
	}
}

func TestFetchNoServer(t *testing.T) {
	s := newServer(1, 0)
	s.url = "http://127.0.0.1:0" // where nobody can listen
	r, _ := fetchGuide(t, unhurried(newFakeClock()), s)
	if !errors.Is(r.err, retry.ErrExhausted) || r.attempts != maxAttempts {
		t.Errorf("%d attempts, error %v, want %d and ErrExhausted", r.attempts, r.err, maxAttempts)
	}
	if !strings.HasPrefix(outcome(r), "attempts exhausted: no answer: dial tcp ") {
		t.Errorf("outcome %q", outcome(r))
	}
}

func TestFailure(t *testing.T) {
	const date = "Mon, 01 Jan 2001 10:00:00 GMT"
	for _, tc := range []struct {
		name             string
		status           int
		date, retryAfter string
		attempts         int
		min, max         time.Duration
	}{
		{"seconds", 503, date, "3", 2, 3 * time.Second, 3 * time.Second},
		{"date, by the server's clock", 503, date, "Mon, 01 Jan 2001 10:00:02 GMT", 2, 2 * time.Second, 2 * time.Second},
		{"date in the past", 503, date, "Mon, 01 Jan 2001 09:59:59 GMT", 2, 0, 0},
		{"date, without the server's clock", 503, "", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 2, 50 * time.Minute, time.Hour},
		{"nonsense", 503, date, "soon", 2, 0, 0},
		{"none", 500, date, "", 2, 0, 0},
		{"client error", 404, date, "3", 1, 0, 0},
		{"last client error", 499, date, "", 1, 0, 0},
		{"neither kind of error", 304, date, "", 2, 0, 0},
	} {
		clock := newFakeClock()
		attempts := 0
		retry.Do(context.Background(), func(context.Context) error {
			attempts++
			return failure(&http.Response{
				StatusCode: tc.status,
				Header:     http.Header{"Date": {tc.date}, "Retry-After": {tc.retryAfter}},
				Body:       http.NoBody,
			})
		}, retry.WithClock(clock), retry.WithBackoff(retry.Constant(0)), retry.WithMaxAttempts(2))
		if attempts != tc.attempts {
			t.Errorf("%s: %d attempts, want %d", tc.name, attempts, tc.attempts)
		}
		for _, d := range clock.slept {
			if d < tc.min || d > tc.max {
				t.Errorf("%s: waited %v, want %v to %v", tc.name, d, tc.min, tc.max)
			}
		}
	}
}

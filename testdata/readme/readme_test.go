package readme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
)

// These tests run the snippets of README.md that have a name, such as oneLayer, and check
// what the text says about them.

// run calls snippet in a bubble, where fn is what the snippet retries. It returns the
// number of calls of fn, the time of the call, and its error.
func run(t *testing.T, snippet, fn func(context.Context) error) (n int, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		counted := func(ctx context.Context) error { n++; return fn(ctx) }
		send, session, placeOrder, db = counted, counted, counted, database{counted}
		start := time.Now()
		err = snippet(t.Context())
		took = time.Since(start)
	})
	return n, took, err
}

func fail(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func TestQuickStart(t *testing.T) {
	n, took, err := run(t, quickStart, fail(errRefused))
	if n != 5 || took > 3750*time.Millisecond || fmt.Sprint(err) != "retry: gave up after 5 attempts: connection refused" {
		t.Errorf("quickStart() = %v after %d attempts and %v, want %v after 5 and at most 3.75s", err, n, took, retry.ErrExhausted)
	}
	if n, _, err := run(t, quickStart, fail(nil)); n != 1 || err != nil || results[0] != (User{"ada"}) {
		t.Errorf("quickStart() = %v after %d attempts, loaded %v, want nil after 1, and ada", err, n, results)
	}
}

func TestMark(t *testing.T) {
	err = errors.New(resp.Status)
	defer func() { err = nil }()
	for _, test := range []struct {
		status, seconds int
		attempts        int
		min, max        time.Duration
		reason          error
	}{
		{http.StatusNotFound, 1, 1, 0, 0, retry.ErrNotRetryable},
		{http.StatusTooManyRequests, 60, 5, 4 * time.Minute, 6 * time.Minute, retry.ErrExhausted},
		{http.StatusTooManyRequests, 61, 1, 0, 0, retry.ErrRetryAfter},
	} {
		resp.StatusCode = test.status
		resp.Header.Set("Retry-After", fmt.Sprint(test.seconds))
		n, took, got := run(t, func(ctx context.Context) error { return retry.Do(ctx, send) }, mark)
		if n != test.attempts || took < test.min || took > test.max || !errors.Is(got, test.reason) || !errors.Is(got, err) {
			t.Errorf("%d, Retry-After: %d: Do() = %v after %d attempts and %v, want %v after %d and %v to %v",
				test.status, test.seconds, got, n, took, test.reason, test.attempts, test.min, test.max)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestHTTPClient(t *testing.T) {
	defer func(d http.RoundTripper) { http.DefaultTransport = d }(http.DefaultTransport)
	for method, want := range map[string]int{"GET": 2, "POST": 1} {
		status := http.StatusTooManyRequests
		http.DefaultTransport = transport(func(req *http.Request) (*http.Response, error) {
			r := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"30"}}, Body: http.NoBody}
			status = http.StatusOK
			return r, send(req.Context())
		})
		n, took, err := run(t, func(ctx context.Context) error {
			httpClient(ctx)
			req, err := http.NewRequestWithContext(ctx, method, "http://example.com/", nil)
			if err == nil {
				_, err = results[0].(*http.Client).Do(req)
			}
			return err
		}, fail(nil))
		if n != want || err != nil || took < time.Duration(want-1)*30*time.Second {
			t.Errorf("%s: %d requests in %v, error %v; want %d requests", method, n, took, err, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	do := func(ctx context.Context) error { return retry.Do(ctx, send, policy) }
	if n, _, err := run(t, do, fail(fmt.Errorf("read: %w", fs.ErrPermission))); n != 1 || !errors.Is(err, retry.ErrNotRetryable) {
		t.Errorf("Do() = %v after %d attempts, want %v after 1", err, n, retry.ErrNotRetryable)
	}
	n, _, err := run(t, func(ctx context.Context) (err error) {
		for range 50 {
			err = do(ctx)
		}
		return err
	}, fail(errRefused))
	if n != 50+10 || !errors.Is(err, retry.ErrBudget) {
		t.Errorf("50 calls made %d attempts, the last ended with %v; want 60 and %v", n, err, retry.ErrBudget)
	}
	for range 10 {
		run(t, do, fail(nil))
	}
	if n, _, err := run(t, do, fail(errRefused)); n != 2 || !errors.Is(err, retry.ErrBudget) {
		t.Errorf("after 10 successes, Do() = %v after %d attempts, want %v after 2", err, n, retry.ErrBudget)
	}
}

func TestTimeouts(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	if n, took, err := run(t, timeouts, hang); n < 4 || n > 5 || took > 10*time.Second || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timeouts() = %v after %d attempts and %v, want %v after 4 or 5 and at most 10s", err, n, took, context.DeadlineExceeded)
	}
	if n, _, err := run(t, timeouts, fail(&net.OpError{Op: "dial", Err: errRefused})); n != 5 {
		t.Errorf("timeouts() = %v after %d attempts, want 5", err, n)
	}
	if n, _, err := run(t, timeouts, fail(errRefused)); n != 1 || !errors.Is(err, retry.ErrNotRetryable) {
		t.Errorf("timeouts() = %v after %d attempts, want %v after 1", err, n, retry.ErrNotRetryable)
	}
}

func TestObserve(t *testing.T) {
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	run(t, observe, fail(errRefused))
	logged, done := strings.Count(log.String(), "level=WARN msg=retrying attempt="), strings.Count(log.String(), "level=INFO msg=done call.attempt=5")
	if retries != 4 || logged != 4 || done != 1 {
		t.Errorf("%d retries, %d records of retries and %d of the end, want 4, 4, and 1:\n%s", retries, logged, done, &log)
	}
}

func TestReconnect(t *testing.T) {
	var ended time.Time
	var waits []time.Duration
	n, _, err := run(t, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Hour)
		defer cancel()
		return reconnect(ctx)
	}, func(ctx context.Context) error {
		if !ended.IsZero() {
			waits = append(waits, time.Since(ended))
		}
		if len(waits)%20 == 19 {
			select { // a session of ten hours
			case <-time.After(10 * time.Hour):
			case <-ctx.Done():
			}
		}
		ended = time.Now()
		return errRefused
	})
	if n < 100 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reconnect() = %v after %d sessions, want %v after at least 100", err, n, context.DeadlineExceeded)
	}
	for i, wait := range waits {
		if i > 0 && i%20 == 19 && wait > 250*time.Millisecond {
			t.Errorf("after a long session, the wait is %v, want at most 250ms", wait)
		}
	}
	asked := retry.After(errRefused, 50*time.Minute)
	if n, _, err := run(t, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Hour)
		defer cancel()
		return reconnect(ctx)
	}, fail(asked)); n < 2 {
		t.Errorf("reconnect() = %v after %d sessions, want at least 2", err, n)
	}
}

func TestOneLayer(t *testing.T) {
	orders := 0
	n, took, err := run(t, func(ctx context.Context) error {
		placeOrder = func(ctx context.Context) error {
			orders++
			return retry.Do(ctx, func(ctx context.Context) error { return retry.Do(ctx, send) })
		}
		return oneLayer(ctx)
	}, fail(retry.After(errRefused, 10*time.Second)))
	if orders != 5 || n != 5 || took < 40*time.Second || !errors.Is(err, retry.ErrExhausted) {
		t.Errorf("oneLayer() = %v after %d orders, %d attempts, and %v; want 5 of each and at least 40s", err, orders, n, took)
	}
}

func TestHandle(t *testing.T) {
	if _, _, err := run(t, handle, fail(nil)); err != nil {
		t.Errorf("handle() = %v, want nil", err)
	}
	if _, _, err := run(t, handle, fail(errRefused)); !errors.Is(err, retry.ErrExhausted) || pause != 0 {
		t.Errorf("handle() = %v, want %v", err, retry.ErrExhausted)
	}
	if n, _, err := run(t, handle, fail(retry.After(errRefused, time.Hour))); n != 1 || err != nil || pause != time.Hour {
		t.Errorf("handle() = %v after %d attempts, then tries again in %v, want nil, 1, and 1h", err, n, pause)
	}
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// failTimes returns a function that fails n times and then succeeds.
func failTimes(n int, err error) func(context.Context) error {
	return func(context.Context) error {
		if n--; n >= 0 {
			return err
		}
		return nil
	}
}

// newLogger returns a logger that leaves out times.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// A statusError is an HTTP status that is not a success.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("%d %s", int(e), http.StatusText(int(e)))
}

func ExampleDo() {
	connect := failTimes(2, errors.New("connection refused"))

	// Make at most five attempts. The fake clock keeps the example from waiting.
	clock := &retrytest.Clock{}
	err := retry.Do(context.Background(), connect, retry.WithClock(clock))
	fmt.Println(err, "after", len(clock.Waits()), "retries")

	// Output: <nil> after 2 retries
}

// Poll a build every two seconds until it is finished, for at most five minutes.
func ExampleDo_poll() {
	states := []string{"queued", "running", "succeeded"}
	poll := func(ctx context.Context) error {
		switch state := states[retry.PreviousAttempts(ctx)]; state {
		case "succeeded":
			return nil
		case "failed":
			return retry.Permanent(errors.New("build failed"))
		default:
			return errors.New("build is " + state)
		}
	}

	clock := &retrytest.Clock{}
	err := retry.Do(context.Background(), poll,
		retry.WithMaxAttempts(retry.Unlimited),
		retry.WithMaxElapsed(5*time.Minute),
		retry.WithBackoff(retry.Constant(2*time.Second)), retry.WithJitter(retry.NoJitter),
		retry.WithClock(clock))
	fmt.Println(err, clock.Waits())

	// Output: <nil> [2s 2s]
}

// A job is retried after ten minutes plus any delay that the server asked for, even if
// its client has already retried. If the client's error is permanent, the job is not
// retried.
func ExampleDo_nested() {
	responses := []error{
		statusError(http.StatusBadGateway),
		statusError(http.StatusBadGateway),
		retry.After(statusError(http.StatusTooManyRequests), 2*time.Minute),
		retry.Permanent(statusError(http.StatusNotFound)),
	}
	load := func(ctx context.Context) error { // a method of the client
		return retry.Do(ctx, func(ctx context.Context) error {
			err := responses[0]
			responses = responses[1:]
			return err
		}, retry.WithMaxAttempts(2))
	}
	job := func(ctx context.Context) error {
		err := load(ctx)
		if e, ok := errors.AsType[*retry.Error](err); ok && !errors.Is(e.Reason, retry.ErrNotRetryable) {
			// Do retries the new error because it does not wrap the error of the client.
			err = retry.After(fmt.Errorf("load: %v", err), e.RetryAfter())
		}
		return err
	}

	clock := &retrytest.Clock{}
	ctx := retry.Override(context.Background(), retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	err := retry.Do(ctx, job,
		retry.WithBackoff(retry.Constant(10*time.Minute)),
		retry.WithMaxRetryAfter(time.Hour))
	fmt.Println(clock.Waits())
	fmt.Println(errors.Is(err, statusError(http.StatusNotFound)))

	// Output:
	// [250ms 10m0s 12m0s]
	// true
}

func ExampleDoValue() {
	connect := failTimes(2, errors.New("connection refused"))
	ask := func(ctx context.Context) (string, error) {
		if err := connect(ctx); err != nil {
			return "", err
		}
		return "it is noon", nil
	}

	fmt.Println(retry.DoValue(context.Background(), ask, retry.WithClock(&retrytest.Clock{})))

	// Output: it is noon <nil>
}

// WrapUnary adds retries to a function without changing its type.
func ExampleWrapUnary() {
	connect := failTimes(1, errors.New("server misbehaving"))
	lookup := func(ctx context.Context, host string) (string, error) {
		return "address of " + host, connect(ctx)
	}

	lookup = retry.WrapUnary(lookup, retry.WithClock(&retrytest.Clock{}))
	fmt.Println(lookup(context.Background(), "db-1"))

	// Output: address of db-1 <nil>
}

// A policy is created once and shared. Options after the policy take precedence.
func ExamplePolicy() {
	database := retry.Policy(
		retry.WithMaxAttempts(4),
		retry.WithBackoff(retry.Exponential{Base: 5 * time.Millisecond, Max: time.Second}),
		retry.WithClock(&retrytest.Clock{}))
	query := func(ctx context.Context) error { return errors.New("too many connections") }

	fmt.Println(retry.Do(context.Background(), query, database))
	fmt.Println(retry.Do(context.Background(), query, database, retry.WithMaxAttempts(2)))

	// Output:
	// retry: gave up after 4 attempts: too many connections
	// retry: gave up after 2 attempts: too many connections
}

// Permanent stops the retries. Do removes the marker from the error it returns.
func ExamplePermanent() {
	errNoUser := errors.New("no such user")
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return retry.Permanent(errNoUser)
	})
	fmt.Println(err)
	fmt.Println(errors.Unwrap(err) == errNoUser)

	// Output:
	// retry: gave up after 1 attempt (not retryable): no such user
	// true
}

// Keep a session open until ctx is done. If a session lasted longer than a minute
// before it failed, the backoff starts again.
func ExampleRestart() {
	clock := &retrytest.Clock{} // a real program uses time.Now and time.Since
	ctx, cancel := context.WithCancel(context.Background())
	sessions := []func() error{
		func() error { return errors.New("connection refused") },
		func() error { return errors.New("connection refused") },
		func() error { clock.Advance(time.Hour); return errors.New("connection reset") },
		func() error { return retry.After(errors.New("maintenance"), 10*time.Minute) },
		func() error { cancel(); return ctx.Err() },
	}

	err := retry.Do(ctx, func(ctx context.Context) error {
		start := clock.Now()
		err := sessions[0]()
		sessions = sessions[1:]
		if clock.Now().Sub(start) > time.Minute {
			err = retry.Restart(err)
		}
		return err
	},
		retry.WithMaxAttempts(retry.Unlimited),
		retry.WithMaxRetryAfter(time.Hour), // the longest delay that the loop accepts
		retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	fmt.Println(clock.Waits(), errors.Is(err, context.Canceled))

	// Output: [250ms 500ms 250ms 15m0s] true
}

// Only network errors and truncated responses are retried.
func ExampleWithRetryIf() {
	results := []error{
		&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		fmt.Errorf("reading the body: %w", io.ErrUnexpectedEOF),
		&fs.PathError{Op: "open", Path: "cache", Err: fs.ErrPermission},
	}
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return results[retry.PreviousAttempts(ctx)]
	},
		retry.WithRetryIf(retry.As[*net.OpError](), retry.Is(io.ErrUnexpectedEOF)),
		retry.WithClock(&retrytest.Clock{}))
	fmt.Println(err)

	// Output: retry: gave up after 3 attempts (not retryable): open cache: permission denied
}

// The wait is the delay that the server asked for, plus jitter.
func ExampleAfter() {
	header := http.Header{"Retry-After": {"30"}}
	get := failTimes(1, statusError(http.StatusServiceUnavailable))

	clock := &retrytest.Clock{} // so that the example does not take 30s
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		err := get(ctx)
		if wait, ok := retry.ParseRetryAfter(header.Get("Retry-After"), time.Now()); ok {
			err = retry.After(err, wait)
		}
		return err
	}, retry.WithClock(clock))
	wait := clock.Waits()[0]
	fmt.Println(err, 30*time.Second <= wait && wait <= 45*time.Second)

	// Output: <nil> true
}

func ExampleParseRetryAfter() {
	now := time.Date(2026, time.November, 23, 11, 59, 0, 0, time.UTC)
	fmt.Println(retry.ParseRetryAfter("120", now))
	fmt.Println(retry.ParseRetryAfter("Mon, 23 Nov 2026 12:00:00 GMT", now))
	fmt.Println(retry.ParseRetryAfter("Thu, 01 Jan 1970 00:00:00 GMT", now))
	fmt.Println(retry.ParseRetryAfter("soon", now))

	// Output:
	// 2m0s true
	// 1m0s true
	// 0s true
	// 0s false
}

// A worker accepts a delay of at most ten seconds. If the server asks for more, the
// worker schedules the job to run again and takes the next job.
func ExampleWithMaxRetryAfter() {
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return retry.After(statusError(http.StatusTooManyRequests), 20*time.Minute)
	}, retry.WithMaxRetryAfter(10*time.Second))

	if e, ok := errors.AsType[*retry.Error](err); ok && e.RetryAfter() > 0 {
		fmt.Println("run again in", e.RetryAfter())
	}
	fmt.Println(err)

	// Output:
	// run again in 20m0s
	// retry: gave up after 1 attempt (asked to wait 20m0s, more than WithMaxRetryAfter(10s)): 429 Too Many Requests
}

// A schedule can be a list of waits. The last wait is repeated.
func ExampleBackoffFunc() {
	waits := []time.Duration{time.Second, 10 * time.Second, time.Minute}
	schedule := retry.BackoffFunc(func(attempt int) time.Duration {
		return waits[min(attempt, len(waits))-1]
	})

	clock := &retrytest.Clock{}
	err := retry.Do(context.Background(), failTimes(4, errors.New("busy")),
		retry.WithBackoff(schedule), retry.WithJitter(retry.NoJitter), retry.WithClock(clock))
	fmt.Println(err, clock.Waits())

	// Output: <nil> [1s 10s 1m0s 1m0s]
}

// A job queue stores when a failed job runs next, instead of waiting in Do.
func ExampleFullJitter() {
	failures := 4
	ceiling := retry.Exponential{Base: time.Minute, Max: time.Hour}.Delay(failures)
	now := time.Now()
	nextRun := now.Add(retry.FullJitter(ceiling, nil))
	fmt.Printf("next run within %v: %t\n", ceiling, nextRun.Sub(now) <= ceiling)

	// Output: next run within 8m0s: true
}

// An Error holds only the last error. A hook collects the earlier ones.
func ExampleWithOnRetry() {
	connect := func(ctx context.Context) error {
		return fmt.Errorf("replica %d is down", retry.PreviousAttempts(ctx))
	}

	var errs []error
	err := retry.Do(context.Background(), connect,
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { errs = append(errs, ev.Err) }),
		retry.WithMaxAttempts(3), retry.WithClock(&retrytest.Clock{}))
	if err != nil {
		err = errors.Join(append(errs, err)...)
	}
	fmt.Println(err)

	// Output:
	// replica 0 is down
	// replica 1 is down
	// retry: gave up after 3 attempts: replica 2 is down
}

// An OnDone hook logs one record for each call.
func ExampleWithOnDone() {
	logger := newLogger(os.Stdout, slog.LevelInfo)
	logEnd := retry.WithOnDone(func(ctx context.Context, ev retry.Event) {
		logger.InfoContext(ctx, "call ended", "retry", ev)
	})

	retry.Do(context.Background(), failTimes(2, errors.New("timeout")), logEnd,
		retry.WithClock(&retrytest.Clock{}), retry.WithJitter(retry.NoJitter))

	// Output:
	// level=INFO msg="call ended" retry.attempt=3 retry.err=timeout retry.wait=0s retry.waited=750ms retry.elapsed=750ms
}

// WithLogger logs one record for each retry.
func ExampleWithLogger() {
	err := retry.Do(context.Background(), failTimes(3, errors.New("connection refused")),
		retry.WithLogger(newLogger(os.Stdout, slog.LevelInfo).With("op", "connect"), slog.LevelWarn),
		retry.WithMaxAttempts(3),
		retry.WithClock(&retrytest.Clock{}), retry.WithJitter(retry.NoJitter))
	fmt.Println(err)

	// Output:
	// level=WARN msg=retrying op=connect attempt=1 err="connection refused" wait=250ms waited=0s elapsed=0s
	// level=WARN msg=retrying op=connect attempt=2 err="connection refused" wait=500ms waited=250ms elapsed=250ms
	// retry: gave up after 3 attempts: connection refused
}

// Two calls share a budget of three retries. The first call uses two of them, so one is
// left for the second.
func ExampleBudget() {
	policy := retry.Policy(
		retry.WithBudget(retry.NewBudget(3, 0.1)),
		retry.WithMaxAttempts(3),
		retry.WithClock(&retrytest.Clock{}))
	down := func(ctx context.Context) error { return statusError(http.StatusServiceUnavailable) }

	fmt.Println(retry.Do(context.Background(), down, policy))
	fmt.Println(retry.Do(context.Background(), down, policy))

	// Output:
	// retry: gave up after 3 attempts: 503 Service Unavailable
	// retry: gave up after 2 attempts (retry budget exhausted): 503 Service Unavailable
}

// Retry at one layer only: Override disables the retries of the layers below.
func ExampleOverride_oneLayer() {
	requests := 0
	charge := func(ctx context.Context) error { // contains its own call to Do
		return retry.Do(ctx, func(ctx context.Context) error {
			requests++
			return errors.New("connection refused")
		})
	}
	placeOrder := func(ctx context.Context) error {
		return charge(retry.Override(ctx, retry.WithMaxAttempts(1)))
	}

	err := retry.Do(context.Background(), placeOrder,
		retry.WithMaxAttempts(3), retry.WithClock(&retrytest.Clock{}))
	fmt.Println(requests, "requests")
	fmt.Println(err)

	// Output:
	// 3 requests
	// retry: gave up after 3 attempts: retry: gave up after 1 attempt: connection refused
}

// Each attempt uses the next endpoint.
func ExamplePreviousAttempts() {
	hosts := []string{"a.example", "b.example"}
	send := func(ctx context.Context) error {
		fmt.Println(hosts[retry.PreviousAttempts(ctx)%len(hosts)])
		return errors.New("connection refused")
	}
	retry.Do(context.Background(), send,
		retry.WithMaxAttempts(3), retry.WithClock(&retrytest.Clock{}))

	// Output:
	// a.example
	// b.example
	// a.example
}

// Err says what failed, and Reason says why Do stopped.
func ExampleError() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := retry.Do(ctx, func(ctx context.Context) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}, retry.WithBackoff(retry.Constant(time.Hour)), retry.WithJitter(retry.NoJitter))

	if e, ok := errors.AsType[*retry.Error](err); ok && errors.Is(e.Reason, retry.ErrDeadline) {
		fmt.Println("no time left after", e.Attempts, "attempt")
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		fmt.Println(e.Op, "failed:", e.Err)
	}

	// Output:
	// no time left after 1 attempt
	// dial failed: connection refused
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/retry"
)

// An exampleClock passes time at once, so that the examples take none. It keeps
// the waits that it was asked for.
type exampleClock struct {
	now   time.Time
	waits []time.Duration
}

func (c *exampleClock) Now() time.Time { return c.now }

func (c *exampleClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// A statusError is an answer of an HTTP server that is not a success.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("%d %s", int(e), http.StatusText(int(e)))
}

func ExampleDo() {
	calls := 0
	connect := func(ctx context.Context) error {
		calls++
		if calls < 3 {
			return errors.New("connection refused")
		}
		return nil
	}

	// Up to five calls. Without the option, the waits are up to 250ms and 500ms.
	err := retry.Do(context.Background(), connect,
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))
	fmt.Println(calls, err)

	// Output: 3 <nil>
}

// Permanent ends the call at once: what does not exist will not appear by asking
// again. The marker is gone from the error that comes back.
func ExampleDo_permanent() {
	calls := 0
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		calls++
		err := errors.New("no such user")
		return retry.Permanent(err)
	})
	fmt.Println(calls, err)
	fmt.Println(errors.Unwrap(err))

	// Output:
	// 1 retry: not retryable after 1 attempt: no such user
	// no such user
}

func ExampleDoValue() {
	answers := []string{"", "", "it is noon"}
	ask := func(ctx context.Context) (string, error) {
		answer := answers[0]
		answers = answers[1:]
		if answer == "" {
			return "", errors.New("no answer")
		}
		return answer, nil
	}

	answer, err := retry.DoValue(context.Background(), ask,
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))
	fmt.Println(answer, err)

	// Output: it is noon <nil>
}

// Wrap makes a function of the same form that retries.
func ExampleWrap() {
	calls := 0
	load := func(ctx context.Context) ([]string, error) {
		calls++
		if calls == 1 {
			return nil, errors.New("connection reset")
		}
		return []string{"ada", "grace"}, nil
	}

	load = retry.Wrap(load, retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))

	users, err := load(context.Background())
	fmt.Println(users, err)

	// Output: [ada grace] <nil>
}

// WrapUnary is for functions with an argument.
func ExampleWrapUnary() {
	calls := 0
	lookup := func(ctx context.Context, host string) (string, error) {
		calls++
		if calls == 1 {
			return "", errors.New("server misbehaving")
		}
		return "address of " + host, nil
	}

	lookup = retry.WrapUnary(lookup, retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))

	fmt.Println(lookup(context.Background(), "db-1"))
	fmt.Println(lookup(context.Background(), "db-2"))

	// Output:
	// address of db-1 <nil>
	// address of db-2 <nil>
}

// Only the listed errors are retried: network errors, and an answer that breaks
// off. The third is neither.
func ExampleWithRetryIf() {
	results := []error{
		&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		fmt.Errorf("reading the body: %w", io.ErrUnexpectedEOF),
		&fs.PathError{Op: "open", Path: "cache", Err: fs.ErrPermission},
	}
	fetch := func(ctx context.Context) error {
		err := results[0]
		results = results[1:]
		return err
	}

	err := retry.Do(context.Background(), fetch,
		retry.WithRetryIf(retry.As[*net.OpError](), retry.Is(io.ErrUnexpectedEOF)),
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))
	fmt.Println(err)

	// Output: retry: not retryable after 3 attempts: open cache: permission denied
}

// Any func(error) bool is a predicate. This one holds for the answers of an HTTP
// server that it is to blame for itself.
func ExampleWithRetryIf_serverErrors() {
	serverError := func(err error) bool {
		status, ok := errors.AsType[statusError](err)
		return ok && status >= 500
	}
	answers := []statusError{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusForbidden}
	get := func(ctx context.Context) error {
		status := answers[0]
		answers = answers[1:]
		return status
	}

	err := retry.Do(context.Background(), get,
		retry.WithRetryIf(serverError),
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))
	fmt.Println(err)

	// Output: retry: not retryable after 3 attempts: 403 Forbidden
}

// A server that asks for a pause gets it, and the usual backoff on top of it.
func ExampleAfter() {
	calls := 0
	get := func(ctx context.Context) error {
		calls++
		if calls > 1 {
			return nil
		}
		err := error(statusError(http.StatusTooManyRequests))
		header := http.Header{"Retry-After": {"30"}}
		if wait, ok := retry.ParseRetryAfter(header.Get("Retry-After"), time.Now()); ok {
			err = retry.After(err, wait)
		}
		return err
	}

	clock := &exampleClock{} // for no real half a minute
	err := retry.Do(context.Background(), get, retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	fmt.Println(err, clock.waits)

	// Output: <nil> [30.25s]
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

// OnRetry hooks are called before each wait, OnDone hooks once at the end.
func ExampleWithOnRetry() {
	calls := 0
	connect := func(ctx context.Context) error {
		calls++
		if calls < 3 {
			return errors.New("connection refused")
		}
		return nil
	}

	err := retry.Do(context.Background(), connect,
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
			fmt.Printf("attempt %d: %v; next in %v\n", ev.Attempt, ev.Err, ev.Wait)
		}),
		retry.WithOnDone(func(_ context.Context, ev retry.Event) {
			fmt.Printf("done after attempt %d, waited %v\n", ev.Attempt, ev.Waited)
		}),
		retry.WithClock(&exampleClock{}), retry.WithJitter(retry.NoJitter))
	fmt.Println(err)

	// Output:
	// attempt 1: connection refused; next in 250ms
	// attempt 2: connection refused; next in 500ms
	// done after attempt 3, waited 750ms
	// <nil>
}

// Metrics need one OnDone hook: Reason is nil after a success, and Attempt - 1 is
// the number of retries.
func ExampleWithOnDone() {
	retries := 0
	outcomes := map[string]int{}
	count := retry.WithOnDone(func(_ context.Context, ev retry.Event) {
		retries += max(ev.Attempt-1, 0) // 0 attempts if ctx was done before the first
		switch {
		case ev.Reason == nil:
			outcomes["ok"]++
		case errors.Is(ev.Reason, retry.ErrExhausted):
			outcomes["exhausted"]++
		default:
			outcomes["other"]++
		}
	})
	policy := retry.Policy(count, retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))

	ctx := context.Background()
	retry.Do(ctx, func(ctx context.Context) error { return nil }, policy)
	retry.Do(ctx, func(ctx context.Context) error { return errors.New("timeout") }, policy)
	retry.Do(ctx, func(ctx context.Context) error { return retry.Permanent(errors.New("no such user")) }, policy)
	fmt.Println(retries, "retries,", outcomes)

	// Output: 4 retries, map[exhausted:1 ok:1 other:1]
}

// WithLogger writes one record for each retry.
func ExampleWithLogger() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // another one each time
			}
			return a
		},
	}))

	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return errors.New("connection refused")
	},
		retry.WithLogger(logger.With("op", "connect"), slog.LevelWarn),
		retry.WithMaxAttempts(3),
		retry.WithClock(&exampleClock{}), retry.WithJitter(retry.NoJitter))
	fmt.Println(err)

	// Output:
	// level=WARN msg=retrying op=connect attempt=1 err="connection refused" wait=250ms waited=0s elapsed=0s
	// level=WARN msg=retrying op=connect attempt=2 err="connection refused" wait=500ms waited=250ms elapsed=250ms
	// retry: attempts exhausted after 3 attempts: connection refused
}

// Two calls share a budget of three retries. The first uses two of them, so that
// the second gets one.
func ExampleBudget() {
	budget := retry.NewBudget(3, 0.1)
	policy := retry.Policy(
		retry.WithBudget(budget),
		retry.WithMaxAttempts(3),
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))
	down := func(ctx context.Context) error { return errors.New("service unavailable") }

	ctx := context.Background()
	fmt.Println(retry.Do(ctx, down, policy))
	fmt.Println(retry.Do(ctx, down, policy))

	// A success puts back what NewBudget was told.
	retry.Do(ctx, func(ctx context.Context) error { return nil }, policy)
	fmt.Println(budget.Tokens())

	// Output:
	// retry: attempts exhausted after 3 attempts: service unavailable
	// retry: budget exhausted after 2 attempts: service unavailable
	// 0.1
}

// A policy is made once and shared. What a call adds wins over it.
func ExamplePolicy() {
	database := retry.Policy(
		retry.WithMaxAttempts(4),
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond, Max: 20 * time.Millisecond}))
	query := func(ctx context.Context) error { return errors.New("too many connections") }

	ctx := context.Background()
	fmt.Println(retry.Do(ctx, query, database))
	fmt.Println(retry.Do(ctx, query, database, retry.WithMaxAttempts(2)))

	// Output:
	// retry: attempts exhausted after 4 attempts: too many connections
	// retry: attempts exhausted after 2 attempts: too many connections
}

// A clock that does not wait and a source with a seed: the waits are random, and
// the same in each run.
func ExampleWithClock() {
	clock := &exampleClock{}
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return errors.New("connection refused")
	}, retry.WithClock(clock), retry.WithSource(rand.NewPCG(1, 2)))
	fmt.Println(err)
	for _, wait := range clock.waits {
		fmt.Println(wait)
	}

	// Output:
	// retry: attempts exhausted after 5 attempts: connection refused
	// 192.343318ms
	// 308.218112ms
	// 784.428002ms
	// 1.593193157s
}

// Override reaches a Do that one cannot parameterise: the test of a function that
// takes no options runs through its schedule without waiting.
func ExampleOverride() {
	// The code under test.
	announce := func(ctx context.Context) error {
		return retry.Do(ctx, func(ctx context.Context) error {
			return errors.New("no leader")
		}, retry.WithBackoff(retry.Constant(time.Minute)))
	}

	// The test.
	clock := &exampleClock{}
	ctx := retry.Override(context.Background(),
		retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	err := announce(ctx)
	fmt.Println(err)
	fmt.Println(clock.waits)

	// Output:
	// retry: attempts exhausted after 5 attempts: no leader
	// [1m0s 1m0s 1m0s 1m0s]
}

// PreviousAttempts tells a server how much of its load is retries.
func ExamplePreviousAttempts() {
	send := func(ctx context.Context) error {
		fmt.Println("Previous-Attempts:", retry.PreviousAttempts(ctx))
		return errors.New("connection reset")
	}
	retry.Do(context.Background(), send,
		retry.WithMaxAttempts(3),
		retry.WithBackoff(retry.Exponential{Base: time.Millisecond}))

	// Output:
	// Previous-Attempts: 0
	// Previous-Attempts: 1
	// Previous-Attempts: 2
}

// An error says what went wrong and why it was not tried again. Both can be
// tested for.
func ExampleError() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := retry.Do(ctx, func(ctx context.Context) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}, retry.WithBackoff(retry.Constant(time.Hour)), retry.WithJitter(retry.NoJitter))

	// The wait would have outlasted ctx.
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	if e, ok := errors.AsType[*net.OpError](err); ok {
		fmt.Println(e.Op, "failed:", e.Err)
	}
	if e, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println("calls:", e.Attempts, "waited:", e.Waited)
	}

	// Output:
	// true
	// dial failed: connection refused
	// calls: 1 waited: 0s
}

// The text is one line: the reason, the number of attempts, and the last error.
func ExampleError_Error() {
	refused := func(ctx context.Context) error { return errors.New("connection refused") }
	missing := func(ctx context.Context) error { return retry.Permanent(statusError(http.StatusNotFound)) }
	busy := func(ctx context.Context) error {
		return retry.After(statusError(http.StatusServiceUnavailable), time.Hour)
	}
	clock := retry.WithClock(&exampleClock{now: time.Now()})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dead, stop := context.WithCancelCause(ctx)
	stop(errors.New("shutting down"))

	fmt.Println(retry.Do(ctx, refused, clock))
	fmt.Println(retry.Do(ctx, missing, clock))
	fmt.Println(retry.Do(ctx, busy, clock))
	fmt.Println(retry.Do(ctx, busy, clock, retry.WithMaxElapsed(10*time.Second)))
	fmt.Println(retry.Do(ctx, refused, clock, retry.WithBudget(new(retry.Budget))))
	fmt.Println(retry.Do(dead, refused, clock))
	fmt.Println(retry.Do(ctx, refused, clock, retry.WithMaxAttempts(0)))

	// Output:
	// retry: attempts exhausted after 5 attempts: connection refused
	// retry: not retryable after 1 attempt: 404 Not Found
	// retry: context deadline exceeded after 1 attempt: 503 Service Unavailable
	// retry: max elapsed time reached after 1 attempt: 503 Service Unavailable
	// retry: budget exhausted after 1 attempt: connection refused
	// retry: context canceled: shutting down before the first attempt
	// retry: invalid option WithMaxAttempts(0) (want 1 or more) before the first attempt
}

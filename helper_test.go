package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

var (
	errBoom  = errors.New("boom")
	errOther = errors.New("other")
	errCause = errors.New("the cause")
)

// script returns an fn that returns errs one after another and then nil, and its count of calls.
func script(errs ...error) (fn func(context.Context) error, calls *int) {
	calls = new(int)
	return func(context.Context) error {
		*calls++
		if *calls > len(errs) {
			return nil
		}
		return errs[*calls-1]
	}, calls
}

// always returns an fn that always returns err, and its count of calls.
func always(err error) (fn func(context.Context) error, calls *int) {
	calls = new(int)
	return func(context.Context) error { *calls++; return err }, calls
}

// fixed makes every wait d, if no error asks for a delay.
func fixed(d time.Duration) retry.Option {
	return retry.Policy(retry.WithBackoff(retry.Constant(d)), retry.WithJitter(retry.NoJitter))
}

// noWait makes every wait 0, if no error asks for a delay.
var noWait = retry.WithBackoff(retry.Constant(0))

// A sourceFunc is a scripted Source.
type sourceFunc func() uint64

func (f sourceFunc) Uint64() uint64 { return f() }

func seeded() rand.Source { return rand.NewPCG(1, 2) }

// A hookClock is a fake clock whose Now calls now, and whose Sleep calls before and after.
type hookClock struct {
	retrytest.Clock
	now    func()
	before func() error // an error is the result of Sleep
	after  func()
}

func (c *hookClock) Now() time.Time {
	if c.now != nil {
		c.now()
	}
	return c.Clock.Now()
}

func (c *hookClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.before != nil {
		if err := c.before(); err != nil {
			return err
		}
	}
	err := c.Clock.Sleep(ctx, d)
	if c.after != nil {
		c.after()
	}
	return err
}

// A deadlineCtx has a deadline and is never done.
type deadlineCtx struct {
	context.Context
	deadline time.Time
}

func (c deadlineCtx) Deadline() (time.Time, bool) { return c.deadline, true }

// A place is code of the caller that Do runs.
type place string

const (
	inFn        place = "fn"
	inMap       place = "error map"
	inPredicate place = "predicate"
	inBackoff   place = "Backoff"
	inJitter    place = "Jitter"
	inSource    place = "Source"
	inOnRetry   place = "OnRetry"
	beforeSleep place = "before Sleep"
	afterSleep  place = "after Sleep"
	inOnDone    place = "OnDone"
)

// actAt returns the fn and the options of a call that fails, that waits 1s after each
// attempt, and that calls act when it reaches a place for the nth time.
func actAt(n int, where place, act func()) (fn func(context.Context) error, opts retry.Option) {
	at := func(p place) {
		if p == where {
			if n--; n == 0 {
				act()
			}
		}
	}
	return func(context.Context) error { at(inFn); return errBoom }, retry.Policy(
		retry.WithMapError(func(_ context.Context, err error) error { at(inMap); return err }),
		retry.WithRetryIf(func(error) bool { at(inPredicate); return true }),
		retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { at(inBackoff); return time.Second })),
		retry.WithJitter(func(ceiling time.Duration, r *rand.Rand) time.Duration { at(inJitter); r.Uint64(); return ceiling }),
		retry.WithSource(sourceFunc(func() uint64 { at(inSource); return 0 })),
		retry.WithOnRetry(func(context.Context, retry.Event) { at(inOnRetry) }),
		retry.WithOnDone(func(context.Context, retry.Event) { at(inOnDone) }),
		retry.WithClock(&hookClock{
			before: func() error { at(beforeSleep); return nil },
			after:  func() { at(afterSleep) },
		}))
}

// run calls f in a new goroutine. It reports whether f returned, and returns the value
// with which f panicked, if any.
func run(f func()) (returned bool, panicked any) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		f()
		returned = true
	}()
	<-done
	return returned, panicked
}

// trees has the ways in which fn may return an error: alone or inside another error.
var trees = []struct {
	name string
	with func(error) error
}{
	{"itself", func(err error) error { return err }},
	{"wrapped", func(err error) error { return fmt.Errorf("outer: %w", err) }},
	{"wrapped with another", func(err error) error { return fmt.Errorf("%w and %w", errOther, err) }},
	{"joined", func(err error) error { return errors.Join(err, errOther) }},
	{"marked", func(err error) error { return retry.After(err, 0) }},
	{"several layers down", func(err error) error {
		return fmt.Errorf("a: %w", errors.Join(errOther, fmt.Errorf("b: %w", fmt.Errorf("c: %w", err))))
	}},
}

// bubble runs f in a synctest bubble.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if strings.Contains(os.Getenv("GODEBUG"), "asynctimerchan=1") {
		t.Skip("testing/synctest does not support asynctimerchan=1")
	}
	synctest.Test(t, f)
}

// gaveUp returns the *Error that Do returned, and checks its Reason and Attempts.
func gaveUp(t *testing.T, err, reason error, attempts int) *retry.Error {
	t.Helper()
	e, ok := err.(*retry.Error)
	if !ok {
		t.Fatalf("Do() = %v, want an *Error whose Reason matches %v", err, reason)
	}
	if !errors.Is(e.Reason, reason) {
		t.Errorf("Do() = %v, want an error whose Reason matches %v", e, reason)
	}
	if e.Attempts != attempts {
		t.Errorf("Do() = %v, want %d attempts", e, attempts)
	}
	return e
}

func succeeded(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("Do() = %v, want nil", err)
	}
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if got := err.Error(); got != want {
		t.Fatalf("Error() = %q, want %q", got, want)
	}
}

func wantWaits(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("waits = %v, want %v", got, want)
	}
}

func wantCalls(t *testing.T, calls *int, want int) {
	t.Helper()
	if *calls != want {
		t.Errorf("calls of fn = %d, want %d", *calls, want)
	}
}

func wantTokens(t *testing.T, b *retry.Budget, want float64) {
	t.Helper()
	if got := b.Tokens(); got != want {
		t.Errorf("Tokens() = %v, want %v", got, want)
	}
}

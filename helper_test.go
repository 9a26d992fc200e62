package retry_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/retry"
)

var (
	errBoom  = errors.New("boom")
	errOther = errors.New("other")
	errCause = errors.New("the cause")
)

// epoch is when fake clocks start: nowhere near the system's time, so that a
// glance at the wrong clock shows.
var epoch = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// A fakeClock passes time in no time and records the waits.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	waits  []time.Duration
	reads  int
	before func(ctx context.Context, d time.Duration) error // called in Sleep, if set
}

func newFakeClock() *fakeClock { return &fakeClock{now: epoch} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if c.before != nil {
		if err := c.before(ctx, d); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	return nil
}

// script returns an fn that returns errs in turn, then nil, and its count of calls.
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

// fixed is a schedule without randomness: the ceiling is d, and so is the wait.
func fixed(d time.Duration) retry.Option {
	return retry.Policy(retry.WithBackoff(retry.Constant(d)), retry.WithJitter(retry.NoJitter))
}

// gaveUp returns the *Error that Do returned, and checks what it says.
func gaveUp(t *testing.T, err, reason error, attempts int) *retry.Error {
	t.Helper()
	e, ok := err.(*retry.Error)
	if !ok {
		t.Fatalf("got error %#v, want an *Error", err)
	}
	if !errors.Is(e.Reason, reason) {
		t.Errorf("got Reason %v, want %v", e.Reason, reason)
	}
	if e.Attempts != attempts {
		t.Errorf("got %d attempts in the Error, want %d", e.Attempts, attempts)
	}
	return e
}

func wantWaits(t *testing.T, got []time.Duration, want ...time.Duration) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got waits %v, want %v", got, want)
	}
}

func wantCalls(t *testing.T, calls *int, want int) {
	t.Helper()
	if *calls != want {
		t.Errorf("got %d calls of fn, want %d", *calls, want)
	}
}

// A noSleep clock stands still.
type noSleep struct{}

func (noSleep) Now() time.Time                                   { return epoch }
func (noSleep) Sleep(ctx context.Context, d time.Duration) error { return ctx.Err() }

// quiet is a logger for tests that provoke records nobody wants to see.
func quiet() retry.Option {
	return retry.WithLogger(slog.New(slog.DiscardHandler), slog.LevelInfo)
}

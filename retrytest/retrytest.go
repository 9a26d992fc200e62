// Package retrytest provides utilities for testing code that uses package retry: a fake
// clock and a way to simulate lost replies.
package retrytest

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/retry"
)

// A Clock is a fake [retry.Clock]: Sleep returns immediately and advances the time that
// Now returns. The zero value is ready to use and starts at the system time of the first
// call to Now, Sleep, or Advance. A Clock is safe for concurrent use and must not be
// copied.
//
// Pass a Clock to the code under test with retry.WithClock. If the code accepts no
// options, use retry.Override to pass the option through its context. A Clock does not
// cancel contexts: the deadlines of contexts and the timeouts of retry.WithAttemptTimeout
// expire according to the system clock. However, Do compares the deadline of its context
// with the time of the Clock, and returns retry.ErrDeadline if a wait would advance the
// Clock to the deadline or beyond.
type Clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

// Now returns the current time of the Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.advance(0)
}

// Sleep records d and advances the Clock by d, without waiting. If ctx is done, Sleep
// records d and returns ctx's error without advancing the Clock.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	err := ctx.Err()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, d)
	if err != nil {
		d = 0
	}
	c.advance(d)
	return err
}

// Advance advances the Clock by d, for example to simulate a slow attempt.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(d)
}

// Waits returns the durations that were passed to Sleep, in order. The caller may modify
// the slice.
func (c *Clock) Waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.waits)
}

// advance advances the Clock by d and returns its time. The caller holds c.mu.
func (c *Clock) advance(d time.Duration) time.Time {
	if c.now.IsZero() {
		c.now = time.Now()
	}
	c.now = c.now.Add(d)
	return c.now
}

// LoseReplies returns a context, derived from ctx, that simulates lost replies. If one of
// the first n attempts of a call to retry.Do with this context succeeds, the attempt
// fails with err instead, as if its reply had been lost. Attempts are counted as in
// [retry.PreviousAttempts]. To check that a function is safe to repeat, pass the context
// to the code that retries the function, and check that the result is the same as after a
// single success.
//
// Error maps and the predicates of retry.WithRetryIf receive err, so err should be the
// error that the client reports for a lost reply, such as io.ErrUnexpectedEOF. If an
// attempt fails, its error is not replaced. If err is nil, no reply is lost. Each call
// counts its own attempts, so an outer call and its nested calls all lose replies.
func LoseReplies(ctx context.Context, n int, err error) context.Context {
	return retry.Override(ctx, retry.WithMapError(func(ctx context.Context, actual error) error {
		if actual == nil && retry.PreviousAttempts(ctx) < n {
			return err
		}
		return actual
	}))
}

// Package retrytest provides a fake clock and a fault drill for tests of code that uses
// package retry.
package retrytest

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/retry"
)

// A Clock is a fake [retry.Clock]: Sleep returns at once and advances Now. The zero value
// is ready to use and starts at the current time of the first call of Now, Sleep, or
// Advance. A Clock is safe for concurrent use and must not be copied.
//
// Pass it to the code under test with retry.WithClock, through retry.Override if the code
// accepts no options. A Clock does not end contexts: their deadlines, and the timeouts of
// retry.WithAttemptTimeout, expire by the system clock. Do does compare the deadline of its
// context with the time of the Clock, so it returns retry.ErrDeadline if a wait would
// advance the Clock past it.
type Clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

// Now returns the current time of the Clock.
func (c *Clock) Now() time.Time { return c.add(0) }

// Sleep records d and advances the Clock by d, without waiting. If ctx is done, Sleep
// records d and returns ctx's error without advancing the Clock.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	err := ctx.Err()
	if err == nil {
		c.add(d)
	} else {
		c.add(0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, d)
	return err
}

// Advance advances the Clock by d, for example to let an attempt take time.
func (c *Clock) Advance(d time.Duration) { c.add(d) }

// Waits returns every d that Sleep was asked for, in order. The caller may change the
// slice.
func (c *Clock) Waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.waits)
}

// add advances the Clock by d and returns the time.
func (c *Clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.IsZero() {
		c.now = time.Now()
	}
	c.now = c.now.Add(d)
	return c.now
}

// LoseReplies returns a context in which every call of retry.Do gets err in place of the
// success of an attempt, if that is among the first n attempts of the call (see
// [retry.PreviousAttempts]), as if the reply had been lost. It shows whether fn is safe to
// repeat: run the code under test with the context, and check that its effects are those
// of a single success.
//
// Filters and error maps see err, so it should be what the client reports for a lost
// reply, such as io.ErrUnexpectedEOF. Errors of fn remain. If err is nil, no reply is
// lost. Replies are counted for each call separately: if an outer loop calls an inner one
// several times, each of the inner calls loses replies.
func LoseReplies(ctx context.Context, n int, err error) context.Context {
	return retry.Override(ctx, retry.WithMapError(func(ctx context.Context, actual error) error {
		if actual == nil && retry.PreviousAttempts(ctx) < n {
			return err
		}
		return actual
	}))
}

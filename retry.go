// Package retry calls a function repeatedly until it succeeds or retrying should
// stop, with exponential backoff and full jitter between the attempts.
//
//	err := retry.Do(ctx, func(ctx context.Context) error {
//		return client.Send(ctx, message)
//	})
//
// [DoValue] does the same for a function that also returns a value. [Wrap] and
// [WrapUnary] return a function that retries. An attempt is a call of the function,
// including the first; a retry is an attempt after the first.
//
// # Defaults
//
// Do makes at most 5 attempts. The wait before each retry is drawn uniformly between
// 0 and a ceiling of 250ms, 500ms, 1s, and 2s (see [Exponential]), so if every attempt
// fails, the call waits 1.875s on average and at most 3.75s. All errors are retried
// except those marked with [Permanent] and those of a nested call that gave up. All of
// this can be changed with options; [Policy] combines options for reuse.
//
// # Stopping
//
// A call ends at the first success, or for one of the reasons listed at [Do]. Do does
// not wait pointlessly: if the next attempt would start at or after ctx's deadline, it
// returns at once.
//
// # Errors
//
// Every error is an [*Error]. It holds the last error of the function and the reason
// for stopping, such as [ErrExhausted]. errors.Is and errors.As match either;
// errors.Unwrap returns the former.
//
// # Nested calls
//
// If the function itself calls code that uses this package, the attempts do not
// multiply: Do does not retry the error of a nested call that gave up after retrying.
// This includes errors that wrap the error of a nested call. To retry nevertheless, return
// an error that does not wrap it, made with %v instead of %w. Such an error also hides that
// the nested call's error was [Permanent] or asked for a delay; mark it again if it was.
//
// # Testing
//
// In a testing/synctest bubble, or with the clock of package retrytest, code that
// retries does not wait. [WithSource] with a seeded source makes the waits
// reproducible. If the code under test accepts no options, pass them through its
// context with [Override].
//
// # Load
//
// Retries multiply the load on a service when it is least able to bear it. Retry at
// one layer only, share a [Budget] among the calls to a dependency, honor the delay
// that a server asks for with [After], and retry only what is safe to repeat.
package retry

import (
	"context"
	"math"
	"time"
)

// Do calls fn until it succeeds, and waits between the attempts for a random time
// below a ceiling that grows exponentially. If ctx is already done, Do does not call
// fn.
//
// Do returns nil as soon as fn returns nil, even if ctx is done by then. Otherwise it
// returns an [*Error] whose Reason is the first of the following that applies.
//
//  1. An option or argument is invalid: [ErrInvalid]. Do does not call fn.
//  2. ctx is done, before or after an attempt: an error that matches ctx.Err() and
//     context.Cause(ctx).
//  3. The error is not retryable (see [WithRetryIf]): [ErrNotRetryable].
//  4. This was the last attempt that [WithMaxAttempts] permits: [ErrExhausted].
//  5. The error asks for a longer delay than [WithMaxRetryAfter] permits:
//     [ErrRetryAfter].
//  6. The next attempt would start too late for [WithMaxElapsed]: [ErrMaxElapsed].
//  7. The next attempt would start at or after ctx's deadline: [ErrDeadline].
//  8. The [WithBudget] has no token left: [ErrBudget].
//  9. ctx ends in a hook or during the wait: as in 2.
//  10. The Sleep method of a custom [Clock] fails: the error that it returned.
//
// Do calls fn on the goroutine that called Do, and starts no goroutine itself. The
// context that fn gets is ctx or derived from it; see [WithAttemptTimeout] and
// [PreviousAttempts]. fn must be safe to repeat. Do does not recover a panic in fn.
// Do is safe for concurrent use.
func Do(ctx context.Context, fn func(context.Context) error, opts ...Option) error {
	if ctx == nil {
		return &Error{Reason: invalid("argument: nil ctx")}
	}
	if fn == nil {
		return &Error{Reason: invalid("argument: nil fn")}
	}
	s := scopeOf(ctx)
	p := &noOptions
	if len(opts) > 0 {
		p = policyOf(opts[0])
	}
	if len(opts) > 1 || s.override != nil {
		return doMerged(ctx, fn, s, p, opts[min(1, len(opts)):])
	}
	return do(ctx, fn, s, p)
}

// doMerged is do with a policy that is p with opts and the override of s applied. It
// copies opts, so that the caller may reuse their array. If they are too many for the
// copy, another call merges the rest on top of this one.
func doMerged(ctx context.Context, fn func(context.Context) error, s *scope, p *policy, opts []Option) error {
	var own [8]*policy
	n := min(len(opts), len(own)-1)
	for i := range n {
		own[i] = policyOf(opts[i])
	}
	if n < len(opts) {
		merged := merge(p, own[:n], false)
		return doMerged(ctx, fn, s, &merged, opts[n:])
	}
	if s.override != nil {
		own[n] = s.override
		n++
	}
	merged := merge(p, own[:n], s.override != nil)
	return do(ctx, fn, s, &merged)
}

// DoValue is like [Do] for a function that also returns a value. It returns the value
// of the last call of fn, even if that call failed, or the zero value if fn was not
// called. With [WithAttemptTimeout], the value must not depend on the context of fn.
func DoValue[T any](ctx context.Context, fn func(context.Context) (T, error), opts ...Option) (value T, err error) {
	if fn == nil {
		return value, Do(ctx, nil, opts...)
	}
	err = Do(ctx, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	}, opts...)
	return value, err
}

// Wrap returns a function that calls fn as [DoValue] does with opts. The options are
// applied once; if they or fn are invalid, each call returns [ErrInvalid]. The result
// is safe for concurrent use if fn is.
func Wrap[T any](fn func(context.Context) (T, error), opts ...Option) func(context.Context) (T, error) {
	p := Policy(opts...)
	return func(ctx context.Context) (T, error) {
		return DoValue(ctx, fn, p)
	}
}

// WrapUnary is like [Wrap] for a function that takes one argument in addition to ctx.
// Every attempt gets the same argument. To pass several, use a struct.
func WrapUnary[In, Out any](fn func(context.Context, In) (Out, error), opts ...Option) func(context.Context, In) (Out, error) {
	p := Policy(opts...)
	return func(ctx context.Context, in In) (out Out, err error) {
		if fn == nil {
			return out, Do(ctx, nil, p)
		}
		err = Do(ctx, func(ctx context.Context) (err error) {
			out, err = fn(ctx, in)
			return err
		}, p)
		return out, err
	}
}

// A call is the state of one call of Do: the Event that hooks get, and what they do
// not see.
type call struct {
	Event
	said    advice        // what Err said about retrying
	earlier int           // attempts before the last Restart
	start   time.Time     // when Do was called, if the policy is timed
	restart time.Duration // Elapsed at the last Restart
	timer   *time.Timer   // of the system clock, for all waits
	charged bool          // a token was taken for the retry that is under way or about to start
}

// do makes attempts until one succeeds or there is a reason to stop.
func do(ctx context.Context, fn func(context.Context) error, s *scope, p *policy) error {
	if p.invalid != "" {
		return &Error{Reason: invalid("option: " + p.invalid)}
	}
	var c call
	if p.timed {
		c.start = p.now()
	}
	if ctx.Err() != nil {
		return c.end(ctx, p, ended(ctx))
	}
	attemptCtx := ctx
	if s.previous > 0 {
		attemptCtx = &scope{ctx, 0, s.override}
	}
	for {
		c.Attempt++
		var err error
		if p.attemptTimeout == 0 && p.mapError == nil {
			err = fn(attemptCtx)
		} else {
			err = c.attempt(attemptCtx, fn, p)
		}
		if err == nil {
			if p.budget != nil {
				c.deposit(p.budget)
			}
			if p.onDone != nil {
				c.observeEnd(ctx, p, nil)
			}
			return nil
		}
		reason := c.next(ctx, p, err)
		switch {
		case reason != nil:
		case p.budget != nil:
			reason = c.charge(ctx, p)
		default:
			reason = c.pause(ctx, p)
		}
		if reason != nil {
			return c.end(ctx, p, reason)
		}
		attemptCtx = &scope{ctx, c.Attempt - c.earlier, s.override}
	}
}

// attempt calls fn with a timeout, and then the error maps.
func (c *call) attempt(ctx context.Context, fn func(context.Context) error, p *policy) error {
	if p.attemptTimeout > 0 {
		starts := false
		defer func() {
			if !starts {
				c.refund(p.budget) // ctx panicked
			}
		}()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.attemptTimeout)
		defer cancel()
		starts = true
	}
	err := fn(ctx)
	if p.mapError != nil {
		err = p.mapErrors(ctx, err)
	}
	return err
}

// next decides what follows an attempt that failed with err. It returns nil if that
// is another attempt after c.Wait, and the reason to stop otherwise. The order of the
// checks is part of what Do promises.
func (c *call) next(ctx context.Context, p *policy, err error) error {
	c.said = advice{}
	c.Err = c.said.unmark(err)
	if !c.said.permanent || p.budget != nil { // else the rest matters to Error.advice only
		c.said.read(c.Err, c.said.restart)
		c.said.complete = true
	}
	if c.said.restart {
		if p.budget != nil {
			c.deposit(p.budget)
		}
		c.earlier = c.Attempt - 1
		if p.maxElapsed > 0 {
			c.restart = p.now().Sub(c.start)
		}
	}
	c.charged = false

	if ctx.Err() != nil {
		return ended(ctx)
	}
	switch {
	case c.said.permanent:
		return ErrNotRetryable
	case c.said.gaveUp && p.maxAttempts != Unlimited: // without a limit, nothing multiplies
		return errNested
	case p.retryIf != nil && !p.retryIf(err):
		return ErrNotRetryable
	}
	attempt := c.Attempt - c.earlier
	if attempt >= or(p.maxAttempts, 5) {
		return ErrExhausted
	}
	after := c.said.after
	if limit := or(p.maxRetryAfter, time.Minute); after > limit {
		return &verdict{"asked to wait " + after.String() + ", more than WithMaxRetryAfter(" + limit.String() + ")", ErrRetryAfter}
	}

	var now time.Time
	deadline, hasDeadline := ctx.Deadline()
	if hasDeadline || p.timed {
		now = p.now()
		c.Elapsed = now.Sub(c.start)
	}
	delay, jitter, r := defaultDelay, FullJitter, runtimeRand
	if p.delay != nil {
		delay = p.delay
	}
	if p.jitter != nil {
		jitter = p.jitter
	}
	if p.rand != nil {
		r = p.rand()
	}
	ceiling := max(delay(attempt), 0)
	if after > 0 {
		// Clients that were told the same delay must not return together, but the
		// spread must not make this call give up.
		left := time.Duration(math.MaxInt64)
		if p.maxElapsed > 0 {
			left = p.maxElapsed - max(c.Elapsed-c.restart, 0)
		}
		if hasDeadline {
			left = min(left, deadline.Sub(now))
		}
		ceiling = max(ceiling, min(after, left-after)/2)
	}
	c.Wait = add(max(jitter(ceiling, r), 0), after)
	if p.maxElapsed > 0 && add(c.Elapsed-c.restart, c.Wait) >= p.maxElapsed {
		return ErrMaxElapsed
	}
	// The deadline is compared as a Time because deadline.Sub(now) saturates.
	if hasDeadline && !now.Add(c.Wait).Before(deadline) {
		return ErrDeadline
	}
	return nil
}

// charge takes a token for the next attempt and then pauses. The token goes back if the
// attempt does not start, also if a hook, the Clock, or ctx panics or exits the goroutine.
func (c *call) charge(ctx context.Context, p *policy) error {
	if !p.budget.withdraw() {
		return ErrBudget
	}
	c.charged = true
	starts := false
	defer func() {
		if !starts {
			c.refund(p.budget)
		}
	}()
	reason := c.pause(ctx, p)
	starts = reason == nil
	return reason
}

// pause calls the OnRetry hooks and then waits for c.Wait or until ctx is done. It returns
// nil if the next attempt can start, and the reason to stop otherwise.
func (c *call) pause(ctx context.Context, p *policy) error {
	if p.onRetry != nil && ctx.Err() == nil {
		p.observe(ctx, c.Event, false)
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if p.clock != nil {
		if err := p.clock().Sleep(ctx, c.Wait); err != nil {
			return or(ended(ctx), err)
		}
	} else if c.Wait > 0 {
		if c.timer == nil {
			c.timer = time.NewTimer(c.Wait)
		} else {
			c.timer.Reset(c.Wait)
		}
		select {
		case <-c.timer.C:
		case <-ctx.Done():
			c.timer.Stop()
			return ended(ctx)
		}
	}
	c.Waited = add(c.Waited, c.Wait)
	if ctx.Err() != nil { // a cancellation takes precedence over a timer
		return ended(ctx)
	}
	return nil
}

// end ends the call for reason.
func (c *call) end(ctx context.Context, p *policy, reason error) error {
	if p.onDone != nil {
		c.observeEnd(ctx, p, reason)
	}
	return &Error{Attempts: c.Attempt, Waited: c.Waited, Err: c.Err, Reason: reason, said: c.said}
}

// observeEnd calls the OnDone hooks. The reason is nil if the call succeeded.
func (c *call) observeEnd(ctx context.Context, p *policy, reason error) {
	c.Wait, c.Reason = 0, reason
	c.Elapsed = p.now().Sub(c.start)
	p.observe(ctx, c.Event, true)
}

// deposit credits b with an attempt that succeeded or made progress.
func (c *call) deposit(b *Budget) {
	c.refund(b)
	b.deposit(b.ratio)
}

// refund returns the token of a retry that does not start.
func (c *call) refund(b *Budget) {
	if c.charged {
		c.charged = false
		b.deposit(token)
	}
}

func (p *policy) now() time.Time {
	if p.clock == nil {
		return time.Now()
	}
	return p.clock().Now()
}

// mapErrors returns what the error maps make of err. Those of an override run first.
func (p *policy) mapErrors(ctx context.Context, err error) error {
	if p.base == nil {
		if p.mapError != nil {
			err = p.mapError(ctx, err)
		}
		return err
	}
	opts := p.opts
	if p.overridden {
		last := len(opts) - 1
		err = opts[last].mapErrors(ctx, err)
		opts = opts[:last]
	}
	err = p.base.mapErrors(ctx, err)
	for _, o := range opts {
		err = o.mapErrors(ctx, err)
	}
	return err
}

// add returns a + b for b ≥ 0, or the maximum Duration if that overflows.
func add(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

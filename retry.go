// Package retry retries functions that fail, with exponential backoff and full jitter.
//
// [Do] calls a function until it succeeds or there is a reason to stop:
//
//	err := retry.Do(ctx, func(ctx context.Context) error {
//		return client.Send(ctx, message)
//	})
//
// [DoValue] does the same for a function that also returns a value. [Wrap] and
// [WrapUnary] add retries to a function without changing its type. An attempt is any call
// to the function, including the first. A retry is any attempt after the first.
//
// # Defaults
//
// Do makes at most 5 attempts. Before each retry, Do waits for a random time between 0
// and a ceiling. The ceiling is 250ms before the first retry and doubles before each
// further retry (see [Exponential]). If every attempt fails and no error asks for a
// delay, the waits add up to 1.875s on average and at most 3.75s. Do retries every error
// unless it is permanent (see [Permanent]), comes from a nested call that gave up, or
// asks for a delay of more than 1 minute (see [After]). Options change these defaults,
// and [Policy] combines options for reuse.
//
// # Stopping
//
// Do stops at the first success, or for one of the reasons in its documentation. If the
// next attempt would start at or after the deadline of ctx, Do returns immediately
// instead of waiting.
//
// # Errors
//
// Every error that Do returns is an [*Error]. An Error holds the last error of the
// function and the reason for stopping, such as [ErrExhausted]. errors.Is and errors.As
// search both of these errors. errors.Unwrap returns the last error of the function. In
// this documentation, "Do returns ErrExhausted" means that the reason in the returned
// Error matches ErrExhausted.
//
// # Nested calls
//
// A call is nested if it is made inside the function that another call retries. To keep
// the attempts from multiplying, Do does not retry the error of a nested call that gave
// up, or an error that wraps it. A nested call gave up if it returned [ErrBudget], or if
// it retried and then returned [ErrExhausted], [ErrMaxElapsed], or [ErrDeadline].
// However, a nested call whose last error asked for a delay (see [After]) did not give up
// if it returned ErrMaxElapsed or ErrDeadline. Nor did a nested call give up if its own
// [WithRetryIf] rejected the error.
//
// Do treats the error of a nested call that gave up like any other error in two cases: if
// the outer call has [Unlimited] attempts, or if the error is marked with [Restart]. To
// retry such an error in other cases, return a new error that does not wrap it, for
// example one made with %v instead of %w. The new error hides whether the nested call's
// error was permanent or asked for a delay, so mark the new error with [Permanent] or
// [After] if necessary.
//
// # Testing
//
// Tests do not have to wait between attempts. Run them in a testing/synctest bubble, or
// use the fake clock of package retrytest. To make the waits reproducible, use
// [WithSource] with a seeded source. If the code under test accepts no options, use
// [Override] to pass options through its context.
//
// # Load
//
// Retries multiply the load on a service when the service is least able to handle it.
// Retry at one layer only, share a [Budget] among all calls to the same dependency, use
// [After] to honor the delay that a server asks for, and retry only operations that are
// safe to repeat.
package retry

import (
	"context"
	"math"
	"time"
)

// Do calls fn until fn succeeds or there is a reason to stop. Between attempts, Do waits
// for a random time up to a ceiling that grows exponentially. If ctx is already done, Do
// does not call fn.
//
// Do returns nil as soon as an attempt succeeds, even if ctx is done by then. Otherwise
// Do returns an [*Error]. The first of the following conditions that is true determines
// its Reason:
//
//  1. An option or argument is invalid: [ErrInvalid]. Do does not call fn.
//  2. ctx is done, before or after an attempt: an error that matches ctx.Err() and
//     context.Cause(ctx).
//  3. The error is not retryable (see [WithRetryIf]): [ErrNotRetryable].
//  4. This was the last attempt that [WithMaxAttempts] permits: [ErrExhausted].
//  5. The error asks for a longer delay than [WithMaxRetryAfter] permits:
//     [ErrRetryAfter].
//  6. The next attempt would start at or after the limit of [WithMaxElapsed]:
//     [ErrMaxElapsed].
//  7. The next attempt would start at or after ctx's deadline: [ErrDeadline].
//  8. The [Budget] has no token left: [ErrBudget].
//  9. ctx is done before the wait ends: the same reason as in 2.
//  10. The Sleep method of a custom [Clock] fails: the error from Sleep.
//
// Do calls fn on the goroutine that called Do, and does not start any goroutines. fn
// receives ctx or a context derived from it; see [WithAttemptTimeout] and
// [PreviousAttempts]. fn must be safe to repeat. Do does not recover panics in fn. Do is
// safe for concurrent use.
func Do(ctx context.Context, fn func(context.Context) error, opts ...Option) error {
	if ctx == nil {
		return invalid("argument", "nil ctx")
	}
	if fn == nil {
		return invalid("argument", "nil fn")
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

// doMerged calls do with a copy of p to which opts and the override of s are applied. It
// copies opts, so that the caller may reuse their array. If there are too many opts for
// the copy, doMerged merges as many as fit and calls itself with the rest.
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

// DoValue is like [Do], but for a function that also returns a value. It returns the
// value from the last call to fn, even if that call failed, or the zero value if fn was
// not called. If [WithAttemptTimeout] is used, the value must not depend on the context
// that fn gets.
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

// Wrap returns a function that calls [DoValue] with fn and opts. Wrap merges the options
// once, not on each call. If an option is invalid or fn is nil, every call to the
// returned function returns [ErrInvalid]. The returned function is safe for concurrent
// use if fn and the values in opts are.
func Wrap[T any](fn func(context.Context) (T, error), opts ...Option) func(context.Context) (T, error) {
	p := Policy(opts...)
	return func(ctx context.Context) (T, error) {
		return DoValue(ctx, fn, p)
	}
}

// WrapUnary is like [Wrap], but for a function that takes one argument in addition to
// ctx. Every attempt gets the same argument. To pass more than one argument, use a
// struct.
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

// A call holds the state of one call to Do. The embedded Event is the part that hooks
// see.
type call struct {
	Event
	said    advice        // what the last error, with its markers, says about retrying
	earlier int           // attempts before the one that was last marked with Restart
	start   time.Time     // when Do was called, if the policy is timed
	restart time.Duration // Elapsed at the last Restart
	timer   *time.Timer   // for all waits, if there is no custom Clock
	charged bool          // whether the budget was charged for the current or next retry
}

// do makes attempts until one succeeds or there is a reason to stop.
func do(ctx context.Context, fn func(context.Context) error, s *scope, p *policy) error {
	if p.invalid != "" {
		return invalid("option", p.invalid)
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
			err = fn(attemptCtx) // the same as c.attempt, but faster
		} else {
			err = c.attempt(attemptCtx, fn, p)
		}
		if err == nil {
			if p.budget != nil {
				c.deposit(p)
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

// attempt calls fn, with the attempt timeout if there is one, and then the error maps.
func (c *call) attempt(ctx context.Context, fn func(context.Context) error, p *policy) error {
	if p.attemptTimeout > 0 {
		starts := false
		defer func() {
			if !starts {
				c.refund(p) // a method of ctx panicked
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

// next decides what to do after an attempt failed with err. It returns nil if another
// attempt should follow after c.Wait, and the reason to stop otherwise. The documentation
// of Do promises the order of the checks.
func (c *call) next(ctx context.Context, p *policy, err error) error {
	c.said = advice{}
	c.Err = c.said.unmark(err)
	if !c.said.permanent || p.budget != nil { // otherwise, Error.advice reads the rest if it is needed
		c.said.read(c.Err, c.said.restart)
		c.said.complete = true
	}
	if c.said.restart {
		if p.budget != nil {
			c.deposit(p)
		}
		c.earlier = c.Attempt - 1
		if p.maxElapsed > 0 {
			c.restart = p.now().Sub(c.start)
		}
	}

	if ctx.Err() != nil {
		return ended(ctx)
	}
	switch {
	case c.said.permanent:
		return ErrNotRetryable
	case c.said.final && p.maxAttempts != Unlimited: // unlimited attempts cannot be multiplied
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
		return waitTooLong(after, limit)
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
		// The ceiling is raised to keep clients that were given the same delay from
		// retrying at the same time, but this must not make the call stop.
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

// charge takes a token for the next attempt and then pauses. If the attempt does not
// start, charge puts the token back, even if the Clock or ctx panics or a hook exits the
// goroutine.
func (c *call) charge(ctx context.Context, p *policy) error {
	if !p.budget().withdraw() {
		return ErrBudget
	}
	c.charged = true
	starts := false
	defer func() {
		if !starts {
			c.refund(p)
		}
	}()
	reason := c.pause(ctx, p)
	starts = reason == nil
	return reason
}

// pause calls the OnRetry hooks and then waits for c.Wait or until ctx is done. It
// returns nil if the next attempt can start, and the reason to stop otherwise.
func (c *call) pause(ctx context.Context, p *policy) error {
	if p.onRetry != nil && ctx.Err() == nil {
		p.observe(ctx, &c.Event, false)
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if p.clock != nil {
		if err := p.clock().Sleep(ctx, c.Wait); err != nil {
			if ctx.Err() != nil {
				return ended(ctx)
			}
			return err
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
	if ctx.Err() != nil { // takes precedence over a timer that fires at the same time
		return ended(ctx)
	}
	return nil
}

// end calls the OnDone hooks and returns the error of a call that stops for reason.
func (c *call) end(ctx context.Context, p *policy, reason error) error {
	if p.onDone != nil {
		c.observeEnd(ctx, p, reason)
	}
	return &Error{Attempts: c.Attempt, Waited: c.Waited, Err: c.Err, Reason: reason, said: c.said}
}

// observeEnd calls the OnDone hooks. If the call succeeded, reason is nil.
func (c *call) observeEnd(ctx context.Context, p *policy, reason error) {
	c.Wait, c.Reason = 0, reason
	c.Elapsed = p.now().Sub(c.start)
	p.observe(ctx, &c.Event, true)
}

// deposit credits the budget of p for an attempt that succeeded or made progress.
func (c *call) deposit(p *policy) {
	b := p.budget()
	if c.charged { // the same as c.refund, but faster
		c.charged = false
		b.deposit(token)
	}
	b.deposit(b.ratio)
}

// refund puts back the token that was taken for a retry, if there is one.
func (c *call) refund(p *policy) {
	if c.charged {
		c.charged = false
		p.budget().deposit(token)
	}
}

func (p *policy) now() time.Time {
	if p.clock == nil {
		return time.Now()
	}
	return p.clock().Now()
}

// mapErrors applies the error maps to err and returns the result. The error maps of an
// override run first.
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

// add returns a + b, or the maximum Duration if the sum overflows. b must not be
// negative.
func add(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

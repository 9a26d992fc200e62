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
// An error that wraps a nested call's error counts as well; use %v instead of %w with
// fmt.Errorf to retry it nevertheless.
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
		return invalid("invalid argument: nil ctx")
	}
	if fn == nil {
		return invalid("invalid argument: nil fn")
	}
	p := &noOptions
	if len(opts) > 0 {
		p, opts = policyOf(opts[0]), opts[1:]
	}
	c := call{scope: scopeOf(ctx)}
	if len(opts) > 0 || c.scope.override != nil {
		return c.doMerged(ctx, fn, p, opts)
	}
	return c.do(ctx, fn, p)
}

// doMerged is do with a policy that is p with opts and the override of ctx applied. It
// copies opts, so that the caller may reuse their array. Options beyond the length of
// the copy are merged by another call on top of this one.
func (c *call) doMerged(ctx context.Context, fn func(context.Context) error, p *policy, opts []Option) error {
	var own [8]*policy
	n := min(len(opts), len(own))
	for i := range n {
		own[i] = policyOf(opts[i])
	}
	if n < len(opts) {
		merged := merge(p, own[:n], nil)
		return c.doMerged(ctx, fn, &merged, opts[n:])
	}
	merged := merge(p, own[:n], c.scope.override)
	return c.do(ctx, fn, &merged)
}

// DoValue is like [Do] for a function that also returns a value. It returns the value
// of the last call of fn, even if that call failed, or the zero value if fn was not
// called.
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
	scope   scope         // of the context of Do
	said    advice        // what Err said about retrying
	earlier int           // attempts before the last Restart
	start   time.Time     // when Do was called, if the policy is timed
	restart time.Duration // Elapsed at the last Restart
	timer   *time.Timer   // of the system clock, for all waits
	lent    bool          // a token was taken for a retry that has not started
	charged bool          // a token was taken for the attempt that is under way
}

// do makes attempts until one succeeds or there is a reason to stop.
func (c *call) do(ctx context.Context, fn func(context.Context) error, p *policy) error {
	if p.invalid != "" {
		return invalid("invalid option: " + p.invalid)
	}
	if p.timed() {
		c.start = p.now()
	}
	if p.budget != nil {
		defer c.returnLent(p) // user code can panic or exit before the retry starts
	}
	for {
		if err := ctx.Err(); err != nil {
			return c.end(ctx, p, reasonOf(ctx, err))
		}
		err := c.attempt(ctx, fn, p)
		if err == nil {
			c.deposit(p)
			c.observeEnd(ctx, p, nil)
			return nil
		}
		reason := c.next(ctx, p, err)
		if reason == nil && ctx.Err() == nil {
			reason = c.wait(ctx, p)
		}
		if reason != nil {
			return c.end(ctx, p, reason)
		}
	}
}

// attempt calls fn and then the error maps.
func (c *call) attempt(ctx context.Context, fn func(context.Context) error, p *policy) error {
	if p.attemptTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.attemptTimeout)
		defer cancel()
	}
	previous := c.Attempt - c.earlier
	if previous > 0 || c.scope.previous > 0 {
		ctx = &scopeCtx{ctx, scope{c.scope.override, previous}}
	}
	c.Attempt++
	c.charged, c.lent = c.lent, false
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
	c.Err, c.said = read(err)
	if c.said.restart {
		c.earlier = c.Attempt - 1
		if p.maxElapsed > 0 {
			c.restart = p.now().Sub(c.start)
		}
		c.deposit(p)
	}
	if err := ctx.Err(); err != nil {
		return reasonOf(ctx, err)
	}
	if reason := p.notRetryable(err, c.said); reason != nil {
		return reason
	}
	attempt := c.Attempt - c.earlier
	if attempt >= p.attempts() {
		return ErrExhausted
	}
	if limit := p.retryAfterLimit(); c.said.after > limit {
		return &verdict{"asked to wait " + c.said.after.String() + ", more than WithMaxRetryAfter(" + limit.String() + ")", ErrRetryAfter}
	}

	var now time.Time
	deadline, hasDeadline := ctx.Deadline()
	if hasDeadline || p.timed() {
		now = p.now()
		c.Elapsed = now.Sub(c.start)
	}
	ceiling := p.ceiling(attempt)
	if after := c.said.after; after > 0 {
		// Clients that were told the same delay must not return together, but the
		// spread must not make this call give up.
		left := time.Duration(math.MaxInt64)
		if p.maxElapsed > 0 {
			left = p.maxElapsed - (c.Elapsed - c.restart)
		}
		if hasDeadline {
			left = min(left, deadline.Sub(now))
		}
		ceiling = max(ceiling, min(after, left-after)/2)
	}
	c.Wait = add(p.draw(ceiling), c.said.after)
	if p.maxElapsed > 0 && add(c.Elapsed-c.restart, c.Wait) >= p.maxElapsed {
		return ErrMaxElapsed
	}
	// The deadline is compared as a Time because deadline.Sub(now) saturates.
	if hasDeadline && !now.Add(c.Wait).Before(deadline) {
		return ErrDeadline
	}
	if p.budget != nil {
		if !p.budget.withdraw() {
			return ErrBudget
		}
		c.lent = true
	}
	if p.onRetry != nil && ctx.Err() == nil {
		p.observe(ctx, c.Event, false)
	}
	return nil
}

// wait sleeps for c.Wait or until ctx is done. It returns the error of a Clock that
// fails for another reason.
func (c *call) wait(ctx context.Context, p *policy) error {
	if p.clock != nil {
		err := p.clock().Sleep(ctx, c.Wait)
		if err != nil {
			if ctx.Err() != nil {
				return nil
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
			return nil
		}
	}
	c.Waited = add(c.Waited, c.Wait)
	return nil
}

// end ends the call for reason.
func (c *call) end(ctx context.Context, p *policy, reason error) error {
	c.returnLent(p)
	c.observeEnd(ctx, p, reason)
	return &Error{Attempts: c.Attempt, Waited: c.Waited, Err: c.Err, Reason: reason, said: c.said}
}

// observeEnd calls the OnDone hooks. The reason is nil if the call succeeded.
func (c *call) observeEnd(ctx context.Context, p *policy, reason error) {
	if p.onDone != nil {
		c.Wait, c.Reason = 0, reason
		c.Elapsed = p.now().Sub(c.start)
		p.observe(ctx, c.Event, true)
	}
}

// deposit credits the budget with an attempt that succeeded or made progress.
func (c *call) deposit(p *policy) {
	if p.budget == nil {
		return
	}
	if c.charged {
		c.charged = false
		p.budget.deposit(token)
	}
	p.budget.deposit(p.budget.ratio)
}

// returnLent returns the token of a retry that does not start.
func (c *call) returnLent(p *policy) {
	if c.lent {
		c.lent = false
		p.budget.deposit(token)
	}
}

// attempts returns the limit on attempts.
func (p *policy) attempts() int {
	if p.maxAttempts == 0 {
		return 5
	}
	return p.maxAttempts
}

// retryAfterLimit returns the longest delay that an error may ask for.
func (p *policy) retryAfterLimit() time.Duration {
	if p.maxRetryAfter == 0 {
		return time.Minute
	}
	return p.maxRetryAfter
}

// timed reports whether the time at which the call starts matters. Reading the clock
// costs more than the rest of a call whose first attempt succeeds.
func (p *policy) timed() bool {
	return p.maxElapsed > 0 || p.onRetry != nil || p.onDone != nil
}

func (p *policy) now() time.Time {
	if p.clock == nil {
		return time.Now()
	}
	return p.clock().Now()
}

// notRetryable returns the reason not to retry err, or nil. The verdict of a nested
// call does not count if attempts are unlimited, because nothing multiplies then.
func (p *policy) notRetryable(err error, said advice) error {
	if said.permanent {
		return ErrNotRetryable
	}
	if said.gaveUp && p.maxAttempts != Unlimited {
		return errNested
	}
	if p.retryIf == nil {
		return nil
	}
	for _, pred := range p.retryIf {
		if pred(err) {
			return nil
		}
	}
	return ErrNotRetryable
}

// ceiling returns the backoff after the given attempt.
func (p *policy) ceiling(attempt int) time.Duration {
	if p.delay == nil {
		return Exponential{}.Delay(attempt)
	}
	return max(p.delay(attempt), 0)
}

// draw returns ceiling with jitter.
func (p *policy) draw(ceiling time.Duration) time.Duration {
	r := runtimeRand
	if p.rand != nil {
		r = p.rand()
	}
	if p.jitter == nil {
		return FullJitter(ceiling, r)
	}
	return max(p.jitter(ceiling, r), 0)
}

// mapErrors returns what the error maps make of err. Those of an override come first.
func (p *policy) mapErrors(ctx context.Context, err error) error {
	if p.base == nil {
		if p.mapError != nil {
			err = p.mapError(ctx, err)
		}
		return err
	}
	if p.override != nil {
		err = p.override.mapErrors(ctx, err)
	}
	err = p.base.mapErrors(ctx, err)
	for _, o := range p.opts {
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

// Package retry calls a function again until it succeeds or there is a reason to
// stop, with exponential backoff and full jitter between the attempts.
//
//	err := retry.Do(ctx, func(ctx context.Context) error {
//		return client.Send(ctx, message)
//	})
//
// [DoValue] is the same for a function that returns a value; [Wrap] and
// [WrapUnary] turn a function into one that retries.
//
// # Defaults
//
// Up to 5 attempts. The wait before each retry is drawn uniformly from 0 to a
// ceiling of 250ms, 500ms, 1s and 2s (see [Exponential]), so a call that fails
// for good waits 1.9s on average and 3.75s at most. Every error is retried but a
// [Permanent] one, and one that an inner Do gave up on. Options change all of
// that; a [Policy] is a named set of them.
//
// An attempt is a call of the function, the first one included. A retry is an
// attempt after the first.
//
// # Stopping
//
// A call ends with the first success, and otherwise for one of the reasons that
// [Do] lists in their order. It does not wait in vain: if the next attempt would
// come at ctx's deadline or later, it gives up at once.
//
// # Errors
//
// Every error is an [*Error]. It holds the last error of the function, which
// errors.Is, errors.As and errors.Unwrap find, and the reason why there was no
// further attempt, such as [ErrExhausted], which errors.Is and errors.As find,
// too.
//
// # Testing
//
// Code that retries runs without waiting in a testing/synctest bubble, or with
// an injected [Clock]. A seeded [WithSource] repeats the waits. Where the code
// takes no options, [Override] passes them through ctx.
//
// # Load
//
// Retries multiply load when a service is least able to bear it. Retry at one
// layer only, give each dependency a [Budget], let the server push back with
// [After], and retry only what is safe to repeat.
package retry

import (
	"context"
	"math"
	"time"
)

// Do calls fn until it succeeds, waiting between the attempts for a random time
// below an exponentially growing ceiling. If ctx is already done, it does not call
// fn at all.
//
// It returns nil as soon as fn does, even if ctx has ended meanwhile. Otherwise it
// returns an [*Error] whose Reason is the first that applies of
//
//  1. an option or argument is invalid, before fn is called: [ErrInvalid]
//  2. ctx is done, before an attempt or after it: what matches both ctx.Err() and
//     context.Cause(ctx)
//  3. the error is not to be retried, see [WithRetryIf]: [ErrNotRetryable]
//  4. that was the last attempt, see [WithMaxAttempts]: [ErrExhausted]
//  5. the next attempt would come too late for [WithMaxElapsed]: [ErrMaxElapsed]
//  6. it would come at ctx's deadline or later: context.DeadlineExceeded, at once
//     and without the pointless wait
//  7. the shared [WithBudget] has no token left: [ErrBudget]
//  8. ctx ends in a hook or during the wait: as 2
//  9. the Sleep of an injected [Clock] fails: its error
//
// fn is called on the caller's goroutine; Do starts none. A panic or
// runtime.Goexit in fn goes through Do and leaves nothing behind. fn gets ctx or
// one derived from it, see [WithAttemptTimeout] and [PreviousAttempts]. It must
// be safe to repeat. Do may be called from any number of goroutines.
func Do(ctx context.Context, fn func(context.Context) error, opts ...Option) error {
	if ctx == nil {
		return invalid("argument: nil ctx")
	}
	if fn == nil {
		return invalid("argument: nil fn")
	}
	p := prepared(opts)
	if p == nil {
		return doInline(ctx, fn, opts)
	}
	s := scopeOf(ctx)
	if s.override != nil && p.override == nil {
		return doOverridden(ctx, fn, p, s.override)
	}
	if p.problem != "" {
		return invalid(p.problem)
	}
	c := call{scope: s}
	if p.timed {
		// Only there: the clock costs more than all the rest of a call whose
		// first attempt succeeds.
		c.start = p.now()
	}
	if p.budget != nil {
		defer c.giveBack(p) // a hook may Goexit, and a Clock panic
	}
	for {
		if done, err := c.attempt(ctx, fn, p); done {
			return err
		}
		if c.wait == 0 || ctx.Err() != nil {
			continue
		}
		// A call may wait for long, and there may be very many. So it waits
		// here, with little on its stack, and with one timer for all waits.
		if c.timer == nil {
			c.timer = time.NewTimer(c.wait)
		} else {
			c.timer.Reset(c.wait)
		}
		select {
		case <-c.timer.C:
			c.waited = add(c.waited, c.wait)
		case <-ctx.Done():
			c.timer.Stop()
		}
	}
}

// prepared returns what a Policy has resolved already, or nil if opts are not one.
func prepared(opts []Option) *policy {
	if len(opts) == 0 {
		return &defaults
	}
	if p, ok := opts[0].(*policy); ok && len(opts) == 1 {
		return p
	}
	return nil
}

// doInline is Do with options that no Policy has resolved. It is apart, like
// doOverridden, so that only the calls which need a policy of their own have it on
// their stack.
func doInline(ctx context.Context, fn func(context.Context) error, opts []Option) error {
	p := resolve(&defaults, opts)
	p.opts = opts
	return Do(ctx, fn, &p)
}

// doOverridden is Do with p and what ctx overrides of it.
func doOverridden(ctx context.Context, fn func(context.Context) error, p *policy, override *policy) error {
	o := resolve(p, override.opts)
	o.override = override
	return Do(ctx, fn, &o)
}

// DoValue is like [Do] for an fn that returns a value. It returns the value of
// the last call of fn, beside an error too, or the zero value if there was none.
func DoValue[T any](ctx context.Context, fn func(context.Context) (T, error), opts ...Option) (T, error) {
	var value T
	if fn == nil {
		return value, Do(ctx, nil, opts...)
	}
	err := Do(ctx, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	}, opts...)
	return value, err
}

// Wrap returns a function that calls fn like [DoValue] with opts. They are
// resolved once, here; if they or fn are invalid, each call returns [ErrInvalid].
// The result may be called from any number of goroutines if fn may.
func Wrap[T any](fn func(context.Context) (T, error), opts ...Option) func(context.Context) (T, error) {
	p := Policy(opts...)
	return func(ctx context.Context) (T, error) {
		return DoValue(ctx, fn, p)
	}
}

// WrapUnary is like [Wrap] for an fn with one argument beside ctx; every attempt
// gets the same one. Put several into a struct.
func WrapUnary[In, Out any](fn func(context.Context, In) (Out, error), opts ...Option) func(context.Context, In) (Out, error) {
	p := Policy(opts...)
	return func(ctx context.Context, in In) (Out, error) {
		if fn == nil {
			return DoValue[Out](ctx, nil, p)
		}
		return DoValue(ctx, func(ctx context.Context) (Out, error) { return fn(ctx, in) }, p)
	}
}

// A call is what one call of Do has to keep from one attempt to the next.
type call struct {
	attempts int
	scope    scope         // of the ctx that Do was given
	err      error         // of the last attempt
	wait     time.Duration // before the next attempt, as far as it is still to be slept
	waited   time.Duration
	start    time.Time // zero unless policy.timed
	timer    *time.Timer
	lent     bool // a token of the budget, to a retry that is not made yet
}

// attempt calls fn and decides what follows. The call is done then, with err as its
// result, or is to wait for c.wait.
func (c *call) attempt(ctx context.Context, fn func(context.Context) error, p *policy) (done bool, err error) {
	// A cancellation beats a timer that is ready as well.
	if err := ctx.Err(); err != nil {
		return true, c.fail(ctx, p, ended(ctx, err))
	}
	attemptCtx := ctx
	if c.attempts+c.scope.previous > 0 {
		attemptCtx = &scopeCtx{ctx, scope{c.scope.override, c.attempts}}
	}
	c.attempts++
	c.lent = false
	if p.attemptTimeout > 0 {
		err = attemptWithin(p.attemptTimeout, attemptCtx, fn)
	} else {
		err = fn(attemptCtx)
	}
	if err == nil {
		if p.budget != nil {
			p.budget().success()
		}
		if p.observesDone {
			p.observeDone(ctx, c.event(p, nil))
		}
		return true, nil
	}
	c.err = unmark(err)
	if reason := c.next(ctx, err, p); reason != nil {
		return true, c.fail(ctx, p, reason)
	}
	return false, nil
}

// fail ends the call for reason.
func (c *call) fail(ctx context.Context, p *policy, reason error) error {
	c.giveBack(p)
	if p.observesDone {
		p.observeDone(ctx, c.event(p, reason))
	}
	return &Error{Attempts: c.attempts, Waited: c.waited, Err: c.err, Reason: reason}
}

// giveBack returns the token that was lent to a retry, if that is not made.
func (c *call) giveBack(p *policy) {
	if c.lent {
		c.lent = false
		p.budget().deposit(token)
	}
}

// event is what OnDone hooks get.
func (c *call) event(p *policy, reason error) Event {
	return Event{Attempt: c.attempts, Err: c.err, Waited: c.waited, Elapsed: p.now().Sub(c.start), Reason: reason}
}

// attemptWithin calls fn with a ctx of its own that ends after d. It is apart from
// attempt because a defer is not free.
func attemptWithin(d time.Duration, ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return fn(ctx)
}

// next decides what follows an attempt that failed with err. It returns nil if
// that is another attempt, after c.wait, or else the reason why not. The order of
// the checks is part of what Do promises.
func (c *call) next(ctx context.Context, err error, p *policy) error {
	if err := ctx.Err(); err != nil {
		return ended(ctx, err)
	}
	var said advice
	said.read(err)
	if !p.retryable(err, said) {
		return ErrNotRetryable
	}
	if c.attempts >= p.maxAttempts {
		return ErrExhausted
	}
	c.wait = add(p.draw(c.attempts), said.pushback)

	var elapsed time.Duration
	deadline, hasDeadline := ctx.Deadline()
	if p.timed || hasDeadline {
		now := p.now()
		elapsed = now.Sub(c.start)
		if p.maxElapsed > 0 && add(elapsed, c.wait) >= p.maxElapsed {
			return ErrMaxElapsed
		}
		// Not deadline.Sub(now), which saturates where a Time does not.
		if hasDeadline && !now.Add(c.wait).Before(deadline) {
			return context.DeadlineExceeded
		}
	}
	if p.budget != nil {
		if !p.budget().withdraw() {
			return ErrBudget
		}
		c.lent = true
	}
	// What ran since the last look at ctx, a Backoff or a predicate, may have
	// ended it; no hook is to announce a wait that will not be.
	if p.observesRetry && ctx.Err() == nil {
		p.observeRetry(ctx, Event{Attempt: c.attempts, Err: c.err, Wait: c.wait, Waited: c.waited, Elapsed: elapsed})
	}
	if p.clock != nil && ctx.Err() == nil {
		return c.sleep(ctx, p.clock())
	}
	return nil
}

// sleep sleeps c.wait by an injected Clock, so that nothing is left of it for Do to
// wait by the system's.
func (c *call) sleep(ctx context.Context, clock Clock) error {
	err := clock.Sleep(ctx, c.wait)
	if err == nil {
		c.waited = add(c.waited, c.wait)
	} else if ctx.Err() == nil {
		return err
	}
	c.wait = 0
	return nil
}

// retryable is the filter.
func (p *policy) retryable(err error, said advice) bool {
	if said.permanent {
		return false
	}
	if p.retryIf == nil {
		return !said.final
	}
	for _, pred := range p.retryIf {
		if pred(err) {
			return true
		}
	}
	return false
}

// draw returns the backoff with jitter after a failed attempt.
func (p *policy) draw(attempt int) time.Duration {
	r := runtimeRand
	if p.rand != nil {
		r = p.rand()
	}
	return max(p.jitter(max(p.delay(attempt), 0), r), 0)
}

func (p *policy) now() time.Time {
	if p.clock == nil {
		return time.Now()
	}
	return p.clock().Now()
}

// add returns a + b for b ≥ 0, or the largest Duration where that is too much.
func add(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

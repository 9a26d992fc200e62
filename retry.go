// Package retry calls a function again until it succeeds or there is a reason to
// stop, with exponential backoff and full jitter between the attempts.
//
//	err := retry.Do(ctx, func(ctx context.Context) error {
//		return client.Send(ctx, message)
//	})
//
// [DoValue] is the same for a function that returns a value; [Wrap] and
// [WrapUnary] make a function that retries of one that does not.
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
//  2. ctx is done, before an attempt, after it or during a wait: what matches both
//     ctx.Err() and context.Cause(ctx)
//  3. the error is not to be retried, see [WithRetryIf]: [ErrNotRetryable]
//  4. that was the last attempt, see [WithMaxAttempts]: [ErrExhausted]
//  5. the next attempt would come too late for [WithMaxElapsed]: [ErrMaxElapsed]
//  6. it would come at ctx's deadline or later: context.DeadlineExceeded, at once
//     and without the pointless wait
//  7. the shared [WithBudget] has no token left: [ErrBudget]
//  8. the Sleep of an injected [Clock] fails: its error
//
// fn is called on the caller's goroutine; Do starts none. A panic or
// runtime.Goexit in fn goes through Do and leaves nothing behind. fn gets ctx or
// one derived from it, see [WithAttemptTimeout] and [PreviousAttempts]. It must
// be safe to repeat. Do may be called from any number of goroutines.
func Do(ctx context.Context, fn func(context.Context) error, opts ...Option) error {
	if len(opts) == 0 {
		return defaults.run(ctx, fn)
	}
	if p, ok := opts[0].(*policy); ok && len(opts) == 1 {
		return p.run(ctx, fn)
	}
	return runInline(ctx, fn, opts)
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

// runInline resolves opts that no Policy has resolved. It is apart from Do, like
// runOverridden from run, so that only the calls which need a config of their own
// have it on their stack.
func runInline(ctx context.Context, fn func(context.Context) error, opts []Option) error {
	p := policy{opts: opts}
	p.config = resolve(&defaults.config, opts)
	return p.run(ctx, fn)
}

// runOverridden applies what ctx overrides.
func (p *policy) runOverridden(ctx context.Context, fn func(context.Context) error, override *policy) error {
	o := policy{opts: p.opts, override: override}
	o.config = resolve(&p.config, override.opts)
	return o.run(ctx, fn)
}

// run is the loop. ev is how far it has come; its Reason ends it.
func (p *policy) run(ctx context.Context, fn func(context.Context) error) error {
	if ctx == nil {
		return invalid("argument: nil ctx")
	}
	if fn == nil {
		return invalid("argument: nil fn")
	}
	s := scopeOf(ctx)
	if s.override != p.override {
		return p.runOverridden(ctx, fn, s.override)
	}
	if p.problem != "" {
		return invalid(p.problem)
	}
	// Read only where it is needed: the clock costs more than all the rest of
	// a call whose first attempt succeeds.
	var start time.Time
	if p.timed {
		start = p.now()
	}
	var ev Event
	var timer *time.Timer
	if err := ctx.Err(); err != nil {
		ev.Reason = ended(ctx, err)
	}
	for ev.Reason == nil {
		attemptCtx := ctx
		if ev.Attempt+s.previous > 0 {
			attemptCtx = &scopeCtx{ctx, scope{s.override, ev.Attempt}}
		}
		ev.Attempt++
		var err error
		if p.attemptTimeout > 0 {
			err = attemptWithin(p.attemptTimeout, attemptCtx, fn)
		} else {
			err = fn(attemptCtx)
		}
		if err == nil {
			if p.budget != nil {
				p.budget.deposit(p.budget.ratio)
			}
			if p.observesDone {
				p.done(ctx, ev, start)
			}
			return nil
		}
		ev.Err = unmark(err)
		ev.Reason = p.next(ctx, err, &ev, start, &timer)
	}
	if p.observesDone {
		p.done(ctx, ev, start)
	}
	return &Error{Attempts: ev.Attempt, Waited: ev.Waited, Err: ev.Err, Reason: ev.Reason}
}

// attemptWithin calls fn with a ctx of its own that ends after d. It is apart from
// run because a defer is not free.
func attemptWithin(d time.Duration, ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return fn(ctx)
}

// next decides what follows an attempt that failed with err, and returns nil
// after the wait if that is another attempt, or else the reason why not. The order
// of the checks is part of what Do promises.
func (p *policy) next(ctx context.Context, err error, ev *Event, start time.Time, timer **time.Timer) error {
	if err := ctx.Err(); err != nil {
		return ended(ctx, err)
	}
	var advice advice
	advice.read(err)
	if !p.retryable(err, advice) {
		return ErrNotRetryable
	}
	if ev.Attempt >= p.maxAttempts {
		return ErrExhausted
	}
	ev.Wait = add(p.draw(ev.Attempt), advice.pushback)

	deadline, hasDeadline := ctx.Deadline()
	if p.timed || hasDeadline {
		now := p.now()
		ev.Elapsed = now.Sub(start)
		if p.maxElapsed > 0 && add(ev.Elapsed, ev.Wait) >= p.maxElapsed {
			return ErrMaxElapsed
		}
		// Not deadline.Sub(now), which saturates where a Time does not.
		if hasDeadline && !now.Add(ev.Wait).Before(deadline) {
			return context.DeadlineExceeded
		}
	}

	certain := false // nothing can stop the next attempt any more
	if p.budget != nil {
		if !p.budget.withdraw() {
			return ErrBudget
		}
		// Deferred, for a hook may Goexit and a Clock panic.
		defer func() {
			if !certain {
				p.budget.deposit(token)
			}
		}()
	}
	// What ran since the last look at ctx, a Backoff or a predicate, may have
	// ended it; no hook is to announce a wait that will not be.
	if p.observesRetry && ctx.Err() == nil {
		p.observe(ctx, *ev, false)
	}
	if err := ctx.Err(); err != nil {
		return ended(ctx, err)
	}
	slept := p.sleep(ctx, ev.Wait, timer)
	if slept == nil {
		ev.Waited = add(ev.Waited, ev.Wait)
	}
	// A cancellation beats a timer that is ready as well.
	if err := ctx.Err(); err != nil {
		return ended(ctx, err)
	}
	certain = slept == nil
	return slept
}

// retryable is the filter.
func (c *config) retryable(err error, a advice) bool {
	if a.permanent {
		return false
	}
	if c.retryIf == nil {
		return !a.final
	}
	for _, pred := range c.retryIf {
		if pred(err) {
			return true
		}
	}
	return false
}

// draw returns the backoff with jitter after a failed attempt.
func (c *config) draw(attempt int) time.Duration {
	r := runtimeRand
	if c.rand != nil {
		r = c.rand()
	}
	return max(c.jitter(max(c.delay(attempt), 0), r), 0)
}

// done tells the OnDone hooks that the call ends.
func (p *policy) done(ctx context.Context, ev Event, start time.Time) {
	ev.Wait = 0
	ev.Elapsed = p.now().Sub(start)
	p.observe(ctx, ev, true)
}

func (c *config) now() time.Time {
	if c.clock == nil {
		return time.Now()
	}
	return c.clock().Now()
}

func (c *config) sleep(ctx context.Context, d time.Duration, timer **time.Timer) error {
	if c.clock == nil {
		return sleep(ctx, d, timer)
	}
	return c.clock().Sleep(ctx, d)
}

// add returns a + b for b ≥ 0, or the largest Duration where that is too much.
func add(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

func TestDefaults(t *testing.T) {
	const ms = time.Millisecond
	clock := new(retrytest.Clock)
	fn, calls := always(errBoom)
	e := gaveUp(t, retry.Do(t.Context(), fn, retry.WithClock(clock), retry.WithJitter(retry.NoJitter)), retry.ErrExhausted, 5)
	wantCalls(t, calls, 5)
	wantWaits(t, clock.Waits(), 250*ms, 500*ms, 1000*ms, 2000*ms) // none after the last attempt
	if e.Waited != 3750*ms || e.Err != errBoom {
		t.Errorf("Waited, Err = %v, %v, want 3.75s, boom", e.Waited, e.Err)
	}
}

// Step 6: attempts are limited.
func TestMaxAttempts(t *testing.T) {
	for _, n := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			clock := new(retrytest.Clock)
			fn, calls := always(errBoom)
			gaveUp(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(n), retry.WithClock(clock)), retry.ErrExhausted, n)
			wantCalls(t, calls, n)
			if got := len(clock.Waits()); got != n-1 {
				t.Errorf("number of waits = %d, want %d", got, n-1)
			}
			fn, calls = script(slices.Repeat([]error{errBoom}, n-1)...)
			succeeded(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(n), noWait))
			wantCalls(t, calls, n)
		})
	}
}

func TestSuccessBeatsTheEndOfContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	succeeded(t, retry.Do(ctx, func(context.Context) error { cancel(); return nil }))
}

func TestUnlimited(t *testing.T) {
	fn, calls := script(slices.Repeat([]error{errBoom}, 1000)...)
	succeeded(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(retry.Unlimited), noWait))
	wantCalls(t, calls, 1001)
}

// Steps 9 and 10: if elapsed + wait ≥ MaxElapsed, or now + wait ≥ ctx's deadline, the
// call ends at once.
func TestMaxElapsedAndDeadline(t *testing.T) {
	for _, test := range []struct {
		name        string
		limit, wait time.Duration // an attempt takes 2s
		retried     bool
	}{
		{"beyond the limit", 3*time.Second - 1, time.Second, false},
		{"exactly at the limit", 3 * time.Second, time.Second, false},
		{"just before the limit", 3*time.Second + 1, time.Second, true},
		{"no wait, at the limit", 2 * time.Second, 0, false},
		{"no wait, just before the limit", 2*time.Second + 1, 0, true},
		{"the limit has passed", 1, 0, false},
		{"the sum overflows", math.MaxInt64, math.MaxInt64, false},
	} {
		for _, reason := range []error{retry.ErrMaxElapsed, retry.ErrDeadline} {
			t.Run(test.name+"/"+reason.Error(), func(t *testing.T) {
				clock := new(retrytest.Clock)
				clock.Advance(-time.Hour) // the system's time must not matter
				ctx, opt := t.Context(), retry.WithMaxElapsed(test.limit)
				if reason == retry.ErrDeadline {
					ctx, opt = deadlineCtx{ctx, clock.Now().Add(test.limit)}, nil
				}
				fn, _ := script(errBoom)
				err := retry.Do(ctx, func(ctx context.Context) error { clock.Advance(2 * time.Second); return fn(ctx) },
					fixed(test.wait), retry.WithClock(clock), opt)
				if test.retried {
					succeeded(t, err)
					return
				}
				e := gaveUp(t, err, reason, 1)
				wantWaits(t, clock.Waits())
				if e.Reason != reason || errors.Is(err, context.DeadlineExceeded) != (reason == retry.ErrDeadline) {
					t.Errorf("Reason = %#v, want %v", e.Reason, reason)
				}
			})
		}
	}
}

// A deadline that no Duration reaches is not mistaken for a near one.
func TestDeadlineBeyondDurations(t *testing.T) {
	clock := new(retrytest.Clock)
	ctx := deadlineCtx{t.Context(), clock.Now().AddDate(400, 0, 0)}
	fn, _ := script(errBoom)
	succeeded(t, retry.Do(ctx, fn, fixed(math.MaxInt64), retry.WithClock(clock)))
	wantWaits(t, clock.Waits(), math.MaxInt64)
}

// Step 2: fn is not called with a ctx that is done, and the reason matches ctx.Err()
// and the cause.
func TestContextIsDoneBeforehand(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	caused, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(errCause)
	child, cancel := context.WithCancel(caused)
	defer cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	expiredCause, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Hour), errCause)
	defer cancel()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		reason string
		match  []error
	}{
		{"canceled", canceled, "context canceled", []error{context.Canceled}},
		{"canceled with a cause", caused, "context canceled: the cause", []error{context.Canceled, errCause}},
		{"child of a canceled ctx", child, "context canceled: the cause", []error{context.Canceled, errCause}},
		{"expired", expired, "context deadline exceeded", []error{context.DeadlineExceeded}},
		{"expired with a cause", expiredCause, "context deadline exceeded: the cause", []error{context.DeadlineExceeded, errCause}},
		{"ctx of another package", endedCtx{t.Context(), errOther}, "other", []error{errOther}},
	} {
		t.Run(test.name, func(t *testing.T) {
			fn, calls := script()
			var done []retry.Event
			err := retry.Do(test.ctx, fn, retry.WithClock(new(retrytest.Clock)),
				retry.WithOnRetry(func(context.Context, retry.Event) { t.Error("Do called OnRetry") }),
				retry.WithOnDone(func(_ context.Context, ev retry.Event) { done = append(done, ev) }))
			wantCalls(t, calls, 0)
			for _, want := range test.match {
				e := gaveUp(t, err, want, 0)
				if e.Err != nil || errors.Unwrap(err) != nil || e.Waited != 0 {
					t.Errorf("Do() = %#v, want a nil Err and no waits", e)
				}
				if want := []retry.Event{{Reason: e.Reason}}; !slices.Equal(done, want) {
					t.Errorf("OnDone events = %+v, want %+v", done, want)
				}
			}
			wantText(t, err, "retry: gave up before the first attempt ("+test.reason+")")
		})
	}
}

// Steps 4, 12, 13, 14 and 2: ctx ends while Do runs. The cause may be an error of this
// package.
func TestContextEnds(t *testing.T) {
	for _, test := range []struct {
		n        int
		where    place
		attempts int
		waited   time.Duration
		onRetry  int
	}{
		{1, inFn, 1, 0, 0},
		{1, inMap, 1, 0, 0},
		{1, inPredicate, 1, 0, 0},
		{1, inBackoff, 1, 0, 0},
		{1, inJitter, 1, 0, 0},
		{1, inOnRetry, 1, 0, 1},
		{1, beforeSleep, 1, 0, 1},
		{1, afterSleep, 1, time.Second, 1},
		{2, inFn, 2, time.Second, 1},
		{2, inJitter, 2, time.Second, 1},
		{2, beforeSleep, 2, time.Second, 2},
	} {
		for _, cause := range []error{nil, errCause, retry.ErrExhausted} {
			t.Run(fmt.Sprintf("%s/%d/%v", test.where, test.n, cause), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				fn, opts := actAt(test.n, test.where, func() { cancel(cause) })
				onRetry := 0
				err := retry.Do(ctx, fn, opts, retry.WithOnRetry(func(context.Context, retry.Event) { onRetry++ }))
				e := gaveUp(t, err, context.Canceled, test.attempts)
				if cause != nil && !errors.Is(e.Reason, cause) {
					t.Errorf("Reason = %v, want one that matches the cause", e.Reason)
				}
				if e.Err != errBoom || e.Waited != test.waited {
					t.Errorf("Err, Waited = %v, %v, want boom, %v", e.Err, e.Waited, test.waited)
				}
				if onRetry != test.onRetry {
					t.Errorf("calls of OnRetry = %d, want %d", onRetry, test.onRetry)
				}
			})
		}
	}
}

// Of all reasons that apply, Do returns the first in the order of the steps.
func TestOrderOfReasons(t *testing.T) {
	type state struct {
		ctx    context.Context
		cancel func() // called by fn
		err    error
		opts   []retry.Option
	}
	with := func(opt retry.Option) func(*state) {
		return func(s *state) { s.opts = append(s.opts, opt) }
	}
	// The conditions go from the last step to the first. Each case adds a condition.
	conditions := []struct {
		reason   error
		attempts int
		add      func(*state)
	}{
		{retry.ErrBudget, 1, with(retry.WithBudget(new(retry.Budget)))},
		{retry.ErrDeadline, 1, func(s *state) { s.ctx = deadlineCtx{s.ctx, time.Now().Add(-time.Hour)} }},
		{retry.ErrMaxElapsed, 1, with(retry.WithMaxElapsed(1))},
		{retry.ErrRetryAfter, 1, func(s *state) { s.err = retry.After(s.err, time.Hour) }},
		{retry.ErrExhausted, 1, with(retry.WithMaxAttempts(1))},
		{retry.ErrNotRetryable, 1, func(s *state) { s.err = retry.Permanent(s.err) }},
		{context.Canceled, 1, func(s *state) { s.ctx, s.cancel = context.WithCancel(s.ctx) }},
		{errCause, 0, func(s *state) {
			ctx, cancel := context.WithCancelCause(s.ctx)
			cancel(errCause)
			s.ctx = ctx
		}},
		{retry.ErrInvalid, 0, with(retry.WithMaxAttempts(0))},
	}
	for n, condition := range conditions {
		t.Run(condition.reason.Error(), func(t *testing.T) {
			s := &state{ctx: t.Context(), cancel: func() {}, err: errBoom, opts: []retry.Option{fixed(1),
				retry.WithOnRetry(func(context.Context, retry.Event) { t.Error("Do called OnRetry") })}}
			for _, c := range conditions[:n+1] {
				c.add(s)
			}
			err := retry.Do(s.ctx, func(context.Context) error { s.cancel(); return s.err }, s.opts...)
			gaveUp(t, err, condition.reason, condition.attempts)
			for _, c := range conditions[:n] {
				if c.reason != context.Canceled && errors.Is(err, c.reason) {
					t.Errorf("Do() = %v, which also matches %v", err, c.reason)
				}
			}
		})
	}
}

// If the Clock fails although ctx is not done, the call ends with the Clock's error as Reason.
func TestClockFails(t *testing.T) {
	for _, failure := range []error{errOther, context.Canceled} {
		t.Run(failure.Error(), func(t *testing.T) {
			fn, calls := always(errBoom)
			err := retry.Do(t.Context(), fn, retry.WithClock(&hookClock{before: func() error { return failure }}))
			e := gaveUp(t, err, failure, 1)
			if e.Reason != failure || e.Waited != 0 {
				t.Errorf("Reason, Waited = %v, %v, want %v, 0s", e.Reason, e.Waited, failure)
			}
			wantCalls(t, calls, 1)
		})
	}
}

// Step 1: a nil ctx or fn is invalid in every form.
func TestNilArguments(t *testing.T) {
	var noCtx context.Context
	hook := retry.WithOnDone(func(context.Context, retry.Event) { t.Error("Do called OnDone") })
	value := func(context.Context) (int, error) { t.Error("Do called fn"); return 1, nil }
	for want, calls := range map[string][]func() (int, error){
		"nil ctx": {
			func() (int, error) { return retry.DoValue(noCtx, value, hook) },
			func() (int, error) { return retry.Wrap(value, hook)(noCtx) },
		},
		"nil fn": {
			func() (int, error) { return 0, retry.Do(t.Context(), nil, hook) },
			func() (int, error) { return retry.DoValue[int](t.Context(), nil, hook) },
			func() (int, error) { return retry.Wrap[int](nil, hook)(t.Context()) },
			func() (int, error) { return retry.WrapUnary[int, int](nil, hook)(t.Context(), 1) },
		},
	} {
		for i, call := range calls {
			t.Run(fmt.Sprintf("%s/%d", want, i), func(t *testing.T) {
				got, err := call()
				gaveUp(t, err, retry.ErrInvalid, 0)
				wantText(t, err, "retry: invalid argument: "+want)
				if got != 0 {
					t.Errorf("value = %d, want 0", got)
				}
			})
		}
	}
}

// DoValue and wrapped functions return the value of fn's last call.
func TestValues(t *testing.T) {
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		errs   []error
		want   int
		reason error
	}{
		{"first attempt", t.Context(), nil, 10, nil},
		{"second attempt", t.Context(), []error{errBoom}, 20, nil},
		{"with an error", t.Context(), []error{errBoom, errBoom}, 20, retry.ErrExhausted},
		{"with a permanent error", t.Context(), []error{retry.Permanent(errBoom)}, 10, retry.ErrNotRetryable},
		{"fn was never called", dead, nil, 0, context.Canceled},
	} {
		opts := retry.Policy(noWait, retry.WithMaxAttempts(2))
		value := func() func(context.Context) (int, error) {
			fn, calls := script(test.errs...)
			return func(ctx context.Context) (int, error) { err := fn(ctx); return *calls * 10, err }
		}
		for form, call := range map[string]func() (int, error){
			"DoValue": func() (int, error) { return retry.DoValue(test.ctx, value(), opts) },
			"Wrap":    func() (int, error) { return retry.Wrap(value(), opts)(test.ctx) },
			"WrapUnary": func() (int, error) {
				fn := value()
				return retry.WrapUnary(func(ctx context.Context, _ string) (int, error) { return fn(ctx) }, opts)(test.ctx, "")
			},
		} {
			t.Run(form+"/"+test.name, func(t *testing.T) {
				got, err := call()
				if got != test.want || !errors.Is(err, test.reason) || (err == nil) != (test.reason == nil) {
					t.Errorf("%s() = %d, %v, want %d, %v", form, got, err, test.want, test.reason)
				}
			})
		}
	}
}

// A wrapped function is safe for concurrent use, and so are a Policy and a Source. Every
// attempt gets the argument.
func TestSharedByGoroutines(t *testing.T) {
	src := seeded()
	double := retry.WrapUnary(func(ctx context.Context, in int) (int, error) {
		if retry.PreviousAttempts(ctx) < 2 {
			return 0, errBoom
		}
		return in * 2, nil
	}, retry.Policy(retry.WithSource(src), retry.WithClock(new(retrytest.Clock))))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if got, err := double(t.Context(), i); got != 2*i || err != nil {
				t.Errorf("double(%d) = %d, %v, want %d, nil", i, got, err, 2*i)
			}
			fn, _ := script(errBoom)
			succeeded(t, retry.Do(t.Context(), fn, retry.WithSource(src), retry.WithClock(new(retrytest.Clock))))
		})
	}
	wg.Wait()
}

// A panic or Goexit in code of the caller propagates, except that a panic in a hook is
// logged. If it propagates, Do does not call OnDone hooks, and nothing leaks.
func TestPanicAndGoexitPropagate(t *testing.T) {
	type boom struct{ where place }
	places := []place{inFn, inMap, inPredicate, inBackoff, inJitter, inSource, beforeSleep, afterSleep}
	check := func(where place, times int, act func(), wantPanic any) {
		for n := 1; n <= times; n++ {
			t.Run(fmt.Sprintf("%s/%d/%v", where, n, wantPanic), func(t *testing.T) {
				var attempt context.Context
				fn, opts := actAt(n, where, act)
				returned, panicked := run(func() {
					_ = retry.Do(t.Context(), func(ctx context.Context) error { attempt = ctx; return fn(ctx) }, opts,
						retry.WithAttemptTimeout(time.Hour),
						retry.WithOnDone(func(context.Context, retry.Event) { t.Error("Do called OnDone") }))
				})
				if returned || panicked != wantPanic {
					t.Errorf("Do returned: %v, with panic %v, want false and %v", returned, panicked, wantPanic)
				}
				if attempt.Err() == nil {
					t.Error("the context of the attempt was not canceled")
				}
				// No lock is held.
				fn, _ = script(errBoom)
				succeeded(t, retry.Do(t.Context(), fn, noWait, retry.WithSource(seeded())))
			})
		}
	}
	for _, where := range places {
		check(where, 2, func() { panic(boom{where}) }, boom{where})
		check(where, 2, runtime.Goexit, nil)
	}
	check(inOnRetry, 2, runtime.Goexit, nil)
	check(inOnDone, 1, runtime.Goexit, nil)
}

// Each attempt has its own timeout. The context of the attempt is canceled once fn and the
// error maps have returned, even if the value that fn returned depends on the context.
func TestAttemptTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		var ctxs []context.Context
		last, err := retry.DoValue(t.Context(), func(ctx context.Context) (context.Context, error) {
			for _, old := range ctxs {
				if old.Err() == nil {
					t.Error("the context of an earlier attempt is not done")
				}
			}
			ctxs = append(ctxs, ctx)
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) != 2*time.Second {
				t.Errorf("Deadline() = %v ahead, want 2s", time.Until(deadline))
			}
			if len(ctxs) < 3 {
				<-ctx.Done()
			}
			return ctx, ctx.Err()
		}, fixed(time.Second), retry.WithAttemptTimeout(2*time.Second),
			retry.WithMapError(func(ctx context.Context, err error) error {
				if ctx.Err() != err {
					t.Errorf("Err() in the error map = %v, want %v", ctx.Err(), err)
				}
				return err
			}))
		succeeded(t, err)
		if got := time.Since(start); got != 6*time.Second {
			t.Errorf("Do took %v, want two timeouts of 2s and two waits of 1s", got)
		}
		if last.Err() != context.Canceled {
			t.Errorf("Err() after the call = %v, want context.Canceled", last.Err())
		}
	})
}

// An ownCtx is of a type that package context does not know, and can be watched without a
// goroutine.
type ownCtx struct{ context.Context }

func (ownCtx) Value(any) any                    { return nil }
func (c ownCtx) AfterFunc(f func()) func() bool { return context.AfterFunc(c.Context, f) }

// Do starts no goroutine, and the end of ctx reaches every attempt.
func TestNoGoroutines(t *testing.T) {
	for name, of := range map[string]func(context.Context) context.Context{
		"package context": func(ctx context.Context) context.Context { return ctx },
		"custom type":     func(ctx context.Context) context.Context { return ownCtx{ctx} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				before := runtime.NumGoroutine()
				err := retry.Do(of(ctx), func(ctx context.Context) error {
					if got := runtime.NumGoroutine(); got > before {
						t.Errorf("goroutines = %d, want %d", got, before)
					}
					if retry.PreviousAttempts(ctx) == 2 {
						cancel()
						<-ctx.Done()
					}
					return errBoom
				}, fixed(time.Second), retry.WithAttemptTimeout(time.Minute))
				e := gaveUp(t, err, context.Canceled, 3)
				if e.Waited != 2*time.Second {
					t.Errorf("Waited = %v, want 2s", e.Waited)
				}
			})
		})
	}
}

// Context errors of fn are ordinary errors while the ctx of Do is alive.
func TestContextErrorsOfFnAreOrdinary(t *testing.T) {
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		fn, calls := script(err, fmt.Errorf("rpc: %w", err))
		succeeded(t, retry.Do(t.Context(), fn, noWait))
		wantCalls(t, calls, 3)
	}
}

// Do does not wait for a deadline that the next attempt would miss.
func TestNoPointlessWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1750*time.Millisecond)
		defer cancel()
		fn, calls := always(errBoom)
		e := gaveUp(t, retry.Do(ctx, fn, retry.WithJitter(retry.NoJitter)), retry.ErrDeadline, 3)
		wantCalls(t, calls, 3) // at 0, 0.25s and 0.75s; the next would be at 1.75s
		if got := time.Since(start); got != 750*time.Millisecond || e.Waited != got || ctx.Err() != nil {
			t.Errorf("Do took %v and waited %v with ctx.Err() = %v, want 750ms, 750ms, nil", got, e.Waited, ctx.Err())
		}
	})
}

// If ctx is canceled during a real wait, the wait ends and the token of the retry goes back.
func TestCancelEndsARealWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errCause) })
		budget := retry.NewBudget(2, 0)
		fn, calls := always(errBoom)
		err := retry.Do(ctx, fn, retry.WithBudget(budget), fixed(700*time.Millisecond))
		e := gaveUp(t, err, errCause, 2)
		wantCalls(t, calls, 2)
		wantTokens(t, budget, 1)
		if got := time.Since(start); got != time.Second || e.Waited != 700*time.Millisecond {
			t.Errorf("Do took %v and waited %v, want 1s, 700ms", got, e.Waited)
		}
	})
}

// A cancellation takes precedence over a timer that fires at the same time, whichever of
// them a select statement chooses.
func TestCancellationBeatsTheTimer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			fn, calls := always(errBoom)
			gaveUp(t, retry.Do(lateCtx{ctx, cancel}, fn, fixed(time.Second)), context.Canceled, 1)
			wantCalls(t, calls, 1)
		}
	})
}

// A lateCtx is canceled, and a timer of 1s is due, when Done returns.
type lateCtx struct {
	context.Context
	cancel func()
}

func (c lateCtx) Done() <-chan struct{} {
	time.Sleep(time.Second)
	c.cancel()
	return c.Context.Done()
}

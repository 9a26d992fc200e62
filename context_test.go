package retry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"example.com/retry"
)

// flaky is code under test that takes no options.
func flaky(ctx context.Context, fn func(context.Context) error) error {
	return retry.Do(ctx, fn, retry.WithMaxAttempts(4), fixed(time.Hour))
}

func TestOverrideReachesACall(t *testing.T) {
	clock := newFakeClock()
	ctx := retry.Override(t.Context(), retry.WithClock(clock), retry.WithJitter(retry.FullJitter), retry.WithSource(rand.NewPCG(1, 2)))
	fn, calls := always(errBoom)
	gaveUp(t, flaky(ctx, fn), retry.ErrExhausted, 4)
	wantCalls(t, calls, 4)
	r := seeded()
	want := []time.Duration{retry.FullJitter(time.Hour, r), retry.FullJitter(time.Hour, r), retry.FullJitter(time.Hour, r)}
	wantWaits(t, clock.waits, want...)
}

func TestOverrideWinsOverEveryForm(t *testing.T) {
	ctx := retry.Override(t.Context(), retry.WithMaxAttempts(2), retry.WithClock(noSleep{}))
	fn, _ := always(errBoom)
	value := func(ctx context.Context) (int, error) { return 0, fn(ctx) }
	five := retry.WithMaxAttempts(5)
	gaveUp(t, retry.Do(ctx, fn), retry.ErrExhausted, 2)
	gaveUp(t, retry.Do(ctx, fn, five), retry.ErrExhausted, 2)
	gaveUp(t, retry.Do(ctx, fn, retry.Policy(five)), retry.ErrExhausted, 2)
	_, err := retry.DoValue(ctx, value, five)
	gaveUp(t, err, retry.ErrExhausted, 2)
	_, err = retry.Wrap(value, five)(ctx)
	gaveUp(t, err, retry.ErrExhausted, 2)
	_, err = retry.WrapUnary(func(ctx context.Context, _ int) (int, error) { return 0, fn(ctx) }, five)(ctx, 1)
	gaveUp(t, err, retry.ErrExhausted, 2)
	// And through any ctx derived from it.
	child, cancel := context.WithCancel(context.WithValue(ctx, clockKey{}, 1))
	defer cancel()
	gaveUp(t, retry.Do(child, fn, five), retry.ErrExhausted, 2)
}

type clockKey struct{}

func TestNestedOverridesApplyFromTheOutermostIn(t *testing.T) {
	clock := newFakeClock()
	ctx := retry.Override(t.Context(), retry.WithMaxAttempts(2), fixed(time.Second), retry.WithClock(clock))
	ctx = retry.Override(ctx, retry.WithMaxAttempts(3))
	ctx = retry.Override(ctx)
	ctx = retry.Override(ctx, nil)
	fn, _ := always(errBoom)
	gaveUp(t, retry.Do(ctx, fn), retry.ErrExhausted, 3)
	wantWaits(t, clock.waits, time.Second, time.Second)
}

// At one layer only: an inner Do, called with the ctx of the attempt, is overridden too.
func TestOverrideReachesNestedCalls(t *testing.T) {
	ctx := retry.Override(t.Context(), retry.WithMaxAttempts(1))
	fn, calls := always(errBoom)
	err := retry.Do(ctx, func(ctx context.Context) error { return retry.Do(ctx, fn) }, retry.WithMaxAttempts(9))
	gaveUp(t, err, retry.ErrNotRetryable, 1)
	wantCalls(t, calls, 1)

	// And from the second attempt on, where ctx carries the number of attempts.
	clock := newFakeClock()
	ctx = retry.Override(t.Context(), retry.WithClock(clock))
	outer := 0
	err = retry.Do(ctx, func(ctx context.Context) error {
		outer++
		return retry.Do(ctx, fn, retry.WithMaxAttempts(3), fixed(time.Second))
	}, retry.WithMaxAttempts(2), retry.WithRetryIf(retry.Is(errBoom)), fixed(time.Minute))
	gaveUp(t, err, retry.ErrExhausted, 2)
	wantWaits(t, clock.waits, time.Second, time.Second, time.Minute, time.Second, time.Second)
}

// A ctx whose Value makes a new Override at each call is overridden once.
func TestOverrideMadeAnewByValue(t *testing.T) {
	fn, calls := always(errBoom)
	err := retry.Do(lazyCtx{t.Context()}, fn, retry.WithMaxAttempts(3))
	gaveUp(t, err, retry.ErrExhausted, 1)
	wantCalls(t, calls, 1)
}

type lazyCtx struct{ context.Context }

func (c lazyCtx) Value(key any) any {
	return retry.Override(c.Context, retry.WithMaxAttempts(1)).Value(key)
}

func TestOverrideOfNilContext(t *testing.T) {
	var none context.Context
	ctx := retry.Override(none, retry.WithMaxAttempts(1))
	if ctx != nil {
		t.Errorf("got %v, want nil", ctx)
	}
	fn, calls := script()
	gaveUp(t, retry.Do(ctx, fn), retry.ErrInvalid, 0)
	wantCalls(t, calls, 0)
}

func TestPreviousAttempts(t *testing.T) {
	var none context.Context
	for _, ctx := range []context.Context{none, t.Context(), retry.Override(t.Context(), retry.WithMaxAttempts(1))} {
		if got := retry.PreviousAttempts(ctx); got != 0 {
			t.Errorf("outside of fn: got %d, want 0", got)
		}
	}
	type pair struct{ outer, inner int }
	var got []pair
	for _, opts := range [][]retry.Option{nil, {retry.WithAttemptTimeout(time.Hour)}} {
		got = nil
		opts := append(opts, retry.WithClock(noSleep{}), retry.WithMaxAttempts(3), retry.WithRetryIf(retry.Is(errBoom)))
		err := retry.Do(t.Context(), func(outer context.Context) error {
			derived, cancel := context.WithCancel(outer)
			defer cancel()
			derived = retry.Override(derived, nil)
			return retry.Do(derived, func(inner context.Context) error {
				got = append(got, pair{retry.PreviousAttempts(outer), retry.PreviousAttempts(inner)})
				if retry.PreviousAttempts(derived) != retry.PreviousAttempts(outer) {
					t.Error("a ctx derived from the attempt's has another number")
				}
				return errBoom
			}, append(opts, retry.WithMaxAttempts(2))...)
		}, opts...)
		gaveUp(t, err, retry.ErrExhausted, 3)
		want := []pair{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// The ctx of an attempt stays what it was, for what fn has left behind with it.
func TestPreviousAttemptsOfAnEarlierAttempt(t *testing.T) {
	var ctxs []context.Context
	err := retry.Do(t.Context(), func(ctx context.Context) error {
		ctxs = append(ctxs, ctx)
		return errBoom
	}, retry.WithClock(noSleep{}))
	gaveUp(t, err, retry.ErrExhausted, 5)
	for i, ctx := range ctxs {
		if got := retry.PreviousAttempts(ctx); got != i {
			t.Errorf("attempt %d: got %d previous attempts, want %d", i+1, got, i)
		}
	}
}

// The ctx of an attempt has all that the ctx of Do has.
func TestAttemptContextIsDerived(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), clockKey{}, "value"))
	calls := 0
	err := retry.Do(ctx, func(ctx context.Context) error {
		calls++
		if calls < 2 {
			return errBoom
		}
		if ctx.Value(clockKey{}) != "value" {
			t.Error("the value is lost")
		}
		cancel(errCause)
		<-ctx.Done()
		if ctx.Err() != context.Canceled || context.Cause(ctx) != errCause {
			t.Errorf("got %v, cause %v", ctx.Err(), context.Cause(ctx))
		}
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		if !errors.Is(context.Cause(child), errCause) {
			t.Errorf("a child has the cause %v", context.Cause(child))
		}
		return nil
	}, retry.WithClock(noSleep{}))
	if err != nil || calls != 2 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

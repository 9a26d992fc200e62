//go:build !race

// The race detector allocates on its own; these promises hold without it.

package retry_test

import (
	"context"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
)

func wantAllocs(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(100, f); got != want {
		t.Errorf("%s: got %v allocations, want %v", name, got, want)
	}
}

// Run-time values, so that no option is a constant to the compiler.
var (
	three    = 3
	second   = time.Second
	captured int
)

type wide struct{ fields [6]int64 } // 48 bytes

func TestAllocsFirstTrySucceeds(t *testing.T) {
	ctx := t.Context()
	succeed := func(context.Context) error { return nil }
	budget := retry.NewBudget(10, 0.1)
	policy := retry.Policy(retry.WithMaxAttempts(3), retry.WithBackoff(retry.Exponential{Base: time.Second}))
	local := 0
	silent := slog.New(slog.DiscardHandler)

	wantAllocs(t, "no options", 0, func() { _ = retry.Do(ctx, succeed) })
	wantAllocs(t, "fn that captures", 0, func() {
		_ = retry.Do(ctx, func(context.Context) error { local++; return nil })
	})
	wantAllocs(t, "inline constants", 0, func() {
		_ = retry.Do(ctx, func(context.Context) error { local++; return nil },
			retry.WithMaxAttempts(7), retry.WithBackoff(retry.Exponential{Base: 10 * time.Millisecond}),
			retry.WithJitter(retry.EqualJitter), retry.WithMaxElapsed(time.Minute))
	})
	wantAllocs(t, "inline run-time values", 0, func() {
		_ = retry.Do(ctx, func(context.Context) error { local++; return nil },
			retry.WithMaxAttempts(three), retry.WithMaxElapsed(second))
	})
	wantAllocs(t, "inline hooks that capture", 0, func() {
		_ = retry.Do(ctx, func(context.Context) error { local++; return nil },
			retry.WithOnRetry(func(context.Context, retry.Event) { local++ }),
			retry.WithRetryIf(retry.Is(errBoom, errOther), func(error) bool { return local > 0 }),
			retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration { return ceiling + time.Duration(local) }))
	})
	wantAllocs(t, "inline BackoffFunc that captures", 0, func() {
		_ = retry.Do(ctx, succeed, retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { return time.Duration(captured) })))
	})
	wantAllocs(t, "inline Clock", 0, func() { _ = retry.Do(ctx, succeed, retry.WithClock(noSleep{})) })
	wantAllocs(t, "an OnDone hook", 0, func() {
		_ = retry.Do(ctx, succeed, retry.WithOnDone(func(context.Context, retry.Event) { local++ }))
	})
	wantAllocs(t, "a logger", 0, func() { _ = retry.Do(ctx, succeed, retry.WithLogger(silent, slog.LevelInfo)) })
	wantAllocs(t, "a predicate made by As", 0, func() {
		_ = retry.Do(ctx, succeed, retry.WithRetryIf(retry.As[*fs.PathError]()))
	})
	wantAllocs(t, "a budget beside a hook", 0, func() {
		_ = retry.Do(ctx, succeed, retry.WithBudget(budget), retry.WithOnRetry(func(context.Context, retry.Event) { local++ }))
	})
	wantAllocs(t, "a budget", 0, func() { _ = retry.Do(ctx, succeed, retry.WithBudget(budget)) })
	wantAllocs(t, "a policy", 0, func() { _ = retry.Do(ctx, succeed, policy) })
	wantAllocs(t, "a policy and an option", 0, func() { _ = retry.Do(ctx, succeed, policy, retry.WithMaxAttempts(three)) })

	overridden := retry.Override(ctx, retry.WithMaxAttempts(2), retry.WithClock(noSleep{}))
	wantAllocs(t, "under an override", 0, func() { _ = retry.Do(overridden, succeed, policy) })

	wantAllocs(t, "DoValue of an int", 0, func() {
		v, _ := retry.DoValue(ctx, func(context.Context) (int, error) { return local, nil }, retry.WithMaxAttempts(three))
		local += v
	})
	wantAllocs(t, "DoValue of 48 bytes", 0, func() {
		v, _ := retry.DoValue(ctx, func(context.Context) (wide, error) { return wide{}, nil }, policy)
		local += int(v.fields[5])
	})
	wrapped := retry.Wrap(func(context.Context) (wide, error) { return wide{}, nil }, retry.WithMaxAttempts(three))
	wantAllocs(t, "Wrap", 0, func() { _, _ = wrapped(ctx) })
	unary := retry.WrapUnary(func(_ context.Context, in wide) (wide, error) { return in, nil }, retry.WithMaxAttempts(three))
	wantAllocs(t, "WrapUnary", 0, func() { _, _ = unary(ctx, wide{}) })
}

// What cannot be had inline: a Backoff known at run time only is boxed, and its
// method called through the box; a Source gets a Rand around it.
func TestAllocsOfInlineExceptions(t *testing.T) {
	ctx := t.Context()
	succeed := func(context.Context) error { return nil }
	wantAllocs(t, "inline Exponential", 1, func() { _ = retry.Do(ctx, succeed, retry.WithBackoff(retry.Exponential{Base: second})) })
	wantAllocs(t, "inline Constant", 1, func() { _ = retry.Do(ctx, succeed, retry.WithBackoff(retry.Constant(second))) })
	src := seededSource()
	wantAllocs(t, "inline Source", 2, func() { _ = retry.Do(ctx, succeed, retry.WithSource(src)) })
}

// A retry costs the ctx that counts the attempts, the failure its Error.
func TestAllocsOfRetries(t *testing.T) {
	ctx := t.Context()
	policy := retry.Policy(retry.WithClock(noSleep{}), retry.WithMaxAttempts(10))
	seeded := retry.Policy(policy, retry.WithSource(seededSource()), retry.WithMaxElapsed(time.Hour))
	budget := retry.Policy(policy, retry.WithBudget(retry.NewBudget(1000000, 0)))
	quiet := retry.Policy(policy, quiet()) // a logger whose level is off
	permanent := retry.Permanent(errBoom)
	for _, opt := range []retry.Option{policy, seeded, budget, quiet} {
		left := 0
		wantAllocs(t, "nine retries, then success", 9, func() {
			left = 9
			_ = retry.Do(ctx, func(context.Context) error {
				if left--; left >= 0 {
					return errBoom
				}
				return nil
			}, opt)
		})
		wantAllocs(t, "ten attempts exhausted", 9+1, func() {
			_ = retry.Do(ctx, func(context.Context) error { return errBoom }, opt)
		})
	}
	wantAllocs(t, "a permanent error", 1, func() {
		_ = retry.Do(ctx, func(context.Context) error { return permanent }, policy)
	})
}

// However long a call goes on, its real waits share one timer; a wait of 0 has none.
func TestAllocsOfRealWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		allocs := func(attempts int, wait time.Duration) float64 {
			policy := retry.Policy(retry.WithMaxAttempts(attempts), fixed(wait))
			return testing.AllocsPerRun(10, func() {
				_ = retry.Do(t.Context(), func(context.Context) error { return errBoom }, policy)
			})
		}
		none := allocs(1, time.Second)
		one := allocs(2, time.Second) - none
		if got, want := allocs(12, time.Second)-none, one+10; got != want {
			t.Errorf("11 waits: got %v allocations, want those of one wait and 10 more ctxs, %v", got, want)
		}
		if got := allocs(12, 0) - none; got != 11 {
			t.Errorf("11 waits of 0: got %v allocations, want 11 ctxs", got)
		}
	})
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// Override applies its options after those of the call, in every form.
func TestOverride(t *testing.T) {
	clock := new(retrytest.Clock)
	ctx := retry.Override(t.Context(), retry.WithMaxAttempts(2), retry.WithClock(clock), fixed(time.Second))
	fn, _ := always(errBoom)
	value := func(ctx context.Context) (int, error) { return 0, fn(ctx) }
	opts := []retry.Option{retry.WithMaxAttempts(5), fixed(time.Hour)}
	child, cancel := context.WithCancel(context.WithValue(ctx, ctxKey{}, 1))
	defer cancel()
	for name, call := range map[string]func() error{
		"Do without options": func() error { return retry.Do(ctx, fn) },
		"Do":                 func() error { return retry.Do(ctx, fn, opts...) },
		"Policy":             func() error { return retry.Do(ctx, fn, retry.Policy(opts...)) },
		"many options":       func() error { return retry.Do(ctx, fn, slices.Repeat(opts, 10)...) },
		"a derived context":  func() error { return retry.Do(child, fn, opts...) },
		"DoValue":            func() error { _, err := retry.DoValue(ctx, value, opts...); return err },
		"Wrap":               func() error { _, err := retry.Wrap(value, opts...)(ctx); return err },
		"WrapUnary": func() error {
			_, err := retry.WrapUnary(func(ctx context.Context, _ int) (int, error) { return 0, fn(ctx) }, opts...)(ctx, 1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(clock.Waits())
			gaveUp(t, call(), retry.ErrExhausted, 2)
			wantWaits(t, clock.Waits()[before:], time.Second)
		})
	}
}

type ctxKey struct{}

// Nested overrides apply in order, outermost first. A nil ctx stays nil.
func TestNestedOverrides(t *testing.T) {
	clock := new(retrytest.Clock)
	ctx := retry.Override(t.Context(), retry.WithMaxAttempts(2), fixed(time.Second), retry.WithClock(clock))
	ctx = retry.Override(ctx, retry.WithMaxAttempts(3))
	ctx = retry.Override(retry.Override(ctx), nil)
	fn, _ := always(errBoom)
	gaveUp(t, retry.Do(ctx, fn), retry.ErrExhausted, 3)
	wantWaits(t, clock.Waits(), time.Second, time.Second)
	var none context.Context
	if ctx := retry.Override(none, retry.WithMaxAttempts(1)); ctx != nil {
		t.Errorf("Override(nil) = %v, want nil", ctx)
	}
}

// Override reaches calls inside fn, in the first attempt and later, with and without an
// attempt timeout.
func TestOverrideReachesNestedCalls(t *testing.T) {
	for name, timeout := range map[string]retry.Option{"no timeout": nil, "timeout": retry.WithAttemptTimeout(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			ctx := retry.Override(t.Context(), retry.WithClock(clock))
			fn, _ := always(errBoom)
			layer := func(wait time.Duration, fn func(context.Context) error) func(context.Context) error {
				return func(ctx context.Context) error { // %v, so that the outer layers retry
					return fmt.Errorf("%v", retry.Do(ctx, fn, retry.WithMaxAttempts(2), fixed(wait), timeout))
				}
			}
			_ = layer(3, layer(2, layer(1, fn)))(ctx)
			wantWaits(t, clock.Waits(), 1, 2, 1, 3, 1, 2, 1)
		})
	}
}

// PreviousAttempts returns the number of earlier attempts of the innermost call.
func TestPreviousAttempts(t *testing.T) {
	var none context.Context
	for _, ctx := range []context.Context{none, t.Context(), retry.Override(t.Context(), nil)} {
		if got := retry.PreviousAttempts(ctx); got != 0 {
			t.Errorf("PreviousAttempts() = %d outside of fn, want 0", got)
		}
	}
	for name, timeout := range map[string]retry.Option{"no timeout": nil, "timeout": retry.WithAttemptTimeout(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			var got [][2]int
			var ctxs []context.Context
			err := retry.Do(t.Context(), func(outer context.Context) error {
				ctxs = append(ctxs, outer)
				derived, cancel := context.WithCancel(retry.Override(outer, nil))
				defer cancel()
				err := retry.Do(derived, func(inner context.Context) error {
					got = append(got, [2]int{retry.PreviousAttempts(outer), retry.PreviousAttempts(inner)})
					return errBoom
				}, noWait, timeout, retry.WithMaxAttempts(2))
				if a, b := retry.PreviousAttempts(derived), retry.PreviousAttempts(outer); a != b {
					t.Errorf("PreviousAttempts() = %d in a derived context, want %d", a, b)
				}
				return fmt.Errorf("inner: %v", err)
			}, noWait, timeout, retry.WithMaxAttempts(3))
			gaveUp(t, err, retry.ErrExhausted, 3)
			if want := [][2]int{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}}; !slices.Equal(got, want) {
				t.Errorf("PreviousAttempts() = %v, want %v", got, want)
			}
			for i, ctx := range ctxs { // a context that outlives its attempt does not change
				if got := retry.PreviousAttempts(ctx); got != i {
					t.Errorf("PreviousAttempts() = %d after the call, want %d", got, i)
				}
			}
		})
	}
}

// Hooks get the ctx of Do and not the ctx of an attempt, even inside another call.
func TestHooksGetTheContextOfDo(t *testing.T) {
	fn, _ := script(errBoom)
	check := func(want context.Context) func(context.Context, retry.Event) {
		return func(ctx context.Context, _ retry.Event) {
			if ctx != want {
				t.Errorf("the hook got %v, want %v", ctx, want)
			}
		}
	}
	succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error {
		err := retry.Do(ctx, fn, noWait, retry.WithOnRetry(check(ctx)), retry.WithOnDone(check(ctx)))
		return err
	}, retry.WithOnDone(check(t.Context()))))
}

// The context of an attempt is derived from the context of Do.
func TestAttemptContextIsDerived(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "value"))
	fn, _ := script(errBoom)
	succeeded(t, retry.Do(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		if got := ctx.Value(ctxKey{}); got != "value" {
			t.Errorf("Value() = %v, want value", got)
		}
		child, stop := context.WithCancel(ctx)
		defer stop()
		cancel(errCause)
		<-child.Done()
		if !errors.Is(child.Err(), context.Canceled) || context.Cause(ctx) != errCause || context.Cause(child) != errCause {
			t.Errorf("Err(), Cause() = %v, %v, want context canceled, the cause", child.Err(), context.Cause(child))
		}
		return nil
	}, noWait))
}

// The Value method of a depthCtx records the depth of the stack.
type depthCtx struct {
	context.Context
	depth *int
}

func (c depthCtx) Value(key any) any {
	if key == (ctxKey{}) {
		*c.depth = runtime.Callers(0, make([]uintptr, 1000))
	}
	return c.Context.Value(key)
}

// Attempt contexts are not nested in one another, so that memory does not grow with the
// number of attempts.
func TestAttemptContextsAreNotNested(t *testing.T) {
	for name, timeout := range map[string]retry.Option{"no timeout": nil, "timeout": retry.WithAttemptTimeout(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			var depth int
			var depths []int
			fn, _ := always(errBoom)
			_ = retry.Do(depthCtx{t.Context(), &depth}, func(ctx context.Context) error {
				ctx.Value(ctxKey{})
				depths = append(depths, depth)
				return fn(ctx)
			}, noWait, timeout, retry.WithMaxAttempts(20))
			if depths[1] != depths[19] {
				t.Errorf("context depths = %v, want the same from the second attempt on", depths)
			}
		})
	}
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// inner returns a call to Do whose fn returns errs one after another and then nil.
func inner(errs []error, opts ...retry.Option) func(context.Context) error {
	return func(ctx context.Context) error {
		fn, _ := script(errs...)
		return retry.Do(ctx, fn, append([]retry.Option{fixed(time.Second), retry.WithClock(new(retrytest.Clock))}, opts...)...)
	}
}

func canceledBy(cause error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		fn, opts := actAt(2, inFn, func() { cancel(cause) })
		return retry.Do(ctx, fn, opts)
	}
}

// The beginning of the outer call's error text, or noSay if the outer call decides.
const (
	gaveUpAsWell = "retry: gave up after 1 attempt (nested retry gave up): "
	permanent    = "retry: gave up after 1 attempt (not retryable): "
	noSay        = ""
)

var nestedCalls = []struct {
	name     string
	call     func(context.Context) error
	reason   error         // of the nested call
	verdict  string        // of the outer call
	pushback time.Duration // that the outer call adds
}{
	{"exhausted", inner([]error{errBoom, errBoom}, retry.WithMaxAttempts(2)), retry.ErrExhausted, gaveUpAsWell, 0},
	{"exhausted, with a delay", inner([]error{errBoom, busy(9)}, retry.WithMaxAttempts(2)), retry.ErrExhausted, gaveUpAsWell, 9},
	{"one attempt", inner([]error{errBoom}, retry.WithMaxAttempts(1)), retry.ErrExhausted, noSay, 0},
	{"one attempt, with a delay", inner([]error{busy(9)}, retry.WithMaxAttempts(1)), retry.ErrExhausted, noSay, 9},
	{"elapsed", inner([]error{errBoom, errBoom}, retry.WithMaxElapsed(2*time.Second)), retry.ErrMaxElapsed, gaveUpAsWell, 0},
	{"elapsed in one attempt", inner([]error{errBoom}, retry.WithMaxElapsed(time.Second)), retry.ErrMaxElapsed, noSay, 0},
	{"elapsed, with a delay", inner([]error{errBoom, busy(9)}, retry.WithMaxElapsed(2*time.Second)), retry.ErrMaxElapsed, noSay, 9},
	{"elapsed after a delay", inner([]error{busy(9), errBoom}, retry.WithMaxElapsed(2*time.Second)), retry.ErrMaxElapsed, gaveUpAsWell, 0},
	{"deadline", beforeDeadline(2*time.Second, errBoom, errBoom), retry.ErrDeadline, gaveUpAsWell, 0},
	{"deadline in one attempt", beforeDeadline(time.Second, errBoom), retry.ErrDeadline, noSay, 0},
	{"deadline, with a delay", beforeDeadline(2*time.Second, errBoom, busy(9)), retry.ErrDeadline, noSay, 9},
	{"budget in one attempt", inner([]error{errBoom}, retry.WithBudget(new(retry.Budget))), retry.ErrBudget, gaveUpAsWell, 0},
	{"budget, with a delay", inner([]error{busy(9)}, retry.WithBudget(new(retry.Budget))), retry.ErrBudget, gaveUpAsWell, 9},
	{"declined", inner([]error{errBoom}, retry.WithRetryIf(retry.Is(errCause))), retry.ErrNotRetryable, noSay, 0},
	{"declined in the second attempt", inner([]error{errCause, busy(9)}, retry.WithRetryIf(retry.Is(errCause))), retry.ErrNotRetryable, noSay, 9},
	{"would not wait", inner([]error{errBoom, busy(9)}, retry.WithMaxRetryAfter(8)), retry.ErrRetryAfter, noSay, 9},
	{"canceled", canceledBy(nil), context.Canceled, noSay, 0},
	{"canceled by ErrBudget", canceledBy(retry.ErrBudget), retry.ErrBudget, noSay, 0},
	{"canceled by another call's error", canceledBy(&retry.Error{Attempts: 2, Reason: retry.ErrExhausted}), retry.ErrExhausted, noSay, 0},
	{"clock failed", inner([]error{errBoom}, retry.WithClock(&hookClock{before: func() error { return errOther }})), errOther, noSay, 0},
	{"clock failed with an error that matches ErrBudget", inner([]error{errBoom},
		retry.WithClock(&hookClock{before: func() error { return fmt.Errorf("x: %w", retry.ErrBudget) }})), retry.ErrBudget, noSay, 0},
	{"two layers down", inner([]error{errBoom, errBoom, &retry.Error{Attempts: 2, Reason: retry.ErrExhausted}}), retry.ErrNotRetryable, gaveUpAsWell, 0},
	{"two layers down, with a delay", func(ctx context.Context) error {
		return retry.Do(ctx, inner([]error{busy(9)}, retry.WithMaxAttempts(1)), retry.WithMaxAttempts(1))
	}, retry.ErrExhausted, noSay, 9},
	{"gave up below one attempt", func(ctx context.Context) error {
		return retry.Do(ctx, inner([]error{errBoom, errBoom}, retry.WithMaxAttempts(2)), retry.WithMaxAttempts(1))
	}, retry.ErrNotRetryable, gaveUpAsWell, 0},
	{"a Restart two layers down", inner([]error{retry.Restart(&retry.Error{Attempts: 2, Reason: retry.ErrExhausted})}, retry.WithMaxAttempts(1)), retry.ErrExhausted, gaveUpAsWell, 0},
	{"a Restart below", inner([]error{errBoom, retry.Restart(errBoom), errBoom}, retry.WithMaxAttempts(2)), retry.ErrExhausted, gaveUpAsWell, 0},
	{"permanent", inner([]error{retry.Permanent(errBoom)}), retry.ErrNotRetryable, permanent, 0},
	{"permanent two layers down", inner([]error{errBoom, &retry.Error{Attempts: 1, Err: retry.Permanent(errBoom)}}), retry.ErrNotRetryable, permanent, 0},
	{"invalid", inner([]error{errBoom}, retry.WithMaxAttempts(0)), retry.ErrInvalid, permanent, 0},
}

// beforeDeadline is inner with a deadline in place of options.
func beforeDeadline(d time.Duration, errs ...error) func(context.Context) error {
	return func(ctx context.Context) error {
		clock := new(retrytest.Clock)
		return inner(errs, retry.WithClock(clock))(deadlineCtx{ctx, clock.Now().Add(d)})
	}
}

// outer calls Do on an fn that fails with err once, and returns the wait, or the error of Do.
func outer(t *testing.T, err error, opts ...retry.Option) (time.Duration, error) {
	clock := new(retrytest.Clock)
	fn, calls := script(err)
	got := retry.Do(t.Context(), fn, append([]retry.Option{fixed(time.Hour), retry.WithClock(clock)}, opts...)...)
	if got != nil {
		wantCalls(t, calls, 1)
		return 0, got
	}
	return clock.Waits()[0], nil
}

// A nested call that gave up ends the outer call, whatever the filter says. Every other
// nested call leaves the decision to the outer call. With Unlimited, or below a Restart, a
// nested call that gave up is retried like any other error. Permanent and ErrInvalid stay
// permanent.
func TestNestedCalls(t *testing.T) {
	for _, nested := range nestedCalls {
		for _, tree := range trees {
			t.Run(nested.name+"/"+tree.name, func(t *testing.T) {
				result := nested.call(t.Context())
				if e, ok := result.(*retry.Error); !ok || !errors.Is(e.Reason, nested.reason) || e.RetryAfter() != nested.pushback {
					t.Fatalf("nested Do() = %v, want a Reason that matches %v and RetryAfter %v", result, nested.reason, nested.pushback)
				}
				result = tree.with(result)
				all := retry.WithRetryIf(func(error) bool { return true })
				none := retry.WithRetryIf(func(error) bool { return false })
				for _, opts := range [][]retry.Option{nil, {all}} {
					wait, err := outer(t, result, opts...)
					if nested.verdict == noSay {
						succeeded(t, err)
						if want := time.Hour + nested.pushback; wait != want {
							t.Errorf("wait = %v, want %v", wait, want)
						}
						continue
					}
					e := gaveUp(t, err, retry.ErrNotRetryable, 1)
					wantText(t, err, nested.verdict+e.Err.Error())
					if got := e.RetryAfter(); got != nested.pushback {
						t.Errorf("RetryAfter() = %v, want %v", got, nested.pushback)
					}
				}
				_, unlimited := outer(t, result, retry.WithMaxAttempts(retry.Unlimited))
				_, restarted := outer(t, retry.Restart(result))
				_, wrapped := outer(t, fmt.Errorf("x: %w", retry.Restart(result)))
				for _, err := range []error{unlimited, restarted, wrapped} {
					if nested.verdict != permanent {
						succeeded(t, err)
						continue
					}
					e := gaveUp(t, err, retry.ErrNotRetryable, 1)
					wantText(t, err, permanent+e.Err.Error())
				}
				// If the outer call decides, its filter and its limits apply.
				_, err := outer(t, result, none)
				gaveUp(t, err, retry.ErrNotRetryable, 1)
				if nested.verdict == noSay && nested.pushback > 0 {
					_, err := outer(t, result, retry.WithMaxRetryAfter(nested.pushback-1))
					gaveUp(t, err, retry.ErrRetryAfter, 1)
				}
			})
		}
	}
}

// The longest delay counts, and a Restart matters only for what is below it.
func TestNestedCallsBelowMarkers(t *testing.T) {
	t.Run("the longest delay counts", func(t *testing.T) {
		result := inner([]error{busy(9)}, retry.WithMaxAttempts(1))(t.Context())
		for _, d := range []time.Duration{0, 20} {
			if wait, _ := outer(t, retry.After(result, d)); wait != time.Hour+max(d, 9) {
				t.Errorf("wait = %v, want 1h plus %v", wait, max(d, 9))
			}
		}
	})
	t.Run("Permanent comes first", func(t *testing.T) {
		_, err := outer(t, fmt.Errorf("x: %w", retry.Permanent(inner([]error{errBoom, errBoom}, retry.WithMaxAttempts(2))(t.Context()))))
		wantText(t, err, "retry: gave up after 1 attempt (not retryable): x: retry: gave up after 2 attempts: boom")
	})
	t.Run("Restart of a sibling", func(t *testing.T) {
		result := inner([]error{errBoom, errBoom}, retry.WithMaxAttempts(2))(t.Context())
		for _, err := range []error{errors.Join(retry.Restart(errBoom), result), errors.Join(result, retry.Restart(errBoom))} {
			_, err := outer(t, err)
			gaveUp(t, err, retry.ErrNotRetryable, 1)
		}
	})
}

// To retry a nested call that gave up, fn or an error map hides its error and keeps the
// delay.
func TestNestedCallHidden(t *testing.T) {
	hide := func(_ context.Context, err error) error {
		if e, ok := errors.AsType[*retry.Error](err); ok {
			return retry.After(fmt.Errorf("load: %v", err), e.RetryAfter())
		}
		return err
	}
	result := inner([]error{errBoom, busy(9)}, retry.WithMaxAttempts(2))(t.Context())
	for name, err := range map[string]error{"error map": result, "fn": hide(t.Context(), result)} {
		t.Run(name, func(t *testing.T) {
			wait, err := outer(t, err, retry.WithMapError(hide))
			succeeded(t, err)
			if want := time.Hour + 9; wait != want {
				t.Errorf("wait = %v, want %v", wait, want)
			}
		})
	}
}

// Override(ctx, WithMaxAttempts(1)) inside fn moves all retries to the outer layer, and
// keeps the delay that the server asked for.
func TestOneLayerRetries(t *testing.T) {
	for name, filter := range map[string]retry.Option{
		"default": nil, "everything": retry.WithRetryIf(func(error) bool { return true }), "boom": retry.WithRetryIf(retry.As[busy]()),
	} {
		t.Run(name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			fn, calls := always(busy(40 * time.Second))
			err := retry.Do(t.Context(), func(ctx context.Context) error {
				return retry.Do(retry.Override(ctx, retry.WithMaxAttempts(1)), fn)
			}, retry.WithMaxAttempts(3), fixed(0), retry.WithClock(clock), filter)
			gaveUp(t, err, retry.ErrExhausted, 3)
			wantCalls(t, calls, 3)
			wantWaits(t, clock.Waits(), time.Minute, time.Minute) // 40s and half of them
		})
	}
}

// Two layers under one deadline make one request if the server asks for a longer delay.
func TestNestedCallsUnderOneDeadline(t *testing.T) {
	clock := new(retrytest.Clock)
	ctx := retry.Override(deadlineCtx{t.Context(), clock.Now().Add(10 * time.Second)}, retry.WithClock(clock))
	fn, calls := always(retry.After(errBoom, time.Minute))
	err := retry.Do(ctx, func(ctx context.Context) error { return retry.Do(ctx, fn) })
	e := gaveUp(t, err, retry.ErrDeadline, 1)
	wantCalls(t, calls, 1)
	wantWaits(t, clock.Waits())
	if got := e.RetryAfter(); got != time.Minute {
		t.Errorf("RetryAfter() = %v, want 1m", got)
	}
}

// A loop for conflicts works inside and outside a loop for network errors.
func TestLoopsForDifferentErrors(t *testing.T) {
	errConflict, errNetwork := errors.New("conflict"), errors.New("network")
	conflicts, network := retry.WithRetryIf(retry.Is(errConflict)), retry.WithRetryIf(retry.Is(errNetwork))
	for name, layers := range map[string][2]retry.Option{"inside": {network, conflicts}, "outside": {conflicts, network}} {
		t.Run(name, func(t *testing.T) {
			fn, calls := script(errConflict, errNetwork, errNetwork, errConflict, errConflict, errNetwork)
			succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error {
				return retry.Do(ctx, fn, noWait, layers[1])
			}, noWait, layers[0]))
			wantCalls(t, calls, 7)
		})
	}
}

// Three layers with timeouts of 1s, 3s and none make at most 5 requests to a dependency
// that fails at once.
func TestThreeLayersWithTimeouts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		src := retry.WithSource(rand.NewPCG(3, 4))
		within := func(d time.Duration, fn func(context.Context) error) func(context.Context) error {
			return func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, d)
				defer cancel()
				return retry.Do(ctx, fn, src)
			}
		}
		for range 300 {
			fn, calls := always(errBoom)
			err := retry.Do(t.Context(), within(3*time.Second, within(time.Second, fn)), src)
			if err == nil || *calls > 5 {
				t.Fatalf("calls of fn = %d with Do() = %v, want at most 5 and an error", *calls, err)
			}
		}
	})
}

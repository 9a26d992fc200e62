//go:build !race

// The race detector allocates.

package retry_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
)

func newInt() *int { return new(int) }

// wantAllocs checks that f makes no more than most allocations. It skips the test if the
// compiler does not inline, as with -gcflags=-l or -N, because options then escape.
func wantAllocs(t *testing.T, most float64, f func()) {
	t.Helper()
	if testing.AllocsPerRun(1, func() { *newInt()++ }) > 0 {
		t.Skip("the compiler does not inline")
	}
	if got := testing.AllocsPerRun(100, f); got > most {
		t.Errorf("allocations = %v, want at most %v", got, most)
	}
}

// The compiler does not know these values.
var (
	three  = 3
	second = time.Second
)

// A stillClock does not sleep.
type stillClock struct{}

func (stillClock) Now() time.Time                                   { return time.Unix(0, 0) }
func (stillClock) Sleep(ctx context.Context, d time.Duration) error { return ctx.Err() }

type wide struct{ fields [6]int64 }

func TestAllocsOfSuccess(t *testing.T) {
	ctx, local := t.Context(), 0
	fn := func(context.Context) error { return nil }
	budget, logger := retry.NewBudget(10, 0.1), slog.New(slog.DiscardHandler)
	policy := retry.Policy(retry.WithMaxAttempts(3), retry.WithBackoff(retry.Exponential{Base: time.Second}), retry.WithBudget(budget))
	overridden := retry.Override(ctx, retry.WithMaxAttempts(2))
	wrapped := retry.Wrap(func(context.Context) (wide, error) { return wide{}, nil }, retry.WithMaxAttempts(three))
	unary := retry.WrapUnary(func(_ context.Context, in wide) (wide, error) { return in, nil }, retry.WithMaxAttempts(three))
	for name, call := range map[string]func(){
		"no options":       func() { _ = retry.Do(ctx, fn) },
		"fn that captures": func() { _ = retry.Do(ctx, func(context.Context) error { local++; return nil }) },
		"constants": func() {
			_ = retry.Do(ctx, func(context.Context) error { local++; return nil },
				retry.WithMaxAttempts(7), retry.WithBackoff(retry.Exponential{Base: 10 * time.Millisecond}),
				retry.WithJitter(retry.EqualJitter), retry.WithMaxElapsed(time.Minute), retry.WithMaxRetryAfter(time.Hour))
		},
		"many hooks": func() {
			hook := func(context.Context, retry.Event) { local++ }
			_ = retry.Do(ctx, fn,
				retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook),
				retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook),
				retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook),
				retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook),
				retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook), retry.WithOnDone(hook))
		},
		"run-time values": func() {
			_ = retry.Do(ctx, fn, retry.WithMaxAttempts(three), retry.WithMaxElapsed(second), retry.WithMaxRetryAfter(second))
		},
		"funcs that capture": func() {
			_ = retry.Do(ctx, fn,
				retry.WithOnRetry(func(context.Context, retry.Event) { local++ }),
				retry.WithMapError(func(_ context.Context, err error) error { local++; return err }),
				retry.WithRetryIf(retry.Is(errBoom, errOther), retry.As[*fs.PathError](), func(error) bool { return local > 0 }),
				retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration { return ceiling + time.Duration(local) }))
		},
		"OnDone":  func() { _ = retry.Do(ctx, fn, retry.WithOnDone(func(context.Context, retry.Event) { local++ })) },
		"logger":  func() { _ = retry.Do(ctx, fn, retry.WithLogger(logger, slog.LevelInfo)) },
		"Clock":   func() { _ = retry.Do(ctx, fn, retry.WithClock(stillClock{})) },
		"Budget":  func() { _ = retry.Do(ctx, fn, retry.WithBudget(budget)) },
		"Policy":  func() { _ = retry.Do(ctx, fn, policy) },
		"DoValue": func() { _, _ = retry.DoValue(ctx, func(context.Context) (int, error) { return local, nil }, policy) },
		"DoValue, wide": func() {
			v, _ := retry.DoValue(ctx, func(context.Context) (wide, error) { return wide{}, nil }, retry.WithMaxAttempts(three))
			local += int(v.fields[5])
		},
		"Policy and an option": func() { _ = retry.Do(ctx, fn, policy, retry.WithMaxAttempts(three)) },
		"Override":             func() { _ = retry.Do(overridden, fn, policy) },
		"Wrap":                 func() { _, _ = wrapped(ctx) },
		"WrapUnary":            func() { _, _ = unary(ctx, wide{}) },
	} {
		t.Run(name, func(t *testing.T) { wantAllocs(t, 0, call) })
	}
}

// A retry makes at most one allocation, and the final Error is one more.
func TestAllocsOfRetries(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	wrapped := fmt.Errorf("x: %w", errBoom)
	policy := retry.Policy(retry.WithClock(stillClock{}), retry.WithMaxAttempts(10))
	with := func(opts ...retry.Option) retry.Option { return retry.Policy(policy, retry.Policy(opts...)) }
	for _, test := range []struct {
		name string
		ctx  context.Context
		opt  retry.Option
		errs []error
		most float64
	}{
		{"success", t.Context(), policy, []error{errBoom, errBoom, errBoom}, 3},
		{"exhausted", t.Context(), with(retry.WithMaxAttempts(3)), []error{errBoom, errBoom, errBoom}, 3},
		{"Source and MaxElapsed", t.Context(), with(retry.WithSource(seeded()), retry.WithMaxElapsed(time.Hour)), []error{errBoom, errBoom, errBoom}, 3},
		{"Budget", t.Context(), with(retry.WithBudget(retry.NewBudget(1_000_000, 0))), []error{errBoom, errBoom, errBoom}, 3},
		{"logger that is off", t.Context(), with(retry.WithLogger(slog.New(slog.DiscardHandler), slog.LevelInfo)), []error{errBoom, errBoom, errBoom}, 3},
		{"Is and As", t.Context(), with(retry.WithRetryIf(retry.As[*fs.PathError](), retry.Is(errOther, errCause, errBoom))), []error{wrapped, wrapped, wrapped}, 3},
		{"rejected by Is and As", t.Context(), with(retry.WithRetryIf(retry.As[*fs.PathError](), retry.Is(errOther, errCause))), []error{wrapped}, 1},
		{"permanent", t.Context(), policy, []error{retry.Permanent(errBoom)}, 1},
		{"canceled", canceled, policy, nil, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			fn, calls := script(test.errs...)
			wantAllocs(t, test.most, func() {
				*calls = 0
				_ = retry.Do(test.ctx, fn, test.opt)
			})
		})
	}
}

// All real waits of a call share one timer, and a wait of 0 starts none.
func TestAllocsOfRealWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		allocs := func(attempts int, wait time.Duration) float64 {
			policy := retry.Policy(retry.WithMaxAttempts(attempts), fixed(wait))
			return testing.AllocsPerRun(10, func() {
				_ = retry.Do(t.Context(), func(context.Context) error { return errBoom }, policy)
			})
		}
		none := allocs(1, time.Second)
		timer := allocs(2, time.Second) - none - 1
		if got, most := allocs(12, time.Second)-none, timer+11; got > most {
			t.Errorf("allocations of 11 waits = %v, want at most %v, with one timer", got, most)
		}
		if got := allocs(12, 0) - none; got > 11 {
			t.Errorf("allocations of 11 waits of 0 = %v, want at most 11", got)
		}
	})
}

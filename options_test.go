package retry_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

// A nil ptrImpl is a Backoff, a Source and a Clock whose methods panic.
type ptrImpl struct{ n int }

func (p *ptrImpl) Delay(int) time.Duration                    { return time.Duration(p.n) }
func (p *ptrImpl) Uint64() uint64                             { return uint64(p.n) }
func (p *ptrImpl) Now() time.Time                             { return time.Unix(int64(p.n), 0) }
func (p *ptrImpl) Sleep(context.Context, time.Duration) error { p.n++; return nil }

type funcBackoff func(int) time.Duration

func (f funcBackoff) Delay(n int) time.Duration { return f(n) }

func TestInvalidOptions(t *testing.T) {
	var none *ptrImpl
	ok := func(error) bool { return true }
	for _, test := range []struct {
		opt  retry.Option
		want string // what the Reason names
	}{
		{retry.WithMaxAttempts(0), "WithMaxAttempts(0)"},
		{retry.WithMaxAttempts(-1), "WithMaxAttempts(-1)"},
		{retry.WithMaxAttempts(math.MinInt), "WithMaxAttempts(" + strconv.Itoa(math.MinInt) + ")"},
		{retry.WithMaxElapsed(0), "WithMaxElapsed(0s)"},
		{retry.WithMaxElapsed(-time.Second), "WithMaxElapsed(-1s)"},
		{retry.WithAttemptTimeout(0), "WithAttemptTimeout(0s)"},
		{retry.WithAttemptTimeout(-1), "WithAttemptTimeout(-1ns)"},
		{retry.WithBackoff(nil), "WithBackoff(nil)"},
		{retry.WithBackoff(none), "WithBackoff(nil)"},
		{retry.WithBackoff(retry.BackoffFunc(nil)), "WithBackoff(nil)"},
		{retry.WithBackoff(funcBackoff(nil)), "WithBackoff(nil)"},
		{retry.WithBackoff((*retry.Exponential)(nil)), "WithBackoff(nil)"},
		{retry.WithBackoff(retry.Exponential{Base: -1}), "WithBackoff(Exponential{Base: -1ns})"},
		{retry.WithBackoff(&retry.Exponential{Base: -1}), "WithBackoff(Exponential{Base: -1ns})"},
		{retry.WithBackoff(retry.Exponential{Max: -time.Hour}), "WithBackoff(Exponential{Max: -1h0m0s})"},
		{retry.WithBackoff(retry.Exponential{Factor: math.Nextafter(1, 0)}), "WithBackoff(Exponential{Factor: 0.9999999999999999})"},
		{retry.WithBackoff(retry.Exponential{Factor: -2}), "WithBackoff(Exponential{Factor: -2})"},
		{retry.WithBackoff(retry.Exponential{Factor: math.NaN()}), "WithBackoff(Exponential{Factor: NaN})"},
		{retry.WithBackoff(retry.Exponential{Factor: math.Inf(1)}), "WithBackoff(Exponential{Factor: +Inf})"},
		{retry.WithBackoff(retry.Exponential{Factor: math.Inf(-1)}), "WithBackoff(Exponential{Factor: -Inf})"},
		{retry.WithJitter(nil), "WithJitter(nil)"},
		{retry.WithSource(nil), "WithSource(nil)"},
		{retry.WithSource(none), "WithSource(nil)"},
		{retry.WithSource((*rand.PCG)(nil)), "WithSource(nil)"},
		{retry.WithClock(nil), "WithClock(nil)"},
		{retry.WithClock(none), "WithClock(nil)"},
		{retry.WithRetryIf(), "WithRetryIf()"},
		{retry.WithRetryIf(nil), "WithRetryIf(nil)"},
		{retry.WithRetryIf(nil, ok), "WithRetryIf(nil)"},
		{retry.WithRetryIf(ok, nil), "WithRetryIf(nil)"},
		{retry.WithOnRetry(nil), "WithOnRetry(nil)"},
		{retry.WithOnDone(nil), "WithOnDone(nil)"},
		{retry.WithLogger(nil, slog.LevelInfo), "WithLogger(nil)"},
		{retry.WithBudget(nil), "WithBudget(nil)"},
		{retry.WithBudget(retry.NewBudget(0, 0)), "WithBudget(NewBudget(0, 0))"},
		{retry.WithBudget(retry.NewBudget(-1, 0)), "WithBudget(NewBudget(-1, 0))"},
		{retry.WithBudget(retry.NewBudget(1, -0.1)), "WithBudget(NewBudget(1, -0.1))"},
		{retry.WithBudget(retry.NewBudget(1, math.Nextafter(1, 2))), "WithBudget(NewBudget(1, 1.0000000000000002))"},
		{retry.WithBudget(retry.NewBudget(1, math.NaN())), "WithBudget(NewBudget(1, NaN))"},
		{retry.WithBudget(retry.NewBudget(1, math.Inf(1))), "WithBudget(NewBudget(1, +Inf))"},
	} {
		t.Run(test.want, func(t *testing.T) {
			hook := retry.WithOnDone(func(context.Context, retry.Event) { t.Error("OnDone was called") })
			fn, calls := script()
			value := func(ctx context.Context) (int, error) { return 1, fn(ctx) }
			check := func(err error) {
				t.Helper()
				e := gaveUp(t, err, retry.ErrInvalid, 0)
				if e.Err != nil || !strings.HasPrefix(e.Reason.Error(), "invalid option "+test.want) {
					t.Errorf("got Reason %q, want it to name %s", e.Reason, test.want)
				}
				if got := err.Error(); strings.Contains(got, "\n") || !strings.HasSuffix(got, " before the first attempt") {
					t.Errorf("got text %q", got)
				}
			}
			check(retry.Do(t.Context(), fn, test.opt, hook))
			check(retry.Do(t.Context(), fn, hook, test.opt, retry.WithMaxAttempts(0))) // the first one is named
			check(retry.Do(t.Context(), fn, retry.Policy(hook, test.opt)))
			check(retry.Do(t.Context(), fn, retry.Policy(retry.Policy(test.opt)), hook))
			check(retry.Do(retry.Override(t.Context(), test.opt), fn, hook))
			got, err := retry.Wrap(value, test.opt, hook)(t.Context())
			check(err)
			if got != 0 {
				t.Errorf("got value %d, want 0", got)
			}
			wantCalls(t, calls, 0)
		})
	}
}

// A later, valid option does not heal an invalid one.
func TestInvalidOptionIsNotHealed(t *testing.T) {
	fn, calls := script()
	valid := retry.WithMaxAttempts(3)
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(0), valid), retry.ErrInvalid, 0)
	gaveUp(t, retry.Do(retry.Override(t.Context(), valid), fn, retry.WithMaxAttempts(0)), retry.ErrInvalid, 0)
	gaveUp(t, retry.Do(t.Context(), fn, retry.Policy(retry.WithMaxAttempts(0)), valid), retry.ErrInvalid, 0)
	wantCalls(t, calls, 0)
}

func TestValidExtremes(t *testing.T) {
	var n ptrImpl
	for name, opt := range map[string]retry.Option{
		"one attempt":           retry.WithMaxAttempts(1),
		"a nanosecond elapsed":  retry.WithMaxElapsed(1),
		"the longest elapsed":   retry.WithMaxElapsed(math.MaxInt64),
		"the longest timeout":   retry.WithAttemptTimeout(math.MaxInt64),
		"factor 1":              retry.WithBackoff(retry.Exponential{Factor: 1}),
		"the largest factor":    retry.WithBackoff(retry.Exponential{Factor: math.MaxFloat64}),
		"an Exponential by ref": retry.WithBackoff(&retry.Exponential{}),
		"pointers":              retry.Policy(retry.WithBackoff(&n), retry.WithSource(&n), retry.WithClock(&n)),
		"the smallest budget":   retry.WithBudget(retry.NewBudget(1, 1)),
		"the zero budget":       retry.WithBudget(&retry.Budget{}),
		"an empty Policy":       retry.Policy(),
		"nil":                   nil,
		"a Policy of nil":       retry.Policy(nil, nil),
	} {
		fn, calls := script()
		if err := retry.Do(t.Context(), fn, opt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantCalls(t, calls, 1)
	}
}

func TestLaterOptionsWin(t *testing.T) {
	clock := newFakeClock()
	fn, calls := always(errBoom)
	err := retry.Do(t.Context(), fn,
		retry.WithMaxAttempts(9), retry.WithBackoff(retry.Constant(9)), retry.WithJitter(retry.FullJitter),
		retry.WithRetryIf(retry.Is(errOther)), retry.WithClock(noSleep{}), retry.WithBudget(new(retry.Budget)),
		retry.WithMaxElapsed(1), retry.WithSource(panicSource{}), retry.WithAttemptTimeout(time.Nanosecond),

		retry.WithMaxAttempts(3), fixed(time.Second),
		retry.WithRetryIf(retry.Is(errBoom)), retry.WithClock(clock), retry.WithBudget(retry.NewBudget(9, 0)),
		retry.WithMaxElapsed(time.Hour), retry.WithSource(seededSource()), retry.WithAttemptTimeout(time.Hour))
	gaveUp(t, err, retry.ErrExhausted, 3)
	wantCalls(t, calls, 3)
	wantWaits(t, clock.waits, time.Second, time.Second)
}

func TestPolicy(t *testing.T) {
	const sec = time.Second
	policy := retry.Policy(retry.WithMaxAttempts(3), fixed(sec))
	for _, test := range []struct {
		name string
		opts []retry.Option
		want []time.Duration
	}{
		{"alone", []retry.Option{policy}, []time.Duration{sec, sec}},
		{"with an override at the call", []retry.Option{policy, retry.WithMaxAttempts(2)}, []time.Duration{sec}},
		{"overriding", []retry.Option{retry.WithMaxAttempts(9), fixed(9), policy}, []time.Duration{sec, sec}},
		{"in a Policy", []retry.Option{retry.Policy(policy, fixed(2*sec))}, []time.Duration{2 * sec, 2 * sec}},
		{"two", []retry.Option{policy, retry.Policy(fixed(3 * sec))}, []time.Duration{3 * sec, 3 * sec}},
	} {
		clock := newFakeClock()
		fn, _ := always(errBoom)
		err := retry.Do(t.Context(), fn, append(test.opts, retry.WithClock(clock))...)
		gaveUp(t, err, retry.ErrExhausted, len(test.want)+1)
		if !slices.Equal(clock.waits, test.want) {
			t.Errorf("%s: got waits %v, want %v", test.name, clock.waits, test.want)
		}
	}
}

// Two bundles made from one slice with room to spare do not overwrite each other.
func TestPolicyKeepsItsOptions(t *testing.T) {
	clock := newFakeClock()
	common := make([]retry.Option, 0, 9)
	common = append(common, fixed(time.Second), retry.WithClock(clock))
	two := retry.Policy(append(common, retry.WithMaxAttempts(2))...)
	wrapped := retry.Wrap(func(context.Context) (int, error) { return 0, errBoom }, append(common, retry.WithMaxAttempts(3))...)
	ctx := retry.Override(t.Context(), append(common, retry.WithMaxAttempts(4))...)
	_ = append(common, retry.WithMaxAttempts(5))

	fn, _ := always(errBoom)
	gaveUp(t, retry.Do(t.Context(), fn, two), retry.ErrExhausted, 2)
	gaveUp(t, retry.Do(t.Context(), fn, two, nil), retry.ErrExhausted, 2)
	_, err := wrapped(t.Context())
	gaveUp(t, err, retry.ErrExhausted, 3)
	gaveUp(t, retry.Do(ctx, fn), retry.ErrExhausted, 4)
}

// What a call does is settled when it begins, whatever becomes of the slice that
// its options came in.
func TestOptionsOfACallAreReadOnce(t *testing.T) {
	common := append(make([]retry.Option, 0, 4), retry.WithClock(noSleep{}))
	calls := 0
	err := retry.Do(t.Context(), func(ctx context.Context) error {
		calls++
		fn, _ := script()
		if err := retry.Do(ctx, fn, append(common, retry.WithMaxAttempts(1))...); err != nil {
			t.Error(err)
		}
		return errBoom
	}, append(common, retry.WithMaxAttempts(5))...)
	gaveUp(t, err, retry.ErrExhausted, 5)
	wantCalls(t, &calls, 5)

	budget := retry.NewBudget(1, 0)
	opts := []retry.Option{retry.WithMaxAttempts(2), retry.WithClock(noSleep{}), retry.WithBudget(budget)}
	err = retry.Do(t.Context(), func(context.Context) error {
		opts[0] = retry.WithMaxAttempts(0)
		return errBoom
	}, opts...)
	gaveUp(t, err, retry.ErrExhausted, 2)
	wantTokens(t, budget, 0)
}

// An Option embedded in a foreign type is none of this package's.
func TestForeignOption(t *testing.T) {
	fn, calls := script()
	err := retry.Do(t.Context(), fn, struct{ retry.Option }{retry.WithMaxAttempts(1)})
	gaveUp(t, err, retry.ErrInvalid, 0)
	if want := "retry: invalid option Option(of a foreign type) (want one of this package's) before the first attempt"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	wantCalls(t, calls, 0)
}

// The first invalid option is named, and an Override's only after the call's own.
func TestFirstInvalidOptionIsNamed(t *testing.T) {
	fn, _ := script()
	err := retry.Do(retry.Override(t.Context(), retry.WithMaxElapsed(0)), fn, retry.WithJitter(nil))
	if !errors.Is(err, retry.ErrInvalid) || !strings.Contains(err.Error(), "WithJitter(nil)") {
		t.Errorf("got %v, want it to name WithJitter(nil)", err)
	}
	if got, want := err.Error(), "retry: invalid option WithJitter(nil) (want a value) before the first attempt"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err = retry.Do(t.Context(), fn, retry.WithMaxAttempts(0))
	if got, want := err.Error(), "retry: invalid option WithMaxAttempts(0) (want 1 or more) before the first attempt"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

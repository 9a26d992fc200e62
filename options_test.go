package retry_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// Step 1: the Reason names an invalid option and its value, and Do calls neither fn nor
// a hook. No option panics.
func TestInvalidOptions(t *testing.T) {
	const (
		positive    = ": must be positive"
		notNil      = ": must not be nil"
		notNegative = ": must not be negative"
		factor      = ": must be finite and at least 1"
		budget      = ": must have a capacity of at least 1 and a ratio from 0 to the capacity"
	)
	ok := func(error) bool { return true }
	exponential := func(e retry.Exponential) retry.Option { return retry.WithBackoff(e) }
	for _, test := range []struct {
		opt  retry.Option
		want string
	}{
		{retry.WithMaxAttempts(0), "WithMaxAttempts(0): must be at least 1"},
		{retry.WithMaxAttempts(math.MinInt), "WithMaxAttempts(" + strconv.Itoa(math.MinInt) + "): must be at least 1"},
		{retry.WithMaxElapsed(0), "WithMaxElapsed(0s)" + positive},
		{retry.WithMaxElapsed(-time.Second), "WithMaxElapsed(-1s)" + positive},
		{retry.WithMaxRetryAfter(0), "WithMaxRetryAfter(0s)" + positive},
		{retry.WithMaxRetryAfter(-1), "WithMaxRetryAfter(-1ns)" + positive},
		{retry.WithAttemptTimeout(0), "WithAttemptTimeout(0s)" + positive},
		{retry.WithAttemptTimeout(-1), "WithAttemptTimeout(-1ns)" + positive},
		{retry.WithBackoff(nil), "WithBackoff(nil)" + notNil},
		{retry.WithBackoff(retry.BackoffFunc(nil)), "WithBackoff(BackoffFunc(nil))" + notNil},
		{retry.WithBackoff((*retry.Exponential)(nil)), "WithBackoff((*Exponential)(nil))" + notNil},
		{exponential(retry.Exponential{Base: -1}), "WithBackoff(Exponential{Base: -1ns})" + notNegative},
		{retry.WithBackoff(&retry.Exponential{Base: -1}), "WithBackoff(Exponential{Base: -1ns})" + notNegative},
		{exponential(retry.Exponential{Max: -time.Hour}), "WithBackoff(Exponential{Max: -1h0m0s})" + notNegative},
		{exponential(retry.Exponential{Factor: math.Nextafter(1, 0)}), "WithBackoff(Exponential{Factor: 0.9999999999999999})" + factor},
		{exponential(retry.Exponential{Factor: -2}), "WithBackoff(Exponential{Factor: -2})" + factor},
		{exponential(retry.Exponential{Factor: math.NaN()}), "WithBackoff(Exponential{Factor: NaN})" + factor},
		{exponential(retry.Exponential{Factor: math.Inf(1)}), "WithBackoff(Exponential{Factor: +Inf})" + factor},
		{exponential(retry.Exponential{Factor: math.Inf(-1)}), "WithBackoff(Exponential{Factor: -Inf})" + factor},
		{retry.WithJitter(nil), "WithJitter(nil)" + notNil},
		{retry.WithSource(nil), "WithSource(nil)" + notNil},
		{retry.WithClock(nil), "WithClock(nil)" + notNil},
		{retry.WithRetryIf(), "WithRetryIf(): must have at least one predicate"},
		{retry.WithRetryIf(nil), "WithRetryIf(nil)" + notNil},
		{retry.WithRetryIf(ok, nil), "WithRetryIf(nil)" + notNil},
		{retry.WithMapError(nil), "WithMapError(nil)" + notNil},
		{retry.WithOnRetry(nil), "WithOnRetry(nil)" + notNil},
		{retry.WithOnDone(nil), "WithOnDone(nil)" + notNil},
		{retry.WithLogger(nil, slog.LevelInfo), "WithLogger(nil)" + notNil},
		{retry.WithBudget(nil), "WithBudget(nil)" + notNil},
		{retry.WithBudget(retry.NewBudget(0, 0)), "WithBudget(NewBudget(0, 0))" + budget},
		{retry.WithBudget(retry.NewBudget(1, -0.1)), "WithBudget(NewBudget(1, -0.1))" + budget},
		{retry.WithBudget(retry.NewBudget(1, math.Nextafter(1, 2))), "WithBudget(NewBudget(1, 1.0000000000000002))" + budget},
		{retry.WithBudget(retry.NewBudget(1, math.NaN())), "WithBudget(NewBudget(1, NaN))" + budget},
		{retry.WithBudget(retry.NewBudget(1, math.Inf(1))), "WithBudget(NewBudget(1, +Inf))" + budget},
		{struct{ retry.Option }{retry.WithMaxAttempts(1)}, "struct { retry.Option } was not created by package retry"},
	} {
		t.Run(test.want, func(t *testing.T) {
			hook := retry.WithOnDone(func(context.Context, retry.Event) { t.Error("Do called OnDone") })
			fn, calls := script()
			value := func(ctx context.Context) (int, error) { return 1, fn(ctx) }
			valid := retry.WithMaxAttempts(3) // does not make up for an invalid option
			ctx := t.Context()
			_, wrapped := retry.Wrap(value, test.opt, hook, valid)(ctx)
			for _, err := range []error{
				retry.Do(ctx, fn, test.opt, hook, valid),
				retry.Do(ctx, fn, hook, test.opt, retry.WithMaxElapsed(0)), // the first one is named
				retry.Do(ctx, fn, retry.Policy(retry.Policy(hook, test.opt), valid)),
				retry.Do(retry.Override(ctx, test.opt), fn, hook, retry.WithMaxAttempts(3)),
				retry.Do(retry.Override(ctx, retry.WithMaxElapsed(0)), fn, hook, test.opt), // the option of the call is named
				retry.Do(retry.Override(retry.Override(ctx, test.opt), valid), fn, hook),
				wrapped,
			} {
				if e := gaveUp(t, err, retry.ErrInvalid, 0); e.Err != nil {
					t.Errorf("Err = %v, want nil", e.Err)
				}
				wantText(t, err, "retry: invalid option: "+test.want)
			}
			wantCalls(t, calls, 0)
		})
	}
}

func TestValidExtremes(t *testing.T) {
	for i, opt := range []retry.Option{
		nil, retry.Policy(), retry.Policy(nil, nil), retry.WithMaxAttempts(1),
		retry.WithMaxElapsed(1), retry.WithMaxElapsed(math.MaxInt64), retry.WithMaxRetryAfter(1), retry.WithAttemptTimeout(math.MaxInt64),
		retry.WithBackoff(retry.Exponential{Factor: 1}), retry.WithBackoff(&retry.Exponential{Factor: math.MaxFloat64}),
		retry.WithBudget(retry.NewBudget(1, 1)), retry.WithBudget(&retry.Budget{}),
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			fn, calls := script()
			succeeded(t, retry.Do(t.Context(), fn, nil, opt, nil))
			wantCalls(t, calls, 1)
		})
	}
}

func TestLaterOptionsOverride(t *testing.T) {
	clock := new(retrytest.Clock)
	fn, calls := always(retry.After(errBoom, time.Second))
	err := retry.Do(t.Context(), fn,
		retry.WithMaxAttempts(9), retry.WithBackoff(retry.Constant(9)), retry.WithJitter(retry.FullJitter),
		retry.WithRetryIf(retry.Is(errOther)), retry.WithClock(&hookClock{before: func() error { return errOther }}),
		retry.WithBudget(new(retry.Budget)), retry.WithMaxElapsed(1), retry.WithMaxRetryAfter(1),
		retry.WithSource(sourceFunc(func() uint64 { panic("drawn") })), retry.WithAttemptTimeout(time.Nanosecond),

		retry.WithMaxAttempts(3), retry.WithBackoff(retry.Constant(time.Second)), retry.WithJitter(retry.EqualJitter),
		retry.WithRetryIf(retry.Is(errBoom)), retry.WithClock(clock), retry.WithBudget(retry.NewBudget(9, 0)),
		retry.WithMaxElapsed(time.Hour), retry.WithMaxRetryAfter(time.Second),
		retry.WithSource(sourceFunc(func() uint64 { return 0 })), retry.WithAttemptTimeout(time.Hour),
		retry.WithMapError(func(ctx context.Context, err error) error {
			if ctx.Err() != nil {
				t.Errorf("Err() = %v, want nil: the timeout is 1h", ctx.Err())
			}
			return err
		}))
	gaveUp(t, err, retry.ErrExhausted, 3)
	wantCalls(t, calls, 3)
	wantWaits(t, clock.Waits(), 1500*time.Millisecond, 1500*time.Millisecond)
}

func TestPolicy(t *testing.T) {
	const s = time.Second
	policy := retry.Policy(retry.WithMaxAttempts(3), fixed(s))
	for _, test := range []struct {
		name string
		opts []retry.Option
		want []time.Duration
	}{
		{"alone", []retry.Option{policy}, []time.Duration{s, s}},
		{"before another option", []retry.Option{policy, retry.WithMaxAttempts(2)}, []time.Duration{s}},
		{"after others", []retry.Option{retry.WithMaxAttempts(9), fixed(9), policy}, []time.Duration{s, s}},
		{"in a Policy", []retry.Option{retry.Policy(policy, fixed(2*s))}, []time.Duration{2 * s, 2 * s}},
		{"two", []retry.Option{policy, retry.Policy(fixed(3 * s))}, []time.Duration{3 * s, 3 * s}},
		{"before many", append([]retry.Option{policy}, slices.Repeat([]retry.Option{nil, fixed(4 * s)}, 20)...), []time.Duration{4 * s, 4 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			fn, _ := always(errBoom)
			gaveUp(t, retry.Do(t.Context(), fn, append(test.opts, retry.WithClock(clock))...), retry.ErrExhausted, len(test.want)+1)
			wantWaits(t, clock.Waits(), test.want...)
		})
	}
}

// A call reads its options when it starts. The caller may reuse the array behind the
// options in a nested call or during the call, however many options there are.
func TestOptionsAreSettledAtTheStart(t *testing.T) {
	for _, n := range []int{0, 1, 6, 7, 8, 30} {
		t.Run(fmt.Sprintf("%d more options", n), func(t *testing.T) {
			var got []string
			note := func(name string) func(context.Context, retry.Event) {
				return func(context.Context, retry.Event) { got = append(got, name) }
			}
			hooks := func(name string) retry.Option {
				return retry.Policy(retry.WithOnRetry(note(name)), retry.WithOnDone(note(name+" done")),
					retry.WithMapError(func(_ context.Context, err error) error { got = append(got, name+" map"); return err }))
			}
			common := append(make([]retry.Option, 0, n+3), noWait)
			for range n {
				common = append(common, retry.WithMaxAttempts(2))
			}
			fn, _ := script(errBoom)
			opts := append(common, hooks("outer"))
			succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error {
				succeeded(t, retry.Do(ctx, func(context.Context) error { return nil }, append(common, hooks("inner"))...))
				clear(opts)
				return fn(ctx)
			}, opts...))
			want := []string{"inner map", "inner done", "outer map", "outer", "inner map", "inner done", "outer map", "outer done"}
			if !slices.Equal(got, want) {
				t.Errorf("called %q, want %q", got, want)
			}
		})
	}
}

// A call keeps its predicates, the first 4 of them even if the caller reuses their array.
func TestPredicatesAreSettledAtTheStart(t *testing.T) {
	for n := range 4 {
		common := slices.Grow(slices.Repeat([]func(error) bool{retry.Is(errOther)}, n), 1)
		preds := append(common, retry.Is(errBoom))
		err := retry.Do(t.Context(), func(ctx context.Context) error {
			fn, _ := always(errCause)
			nested := retry.Do(ctx, fn, noWait, retry.WithRetryIf(append(common, retry.Is(errCause))...))
			gaveUp(t, nested, retry.ErrExhausted, 5)
			preds[n] = nil
			return errBoom
		}, noWait, retry.WithRetryIf(preds...))
		gaveUp(t, err, retry.ErrExhausted, 5)
	}
}

func TestManyPredicates(t *testing.T) {
	for i := range 20 {
		preds := slices.Repeat([]func(error) bool{retry.Is(errOther)}, 20)
		fn, _ := always(errBoom)
		preds[i] = retry.Is(errBoom)
		gaveUp(t, retry.Do(t.Context(), fn, noWait, retry.WithRetryIf(preds...)), retry.ErrExhausted, 5)
		preds[i] = nil
		gaveUp(t, retry.Do(t.Context(), fn, retry.WithRetryIf(preds...)), retry.ErrInvalid, 0)
	}
}

// Policy, Wrap, WrapUnary, and Override keep a copy of their options.
func TestOptionsAreCopied(t *testing.T) {
	common := append(make([]retry.Option, 0, 9), noWait)
	two := retry.Policy(append(common, retry.WithMaxAttempts(2))...)
	value := func(context.Context) (int, error) { return 0, errBoom }
	three := retry.Wrap(value, append(common, retry.WithMaxAttempts(3))...)
	four := retry.WrapUnary(func(context.Context, int) (int, error) { return 0, errBoom }, append(common, retry.WithMaxAttempts(4))...)
	five := retry.Override(t.Context(), append(common, retry.WithMaxAttempts(5))...)
	_ = append(common, retry.WithMaxAttempts(6))

	fn, _ := always(errBoom)
	gaveUp(t, retry.Do(t.Context(), fn, two), retry.ErrExhausted, 2)
	_, err := three(t.Context())
	gaveUp(t, err, retry.ErrExhausted, 3)
	_, err = four(t.Context(), 0)
	gaveUp(t, err, retry.ErrExhausted, 4)
	gaveUp(t, retry.Do(five, fn, retry.WithMaxAttempts(9)), retry.ErrExhausted, 5)
}

// Do acts on what an error map returns, nil included. Values are unaffected.
func TestMapError(t *testing.T) {
	to := func(err error) retry.Option {
		return retry.WithMapError(func(context.Context, error) error { return err })
	}
	for _, test := range []struct {
		name     string
		err      error // of fn
		opt      retry.Option
		reason   error // nil for a success
		attempts int
		wantErr  error
	}{
		{"unchanged", errBoom, retry.WithMapError(func(_ context.Context, err error) error { return err }), retry.ErrExhausted, 2, errBoom},
		{"error to nil", errBoom, to(nil), nil, 1, nil},
		{"nil to error", nil, to(errOther), retry.ErrExhausted, 2, errOther},
		{"to another error", errBoom, to(errOther), retry.ErrExhausted, 2, errOther},
		{"to Permanent", errBoom, to(retry.Permanent(errOther)), retry.ErrNotRetryable, 1, errOther},
		{"from Permanent", retry.Permanent(errBoom), to(errOther), retry.ErrExhausted, 2, errOther},
		{"to After", errBoom, to(retry.After(errOther, time.Hour)), retry.ErrRetryAfter, 1, errOther},
		{"for the filter", errBoom, retry.Policy(to(errOther), retry.WithRetryIf(retry.Is(errBoom))), retry.ErrNotRetryable, 1, errOther},
		{"to a nested call that gave up", errBoom, to(&retry.Error{Attempts: 2, Reason: retry.ErrExhausted}), retry.ErrNotRetryable, 1, nil},
		{"error to nil to error", errBoom, retry.Policy(to(nil), to(errOther)), retry.ErrExhausted, 2, errOther},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			opts := retry.Policy(noWait, retry.WithMaxAttempts(2), test.opt)
			got, err := retry.DoValue(t.Context(), func(context.Context) (int, error) { calls++; return calls, test.err }, opts)
			if got != test.attempts {
				t.Errorf("value = %d, want %d", got, test.attempts)
			}
			if test.reason == nil {
				succeeded(t, err)
				return
			}
			if e := gaveUp(t, err, test.reason, test.attempts); test.wantErr != nil && e.Err != test.wantErr {
				t.Errorf("Err = %v, want %v", e.Err, test.wantErr)
			}
		})
	}
}

// Several error maps run in order, each on the result of the previous one. The error maps
// of Override run first, on what fn returned, beginning with the outermost override.
func TestMapErrorOrder(t *testing.T) {
	add := func(name string) retry.Option {
		return retry.WithMapError(func(_ context.Context, err error) error { return fmt.Errorf("%v, %s", err, name) })
	}
	many := slices.Repeat([]retry.Option{nil}, 20)
	for _, test := range []struct {
		name string
		opts []retry.Option
		want string
	}{
		{"none", nil, "outer 1, outer 2, inner"},
		{"one", []retry.Option{add("a")}, "outer 1, outer 2, inner, a"},
		{"several", []retry.Option{add("a"), nil, add("b")}, "outer 1, outer 2, inner, a, b"},
		{"a Policy", []retry.Option{retry.Policy(add("a"), retry.Policy(add("b")), add("c")), add("d")}, "outer 1, outer 2, inner, a, b, c, d"},
		{"many options", append(append([]retry.Option{add("a")}, many...), add("b")), "outer 1, outer 2, inner, a, b"},
		{"many error maps", slices.Repeat([]retry.Option{add("a"), add("b"), add("c")}, 7),
			"outer 1, outer 2, inner" + strings.Repeat(", a, b, c", 7)},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := retry.Override(t.Context(), add("outer 1"), retry.Policy(add("outer 2")))
			ctx = retry.Override(ctx, add("inner"))
			fn, _ := always(retry.Permanent(errBoom))
			e := gaveUp(t, retry.Do(ctx, fn, append(test.opts, retry.WithMaxAttempts(1))...), retry.ErrExhausted, 1)
			wantText(t, e.Err, "boom, "+test.want)
		})
	}
}

// An error map gets the context that fn got, after each attempt.
func TestMapErrorContext(t *testing.T) {
	for _, timeout := range []retry.Option{nil, retry.WithAttemptTimeout(time.Hour)} {
		var got []context.Context
		var errs []error
		fn, _ := script(errBoom, errOther)
		succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error { got = append(got, ctx); return fn(ctx) }, noWait, timeout,
			retry.WithMapError(func(ctx context.Context, err error) error {
				if ctx != got[len(got)-1] || ctx.Err() != nil || retry.PreviousAttempts(ctx) != len(errs) {
					t.Errorf("the error map got %v with error %v, want the context of fn", ctx, ctx.Err())
				}
				errs = append(errs, err)
				return err
			})))
		if want := []error{errBoom, errOther, nil}; !slices.Equal(errs, want) {
			t.Errorf("the error map got %v, want %v", errs, want)
		}
	}
}

// A custom Jitter gets a generator that is not nil. By default, it is the runtime's.
func TestJitterGetsAGenerator(t *testing.T) {
	for name, source := range map[string]retry.Option{"runtime": nil, "Source": retry.WithSource(seeded())} {
		t.Run(name, func(t *testing.T) {
			seen := map[uint64]bool{}
			fn, _ := script(errBoom, errBoom, errBoom)
			succeeded(t, retry.Do(t.Context(), fn, source, retry.WithJitter(func(_ time.Duration, r *rand.Rand) time.Duration {
				seen[r.Uint64()] = true
				return 0
			})))
			if len(seen) != 3 {
				t.Errorf("%d different numbers in 3 draws, want 3", len(seen))
			}
		})
	}
}

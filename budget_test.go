package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

func TestBudgetStartsFull(t *testing.T) {
	for _, test := range []struct {
		capacity int64
		ratio    float64
		want     float64
	}{
		{1, 0, 1},
		{10, 0.1, 10},
		{3, 3, 3},
		{math.MaxInt64 / 1000, 0, math.MaxInt64 / 1000},
		{math.MaxInt64/1000 + 1, 0, math.MaxInt64 / 1000}, // saturates
		{math.MaxInt64, 0.1, math.MaxInt64 / 1000},
	} {
		t.Run(fmt.Sprint(test.capacity, test.ratio), func(t *testing.T) {
			if test.capacity > math.MaxInt {
				t.Skip("an int has 32 bits")
			}
			if got := retry.NewBudget(int(test.capacity), test.ratio).Tokens(); math.Abs(got-test.want) > test.want*1e-15 {
				t.Errorf("Tokens() = %v, want %v", got, test.want)
			}
		})
	}
}

// spend makes n retries that fail, and succeed makes n calls that succeed at once.
func spend(t *testing.T, b *retry.Budget, n int) {
	t.Helper()
	fn, _ := always(errBoom)
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(n+1), retry.WithBudget(b), noWait), retry.ErrExhausted, n+1)
}

func succeed(t *testing.T, b *retry.Budget, n int) {
	t.Helper()
	for range n {
		fn, _ := script()
		succeeded(t, retry.Do(t.Context(), fn, retry.WithBudget(b)))
	}
}

// Step 11: a retry takes a token. If there is none, Do returns ErrBudget at once. First
// attempts are never charged. The zero Budget permits no retries.
func TestBudgetChargesRetries(t *testing.T) {
	for _, test := range []struct {
		name     string
		budget   *retry.Budget
		attempts int
	}{
		{"two tokens", retry.NewBudget(2, 0), 3},
		{"one token", retry.NewBudget(1, 0), 2},
		{"zero Budget", new(retry.Budget), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, attempts := range []int{test.attempts, 1, 1} {
				clock := new(retrytest.Clock)
				fn, calls := always(errBoom)
				err := retry.Do(t.Context(), fn, retry.WithBudget(test.budget), fixed(1), retry.WithClock(clock))
				gaveUp(t, err, retry.ErrBudget, attempts)
				wantCalls(t, calls, attempts)
				wantTokens(t, test.budget, 0)
				if got := len(clock.Waits()); got != attempts-1 {
					t.Errorf("number of waits = %d, want %d", got, attempts-1)
				}
			}
			fn, _ := script()
			succeeded(t, retry.Do(t.Context(), fn, retry.WithBudget(test.budget)))
		})
	}
}

// Every success deposits ratio, as rounded to thousandths and capped at the capacity.
func TestBudgetDeposits(t *testing.T) {
	for _, test := range []struct {
		ratio     float64
		successes int
		want      float64
	}{
		{0, 5, 0}, {0.1, 1, 0.1}, {0.1, 9, 0.9}, {0.1, 19, 1.9}, {0.1, 20, 2}, {0.1, 21, 2},
		{0.0004, 1, 0}, {0.0005, 1, 0.001}, {0.0014, 1, 0.001}, {0.3333, 1, 0.333}, {1.9996, 1, 2}, {2, 1, 2}, {1.5, 2, 2},
	} {
		t.Run(fmt.Sprint(test.successes, "×", test.ratio), func(t *testing.T) {
			budget := retry.NewBudget(2, test.ratio)
			spend(t, budget, 2)
			succeed(t, budget, test.successes)
			wantTokens(t, budget, test.want)
		})
	}
}

// 0.999 tokens do not permit a retry.
func TestBudgetNeedsAWholeToken(t *testing.T) {
	budget := retry.NewBudget(2, 0.001)
	spend(t, budget, 2)
	succeed(t, budget, 999)
	fn, _ := always(errBoom)
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithBudget(budget), noWait), retry.ErrBudget, 1)
	succeed(t, budget, 1)
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithBudget(budget), noWait), retry.ErrBudget, 2)
	wantTokens(t, budget, 0)
}

// A retry that succeeds returns its token and deposits ratio. A Restart counts as a
// success, even in the last attempt. Do deposits the tokens before it applies the filter and
// charges the next retry. OnDone sees the tokens that are left at the end.
func TestBudgetReturnsTokens(t *testing.T) {
	boom, restart := errBoom, retry.Restart(errBoom)
	for _, test := range []struct {
		name   string
		errs   []error // of a call with at most 3 attempts, with 4 of 9 tokens at first
		want   float64
		reason error
	}{
		{"success", nil, 4.5, nil},
		{"a retry succeeds", []error{boom}, 4.5, nil},
		{"the second retry succeeds", []error{boom, boom}, 3.5, nil},
		{"failure", []error{boom, boom, boom}, 2, retry.ErrExhausted},
		{"the first attempt restarts", []error{restart}, 5, nil},
		{"a retry restarts", []error{boom, restart}, 5, nil},
		{"restarts", []error{restart, restart, restart}, 6, nil},
		{"failure after a Restart", []error{boom, restart, boom, boom}, 2.5, retry.ErrExhausted},
		{"ends with a permanent Restart", []error{boom, retry.Permanent(restart)}, 4.5, retry.ErrNotRetryable},
		{"ends with a Restart below Permanent", []error{boom, retry.Permanent(fmt.Errorf("x: %w", restart))}, 4.5, retry.ErrNotRetryable},
		{"ends with a Restart that is filtered", []error{boom, retry.Restart(errOther)}, 4.5, retry.ErrNotRetryable},
		{"ends with a Restart that asks for too much", []error{retry.After(restart, time.Hour)}, 4.5, retry.ErrRetryAfter},
		{"a Restart inside", []error{boom, fmt.Errorf("x: %w", errors.Join(errOther, restart)), boom, boom}, 2.5, retry.ErrExhausted},
	} {
		t.Run(test.name, func(t *testing.T) {
			budget := retry.NewBudget(9, 0.5)
			spend(t, budget, 5)
			inDone := math.NaN()
			fn, _ := script(test.errs...)
			err := retry.Do(t.Context(), fn, retry.WithBudget(budget), noWait, retry.WithMaxAttempts(3), retry.WithRetryIf(retry.Is(errBoom)),
				retry.WithOnDone(func(context.Context, retry.Event) { inDone = budget.Tokens() }))
			if !errors.Is(err, test.reason) || (err == nil) != (test.reason == nil) {
				t.Errorf("Do() = %v, want %v", err, test.reason)
			}
			wantTokens(t, budget, test.want)
			if inDone != test.want {
				t.Errorf("Tokens() = %v in OnDone, want %v", inDone, test.want)
			}
		})
	}
}

// A ratio up to the capacity is valid, however large both are.
func TestBudgetAtTheLargestCapacity(t *testing.T) {
	for _, ratio := range []float64{1, math.MaxInt / 1000, math.MaxInt} {
		budget := retry.NewBudget(math.MaxInt, ratio)
		full := budget.Tokens()
		fn, _ := script(errBoom)
		succeeded(t, retry.Do(t.Context(), fn, retry.WithBudget(budget), noWait))
		wantTokens(t, budget, full)
	}
}

// Nested calls that share a Budget each deposit for their own success.
func TestBudgetOfNestedCalls(t *testing.T) {
	budget := retry.NewBudget(2, 0.1)
	spend(t, budget, 2)
	succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error {
		return retry.Do(ctx, func(context.Context) error { return nil }, retry.WithBudget(budget))
	}, retry.WithBudget(budget)))
	wantTokens(t, budget, 0.2)
}

// A token goes back if its retry is not made, for whatever reason, and not otherwise.
func TestBudgetTokenGoesBack(t *testing.T) {
	nothing, panics := func(func()) {}, func(func()) { panic("act") }
	exits, cancels := func(func()) { runtime.Goexit() }, func(cancel func()) { cancel() }
	for _, test := range []struct {
		name   string
		n      int
		where  place
		act    func(cancel func())
		tokens float64 // of 9
	}{
		{"all retries are made", 1, inFn, nothing, 5},
		{"fn panics in the second retry", 3, inFn, panics, 7},
		{"the predicate panics after a retry", 2, inPredicate, panics, 8},
		{"the Jitter panics before the charge", 1, inJitter, panics, 9},
		{"a hook exits", 1, inOnRetry, exits, 9},
		{"a hook exits before the second retry", 2, inOnRetry, exits, 8},
		{"the Clock panics", 1, beforeSleep, panics, 9},
		{"the Clock panics afterwards", 2, afterSleep, panics, 8},
		{"the Clock exits", 1, beforeSleep, exits, 9},
		{"a hook cancels", 2, inOnRetry, cancels, 8},
		{"the Clock cancels", 2, beforeSleep, cancels, 8},
		{"the Clock cancels afterwards", 2, afterSleep, cancels, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			budget := retry.NewBudget(9, 0)
			fn, opts := actAt(test.n, test.where, func() { test.act(cancel) })
			inDone := test.tokens
			run(func() {
				_ = retry.Do(ctx, fn, opts, retry.WithBudget(budget),
					retry.WithOnDone(func(context.Context, retry.Event) { inDone = budget.Tokens() }))
			})
			wantTokens(t, budget, test.tokens)
			if inDone != test.tokens {
				t.Errorf("Tokens() = %v in OnDone, want %v", inDone, test.tokens)
			}
		})
	}
	t.Run("the Clock fails", func(t *testing.T) {
		budget := retry.NewBudget(9, 0)
		fn, _ := always(errBoom)
		gaveUp(t, retry.Do(t.Context(), fn, retry.WithBudget(budget), retry.WithClock(&hookClock{before: func() error { return errOther }})), errOther, 1)
		wantTokens(t, budget, 9)
	})
	t.Run("the Clock panics after a Restart", func(t *testing.T) {
		budget := retry.NewBudget(9, 0.5)
		spend(t, budget, 5)
		clock := new(hookClock)
		fn, _ := script(errBoom, retry.Restart(errBoom))
		_, panicked := run(func() {
			_ = retry.Do(t.Context(), func(ctx context.Context) error {
				if retry.PreviousAttempts(ctx) == 1 {
					clock.now = func() { panic("Now") }
				}
				return fn(ctx)
			}, noWait, retry.WithBudget(budget), retry.WithMaxElapsed(time.Hour), retry.WithClock(clock))
		})
		if panicked != "Now" {
			t.Errorf("panic = %v, want the panic of the Clock", panicked)
		}
		wantTokens(t, budget, 4.5)
	})
	t.Run("ctx panics in the first attempt", func(t *testing.T) {
		budget := retry.NewBudget(9, 0)
		spend(t, budget, 2)
		ctx := &doneCtx{context.Background(), func() { panic("ctx") }}
		run(func() {
			_ = retry.Do(ctx, func(context.Context) error { return nil }, retry.WithAttemptTimeout(time.Hour), retry.WithBudget(budget))
		})
		wantTokens(t, budget, 7)
	})
	// The Done method is called on the way into context.WithTimeout, and in a real wait.
	for name, act := range map[string]func(){"panics": func() { panic("ctx") }, "exits": runtime.Goexit} {
		for form, opt := range map[string]retry.Option{"WithTimeout": retry.WithAttemptTimeout(time.Hour), "wait": fixed(time.Hour)} {
			t.Run(fmt.Sprintf("ctx %s in %s", name, form), func(t *testing.T) {
				budget := retry.NewBudget(9, 0)
				ctx := &doneCtx{Context: context.Background()}
				fn, _ := always(errBoom)
				arm := retry.WithOnRetry(func(context.Context, retry.Event) { ctx.act = act })
				if returned, _ := run(func() { _ = retry.Do(ctx, fn, noWait, opt, arm, retry.WithBudget(budget)) }); returned {
					t.Error("Do returned, want a panic or Goexit")
				}
				wantTokens(t, budget, 9)
			})
		}
	}
}

// The Done method of a doneCtx calls act if it is set.
type doneCtx struct {
	context.Context
	act func()
}

func (c *doneCtx) Done() <-chan struct{} {
	if c.act != nil {
		c.act()
	}
	return c.Context.Done()
}

// A token that goes back does not overfill a bucket that was refilled meanwhile.
func TestBudgetIsCapped(t *testing.T) {
	budget := retry.NewBudget(1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	fn, _ := always(errBoom)
	err := retry.Do(ctx, fn, retry.WithBudget(budget), noWait,
		retry.WithOnRetry(func(context.Context, retry.Event) { succeed(t, budget, 1); cancel() }))
	gaveUp(t, err, context.Canceled, 1)
	wantTokens(t, budget, 1)
}

// hammer runs f on several goroutines at once.
func hammer(f func(worker int)) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() { f(w) })
	}
	wg.Wait()
}

// Deposits and withdrawals are atomic, and none is lost.
func TestBudgetCountsEveryTokenUnderContention(t *testing.T) {
	const n, capacity = 20_000, 1_000_000
	for _, test := range []struct {
		name  string
		calls int     // of each goroutine
		errs  []error // of each call
		want  float64 // the change that a call makes
	}{
		{"withdrawals", 4, slices.Repeat([]error{errBoom}, n+1), -n},
		{"deposits", n, nil, 0.25},
		{"returned tokens", n, []error{errBoom}, 0.25},
		{"restarts", n, []error{errBoom, retry.Restart(retry.Permanent(errBoom))}, 0.25},
	} {
		t.Run(test.name, func(t *testing.T) {
			budget := retry.NewBudget(capacity*2, 0.25)
			spend(t, budget, capacity)
			hammer(func(int) {
				for range test.calls {
					fn, _ := script(test.errs...)
					_ = retry.Do(t.Context(), fn, retry.WithBudget(budget), noWait, retry.WithMaxAttempts(max(2, len(test.errs))))
				}
			})
			wantTokens(t, budget, capacity+8*float64(test.calls)*test.want)
		})
	}
}

// The invariant of Budget: at every instant, the retries that failed or are in flight ≤
// capacity + ratio × (successes and Restarts). Every attempt checks it. The attempt counts
// a success before Do deposits ratio, and a retry after Do has charged it.
func TestBudgetInvariant(t *testing.T) {
	const capacity = 5
	budget := retry.NewBudget(capacity, 0.1)
	var spent, successes atomic.Int64
	hammer(func(w int) {
		r := rand.New(rand.NewPCG(1, uint64(w)))
		for range 5000 {
			_ = retry.Do(t.Context(), func(ctx context.Context) error {
				retried := retry.PreviousAttempts(ctx) > 0
				if retried {
					spent.Add(1)
				}
				if got := spent.Load(); got*10 > capacity*10+successes.Load() {
					t.Errorf("%d retries failed or are in flight, more than the successes permit", got)
				}
				x := r.IntN(10)
				if x < 7 {
					return errBoom
				}
				successes.Add(1)
				if retried {
					spent.Add(-1)
				}
				if x == 7 {
					return retry.Restart(errBoom)
				}
				return nil
			}, retry.WithBudget(budget), noWait)
		}
	})
	if spent.Load() < 1000 {
		t.Errorf("%d retries failed, want at least 1000", spent.Load())
	}
}

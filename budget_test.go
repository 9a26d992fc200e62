package retry_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
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
		if test.capacity > math.MaxInt {
			continue // on a 32-bit platform
		}
		got := retry.NewBudget(int(test.capacity), test.ratio).Tokens()
		if math.Abs(got-test.want) > test.want*1e-15 {
			t.Errorf("NewBudget(%d, %v).Tokens() = %v, want %v", test.capacity, test.ratio, got, test.want)
		}
	}
	if got := new(retry.Budget).Tokens(); got != 0 {
		t.Errorf("the zero Budget has %v tokens, want 0", got)
	}
}

func TestBudgetChargesRetriesOnly(t *testing.T) {
	budget := retry.NewBudget(2, 0)
	opts := retry.Policy(retry.WithBudget(budget), retry.WithClock(noSleep{}))

	fn, calls := always(errBoom)
	err := retry.Do(t.Context(), fn, opts)
	gaveUp(t, err, retry.ErrBudget, 3)
	wantCalls(t, calls, 3)
	wantTokens(t, budget, 0)

	// With none left, first attempts are still made.
	fn, calls = always(errBoom)
	err = retry.Do(t.Context(), fn, opts)
	gaveUp(t, err, retry.ErrBudget, 1)
	wantCalls(t, calls, 1)
}

func TestZeroBudgetPermitsNoRetries(t *testing.T) {
	var budget retry.Budget
	fn, calls := script(errBoom)
	clock := newFakeClock()
	err := retry.Do(t.Context(), fn, retry.WithBudget(&budget), retry.WithClock(clock))
	gaveUp(t, err, retry.ErrBudget, 1)
	wantCalls(t, calls, 1)
	wantWaits(t, clock.waits)
	if err := retry.Do(t.Context(), fn, retry.WithBudget(&budget)); err != nil {
		t.Errorf("a call that succeeds at once: got %v", err)
	}
	wantTokens(t, &budget, 0)
}

// spend leaves budget with what its capacity of 2 lacks n tokens, n up to 2.
func spend(t *testing.T, budget *retry.Budget, n int) {
	t.Helper()
	fn, _ := always(errBoom)
	err := retry.Do(t.Context(), fn, retry.WithMaxAttempts(n+1), retry.WithBudget(budget), retry.WithClock(noSleep{}))
	gaveUp(t, err, retry.ErrExhausted, n+1)
}

func succeed(t *testing.T, budget *retry.Budget, times int) {
	t.Helper()
	for range times {
		fn, _ := script()
		if err := retry.Do(t.Context(), fn, retry.WithBudget(budget)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBudgetDeposits(t *testing.T) {
	budget := retry.NewBudget(2, 0.1)
	spend(t, budget, 2)
	succeed(t, budget, 9)
	wantTokens(t, budget, 0.9)
	fn, calls := always(errBoom)
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithBudget(budget), retry.WithClock(noSleep{})), retry.ErrBudget, 1)
	wantCalls(t, calls, 1) // 0.9 of a token is none

	succeed(t, budget, 1)
	wantTokens(t, budget, 1)
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithBudget(budget), retry.WithClock(noSleep{})), retry.ErrBudget, 2)
	wantTokens(t, budget, 0)

	succeed(t, budget, 19)
	wantTokens(t, budget, 1.9)
	succeed(t, budget, 1)
	wantTokens(t, budget, 2)
	succeed(t, budget, 3)
	wantTokens(t, budget, 2) // capped
}

// The deposit comes before the OnDone hooks.
func TestBudgetDepositIsSeenInOnDone(t *testing.T) {
	budget := retry.NewBudget(2, 0.5)
	spend(t, budget, 2)
	fn, _ := script()
	err := retry.Do(t.Context(), fn, retry.WithBudget(budget),
		retry.WithOnDone(func(context.Context, retry.Event) { wantTokens(t, budget, 0.5) }))
	if err != nil {
		t.Error(err)
	}
}

func TestBudgetRatioIsRoundedToThousandths(t *testing.T) {
	for _, test := range []struct{ ratio, want float64 }{
		{0.0004, 0}, {0.0005, 0.001}, {0.0014, 0.001}, {0.3333, 0.333}, {1, 1}, {1.9996, 2}, {2, 2},
	} {
		budget := retry.NewBudget(2, test.ratio)
		spend(t, budget, 2)
		succeed(t, budget, 1)
		if got := budget.Tokens(); got != test.want {
			t.Errorf("ratio %v: one success returns %v tokens, want %v", test.ratio, got, test.want)
		}
	}
}

// A ratio up to the capacity is valid however large both are.
func TestBudgetAtTheLargestCapacity(t *testing.T) {
	for _, ratio := range []float64{1, math.MaxInt / 1000, math.MaxInt} {
		budget := retry.NewBudget(math.MaxInt, ratio)
		full := budget.Tokens()
		succeed(t, budget, 1)
		wantTokens(t, budget, full)
		fn, _ := script(errBoom)
		if err := retry.Do(t.Context(), fn, retry.WithBudget(budget), retry.WithClock(noSleep{})); err != nil {
			t.Errorf("ratio %v: got %v, want a retry that succeeds", ratio, err)
		}
		wantTokens(t, budget, full)
	}
}

// Each success deposits for itself: the inner and the outer one.
func TestBudgetNested(t *testing.T) {
	budget := retry.NewBudget(2, 0.1)
	spend(t, budget, 2)
	err := retry.Do(t.Context(), func(ctx context.Context) error {
		fn, _ := script()
		return retry.Do(ctx, fn, retry.WithBudget(budget))
	}, retry.WithBudget(budget))
	if err != nil {
		t.Fatal(err)
	}
	wantTokens(t, budget, 0.2)
}

// A token goes back if its retry is not made, and stays spent if it is.
func TestBudgetTokenGoesBack(t *testing.T) {
	inGoroutine := func(f func()) (panicked any) {
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			f()
		}()
		return <-done
	}
	errClock := errors.New("clock broke")
	type env struct {
		clock  *fakeClock
		cancel func()
		opts   []retry.Option
	}
	for _, test := range []struct {
		name  string
		setup func(*env)
		want  float64
	}{
		{"retry is made", func(*env) {}, 1},
		{"ctx ends in the wait", func(e *env) {
			e.clock.before = func(context.Context, time.Duration) error { e.cancel(); return nil }
		}, 2},
		{"ctx ends in a hook", func(e *env) {
			e.opts = append(e.opts, retry.WithOnRetry(func(context.Context, retry.Event) { e.cancel() }))
		}, 2},
		{"ctx ends in the jitter", func(e *env) {
			e.opts = append(e.opts, retry.WithJitter(func(time.Duration, *rand.Rand) time.Duration { e.cancel(); return 0 }))
		}, 2},
		{"the Clock fails", func(e *env) {
			e.clock.before = func(context.Context, time.Duration) error { return errClock }
		}, 2},
		{"the Clock panics", func(e *env) {
			e.clock.before = func(context.Context, time.Duration) error { panic("clock") }
		}, 2},
		{"the Clock exits", func(e *env) {
			e.clock.before = func(context.Context, time.Duration) error { runtime.Goexit(); return nil }
		}, 2},
		{"a hook exits", func(e *env) {
			e.opts = append(e.opts, retry.WithOnRetry(func(context.Context, retry.Event) { runtime.Goexit() }))
		}, 2},
		{"a hook panics", func(e *env) {
			e.opts = append(e.opts, quiet(), retry.WithOnRetry(func(context.Context, retry.Event) { panic("hook") }))
		}, 1},
		{"fn panics in the retry", func(e *env) {
			e.opts = append(e.opts, retry.WithAttemptTimeout(time.Hour))
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			budget := retry.NewBudget(2, 0)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			e := &env{clock: newFakeClock(), cancel: cancel}
			test.setup(e)
			inDone := math.NaN()
			opts := append(e.opts, retry.WithBudget(budget), retry.WithClock(e.clock), retry.WithMaxAttempts(2),
				retry.WithOnDone(func(context.Context, retry.Event) { inDone = budget.Tokens() }))
			calls := 0
			inGoroutine(func() {
				_ = retry.Do(ctx, func(context.Context) error {
					calls++
					if calls == 2 && test.name == "fn panics in the retry" {
						panic("fn")
					}
					return errBoom
				}, opts...)
			})
			wantTokens(t, budget, test.want)
			if !math.IsNaN(inDone) && inDone != test.want {
				t.Errorf("got %v tokens in OnDone, want %v", inDone, test.want)
			}
			if wantCalls := 3 - int(test.want); calls != wantCalls {
				t.Errorf("got %d calls of fn, want %d", calls, wantCalls)
			}
		})
	}
}

// The same on the system clock; and what is not lent does not come back.
func TestBudgetTokenGoesBackFromARealWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := retry.NewBudget(2, 0)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		fn, calls := always(errBoom)
		inDone := math.NaN()
		opts := retry.Policy(retry.WithBudget(budget), fixed(700*time.Millisecond),
			retry.WithOnDone(func(context.Context, retry.Event) { inDone = budget.Tokens() }))
		e := gaveUp(t, retry.Do(ctx, fn, opts), context.Canceled, 2)
		wantCalls(t, calls, 2)
		if e.Waited != 700*time.Millisecond {
			t.Errorf("got Waited %v, want 700ms", e.Waited)
		}
		wantTokens(t, budget, 1)
		if inDone != 1 {
			t.Errorf("got %v tokens in OnDone, want 1", inDone)
		}
		gaveUp(t, retry.Do(ctx, fn, opts), context.Canceled, 0)
		wantTokens(t, budget, 1)
	})
}

// A ctx may end the goroutine in the wait as well.
func TestBudgetTokenGoesBackFromAGoexitInCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := retry.NewBudget(1, 0)
		var wg sync.WaitGroup
		wg.Go(func() {
			fn, _ := always(errBoom)
			_ = retry.Do(exitCtx{context.Background()}, fn, fixed(time.Second), retry.WithBudget(budget))
			t.Error("Do returned")
		})
		wg.Wait()
		wantTokens(t, budget, 1)
	})
}

type exitCtx struct{ context.Context }

func (exitCtx) Done() <-chan struct{} { runtime.Goexit(); return nil }

// Eight calls want all tokens at once, and no token serves two retries.
func TestBudgetGivesEachTokenOnce(t *testing.T) {
	const capacity, workers = 200_000, 8
	budget := retry.NewBudget(capacity, 0)
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			err := retry.Do(context.Background(), func(context.Context) error { calls.Add(1); return errBoom },
				retry.WithBudget(budget), retry.WithMaxAttempts(retry.Unlimited), retry.WithClock(noSleep{}))
			if !errors.Is(err, retry.ErrBudget) {
				t.Errorf("got %v, want ErrBudget", err)
			}
		})
	}
	wg.Wait()
	if got, want := calls.Load(), int64(capacity+workers); got != want {
		t.Errorf("got %d calls of fn, want %d: first attempts, and a retry for each token", got, want)
	}
}

// A refund must not overfill a bucket that was refilled meanwhile.
func TestBudgetRefundIsCapped(t *testing.T) {
	budget := retry.NewBudget(1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fn, _ := always(errBoom)
	err := retry.Do(ctx, fn, retry.WithBudget(budget), retry.WithClock(noSleep{}),
		retry.WithOnRetry(func(context.Context, retry.Event) {
			succeed(t, budget, 1)
			cancel()
		}))
	gaveUp(t, err, context.Canceled, 1)
	wantTokens(t, budget, 1)
}

// The promise of Budget, under contention: retries ≤ capacity + ratio × successes.
func TestBudgetHoldsUnderContention(t *testing.T) {
	const capacity, workers, callsEach = 50, 8, 2000
	budget := retry.NewBudget(capacity, 0.1)
	var retries, successes atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range callsEach {
				calls := 0
				err := retry.Do(context.Background(), func(context.Context) error {
					calls++
					if (i+w)%3 == 0 {
						return errBoom
					}
					return nil
				}, retry.WithBudget(budget), retry.WithClock(noSleep{}))
				retries.Add(int64(calls - 1))
				if err == nil {
					successes.Add(1)
				}
			}
		})
	}
	wg.Wait()
	limit := capacity + 0.1*float64(successes.Load())
	if got := float64(retries.Load()); got > limit {
		t.Errorf("got %v retries, want at most %v", got, limit)
	}
	// Nor is anything made of nothing: what is left was not spent.
	if got, most := budget.Tokens(), limit-float64(retries.Load()); got > most+1e-6 {
		t.Errorf("got %v tokens left, more than the %v that were not spent", got, most)
	}
}

func wantTokens(t *testing.T, budget *retry.Budget, want float64) {
	t.Helper()
	if got := budget.Tokens(); got != want {
		t.Errorf("got %v tokens, want %v", got, want)
	}
}

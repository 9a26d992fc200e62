package retrytest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

var errLost, errBoom = errors.New("lost"), errors.New("boom")

// The zero Clock starts at the current time of the first call to any method.
func TestClockStartsNow(t *testing.T) {
	for name, first := range map[string]func(*retrytest.Clock){
		"Now":            func(c *retrytest.Clock) { c.Now() },
		"Advance":        func(c *retrytest.Clock) { c.Advance(0) },
		"Sleep":          func(c *retrytest.Clock) { _ = c.Sleep(t.Context(), 0) },
		"Sleep, no wait": func(c *retrytest.Clock) { _ = c.Sleep(canceled(), time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			var c retrytest.Clock
			before := time.Now()
			first(&c)
			after := time.Now()
			if got := c.Now(); got.Before(before) || got.After(after) {
				t.Errorf("Now() = %v, want from %v to %v", got, before, after)
			}
		})
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Sleep advances Now immediately and records d. If ctx is done, Sleep only records d.
func TestClock(t *testing.T) {
	var c retrytest.Clock
	start := c.Now()
	for _, step := range []struct {
		name    string
		act     func() error
		err     error
		elapsed time.Duration
	}{
		{"Sleep", func() error { return c.Sleep(t.Context(), time.Hour) }, nil, time.Hour},
		{"Sleep of 0", func() error { return c.Sleep(t.Context(), 0) }, nil, time.Hour},
		{"Advance", func() error { c.Advance(time.Minute); return nil }, nil, time.Hour + time.Minute},
		{"Sleep with a canceled ctx", func() error { return c.Sleep(canceled(), time.Second) }, context.Canceled, time.Hour + time.Minute},
		{"Advance back", func() error { c.Advance(-2 * time.Hour); return nil }, nil, time.Minute - time.Hour},
	} {
		if err := step.act(); err != step.err || c.Now().Sub(start) != step.elapsed {
			t.Errorf("%s: error %v and Now() %v after the start, want %v and %v", step.name, err, c.Now().Sub(start), step.err, step.elapsed)
		}
	}
	want := []time.Duration{time.Hour, 0, time.Second}
	for range 2 {
		got := c.Waits()
		if !slices.Equal(got, want) {
			t.Errorf("Waits() = %v, want %v", got, want)
		}
		got[0] = 0 // the caller may modify its copy
	}
}

func TestClockIsSafeForConcurrentUse(t *testing.T) {
	var c retrytest.Clock
	start := c.Now()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			_ = c.Sleep(t.Context(), time.Second)
			c.Advance(time.Second)
			_, _ = c.Now(), c.Waits()
		})
	}
	wg.Wait()
	if got := c.Now().Sub(start); got != 200*time.Second || len(c.Waits()) != 100 {
		t.Errorf("Now() is %v after the start with %d waits, want 3m20s and 100", got, len(c.Waits()))
	}
}

// If one of the first n attempts succeeds, Do gets err instead.
func TestLoseReplies(t *testing.T) {
	noWait := retry.WithBackoff(retry.Constant(0))
	for _, test := range []struct {
		name string
		n    int
		err  error
		errs []error // of fn, which then succeeds
		opt  retry.Option
		want []error // what Do acted on, in every attempt that failed
		fail error   // the Reason of Do's error
	}{
		{"none", 0, errLost, nil, nil, nil, nil},
		{"negative", -1, errLost, nil, nil, nil, nil},
		{"one", 1, errLost, nil, nil, []error{errLost}, nil},
		{"two", 2, errLost, nil, nil, []error{errLost, errLost}, nil},
		{"more than the attempts", 9, errLost, nil, nil, slices.Repeat([]error{errLost}, 5), retry.ErrExhausted},
		{"errors of fn stay", 3, errLost, []error{errBoom, nil, errBoom}, nil, []error{errBoom, errLost, errBoom}, nil},
		{"a nil error loses nothing", 3, nil, []error{errBoom}, nil, []error{errBoom}, nil},
		{"the count starts again after a Restart", 2, errLost, []error{nil, retry.Restart(errBoom)}, nil, []error{errLost, errBoom, errLost}, nil},
		{"the filter sees it", 1, errLost, nil, retry.WithRetryIf(retry.Is(errBoom)), []error{errLost}, retry.ErrNotRetryable},
		{"error maps see it", 1, errLost, nil, retry.WithMapError(func(_ context.Context, err error) error {
			if err == errLost {
				return retry.Permanent(errBoom)
			}
			return err
		}), []error{errBoom}, retry.ErrNotRetryable},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []error
			note := func(_ context.Context, ev retry.Event) { got = append(got, ev.Err) }
			calls := 0
			err := retry.Do(retrytest.LoseReplies(t.Context(), test.n, test.err), func(context.Context) error {
				if calls++; calls > len(test.errs) {
					return nil
				}
				return test.errs[calls-1]
			}, noWait, test.opt, retry.WithOnRetry(note))
			if !errors.Is(err, test.fail) || (err == nil) != (test.fail == nil) {
				t.Errorf("Do() = %v, want %v", err, test.fail)
			}
			if e, ok := err.(*retry.Error); ok {
				got = append(got, e.Err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("Do acted on %v, want %v", got, test.want)
			}
		})
	}
}

// Each nested call loses its own replies.
func TestLoseRepliesOfNestedCalls(t *testing.T) {
	calls := 0
	err := retry.Do(retrytest.LoseReplies(t.Context(), 1, errLost), func(ctx context.Context) error {
		return retry.Do(ctx, func(context.Context) error { calls++; return nil }, retry.WithBackoff(retry.Constant(0)))
	}, retry.WithBackoff(retry.Constant(0)))
	if err != nil || calls != 4 {
		t.Errorf("Do() = %v after %d calls, want nil after 4", err, calls)
	}
}

// Code under test that accepts no options gets the clock through its context.
func ExampleClock() {
	fetch := func(ctx context.Context) error {
		return retry.Do(ctx, func(context.Context) error {
			return errors.New("connection refused")
		})
	}

	var clock retrytest.Clock
	ctx := retry.Override(context.Background(), retry.WithClock(&clock), retry.WithJitter(retry.NoJitter))
	err := fetch(ctx)
	fmt.Println(err)
	fmt.Println(clock.Waits())

	// Output:
	// retry: gave up after 5 attempts: connection refused
	// [250ms 500ms 1s 2s]
}

// A bank debits an account. It debits only once for each key that is not empty.
type bank struct {
	balance int
	seen    map[string]bool
}

func (b *bank) debit(amount int, key string) error {
	if !b.seen[key] {
		b.balance -= amount
		b.seen[key] = key != ""
	}
	return nil
}

// If the reply to the first request is lost, pay debits the account twice without an
// idempotency key, but only once if all attempts use the same key.
func ExampleLoseReplies() {
	pay := func(ctx context.Context, b *bank, key string) error {
		return retry.Do(ctx, func(context.Context) error {
			return b.debit(10, key)
		})
	}

	ctx := retry.Override(context.Background(), retry.WithClock(new(retrytest.Clock)))
	ctx = retrytest.LoseReplies(ctx, 1, io.ErrUnexpectedEOF)
	for _, key := range []string{"", rand.Text()} {
		b := &bank{balance: 100, seen: map[string]bool{}}
		fmt.Println(pay(ctx, b, key), b.balance)
	}

	// Output:
	// <nil> 80
	// <nil> 90
}

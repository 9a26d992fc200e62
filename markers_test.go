package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// busy asks for a delay without After.
type busy time.Duration

func (busy) Error() string               { return "busy" }
func (b busy) RetryAfter() time.Duration { return time.Duration(b) }

func TestMarkers(t *testing.T) {
	for name, mark := range map[string]func(error) error{
		"Permanent": retry.Permanent, "Restart": retry.Restart,
		"After": func(err error) error { return retry.After(err, time.Second) },
	} {
		if err := mark(nil); err != nil {
			t.Errorf("%s(nil) = %v, want nil", name, err)
		}
		if err := mark(errBoom); err.Error() != "boom" || !errors.Is(err, errBoom) || errors.Unwrap(err) != errBoom {
			t.Errorf("%s hides the error that it marks", name)
		}
		fn, _ := always(mark(retry.Permanent(errBoom)))
		if e := gaveUp(t, retry.Do(t.Context(), fn), retry.ErrNotRetryable, 1); e.Err != errBoom {
			t.Errorf("Err = %#v, want boom without its markers", e.Err)
		}
	}
}

// Permanent is never retried, at any depth, whatever the filter says.
func TestPermanent(t *testing.T) {
	for _, tree := range trees {
		t.Run(tree.name, func(t *testing.T) {
			fn, calls := always(tree.with(retry.Permanent(errBoom)))
			err := retry.Do(t.Context(), fn, retry.WithMaxAttempts(retry.Unlimited),
				retry.WithRetryIf(func(error) bool { t.Error("Do called the predicate"); return true }))
			e := gaveUp(t, err, retry.ErrNotRetryable, 1)
			wantCalls(t, calls, 1)
			if !errors.Is(e.Err, errBoom) {
				t.Errorf("Err = %v, want one that matches boom", e.Err)
			}
		})
	}
}

// nilBusy has a method that works on a nil pointer.
type nilBusy struct{}

func (*nilBusy) RetryAfter() time.Duration { return time.Second }
func (*nilBusy) Error() string             { return "busy" }

// A busyWrapper asks for 1s, and wraps an error that may ask for more.
type busyWrapper struct{ wrapper }

func (busyWrapper) RetryAfter() time.Duration { return time.Second }

// list may hold nil, which errors.Join never does.
type list []error

func (list) Error() string     { return "list" }
func (l list) Unwrap() []error { return l }

// The delay that an error asks for is found at any depth, and the longest counts.
func TestDelayThatAnErrorAsksFor(t *testing.T) {
	const backoff = 10 * time.Second // more than half of every delay, so the spread does not count
	for _, test := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"none", errBoom, 0},
		{"After", retry.After(errBoom, 3*time.Second), 3 * time.Second},
		{"zero", retry.After(errBoom, 0), 0},
		{"negative", retry.After(errBoom, -time.Hour), 0},
		{"a negative method", busy(-time.Hour), 0},
		{"a method", busy(4 * time.Second), 4 * time.Second},
		{"a method of a nil pointer", (*nilBusy)(nil), time.Second},
		{"the longest last", list{busy(time.Second), retry.After(errBoom, 6*time.Second)}, 6 * time.Second},
		{"the longest first", list{retry.After(errBoom, 6*time.Second), busy(time.Second)}, 6 * time.Second},
		{"the longest inside", retry.After(retry.After(errBoom, 7*time.Second), time.Second), 7 * time.Second},
		{"the longest outside", retry.After(retry.After(errBoom, time.Second), 7*time.Second), 7 * time.Second},
		{"a method above After", busyWrapper{wrapper{retry.After(errBoom, 5*time.Second)}}, 5 * time.Second},
		{"a method below After", retry.After(busyWrapper{wrapper{errBoom}}, 5*time.Second), 5 * time.Second},
		{"next to nil", list{nil, busy(time.Second)}, time.Second},
	} {
		for _, tree := range trees {
			t.Run(test.name+"/"+tree.name, func(t *testing.T) {
				clock := new(retrytest.Clock)
				fn, _ := script(tree.with(test.err))
				succeeded(t, retry.Do(t.Context(), fn, fixed(backoff), retry.WithClock(clock)))
				wantWaits(t, clock.Waits(), test.want+backoff)
			})
		}
	}
}

// Step 8: the ceiling of the jitter is the greater of the backoff and the spread of the
// delay. The spread is at most half of what the limits leave, so that the spread never
// makes Do give up.
func TestSpreadOfDelay(t *testing.T) {
	const s, none = time.Second, time.Duration(math.MaxInt64)
	for _, test := range []struct {
		name              string
		backoff, pushback time.Duration
		elapsed, deadline time.Duration // the limits; an attempt takes 1s
		ceiling           time.Duration
		reason            error
	}{
		{"half of the delay", s, 10 * s, none, none, 5 * s, nil},
		{"odd", 0, 3, none, none, 1, nil},
		{"the backoff is greater", 8 * s, 10 * s, none, none, 8 * s, nil},
		{"half of what the deadline leaves", s, 10 * s, none, 15 * s, 2 * s, nil},
		{"half of what MaxElapsed leaves", s, 10 * s, 15 * s, none, 2 * s, nil},
		{"the deadline is nearer", s, 10 * s, 16 * s, 15 * s, 2 * s, nil},
		{"MaxElapsed is nearer", s, 10 * s, 15 * s, 16 * s, 2 * s, nil},
		{"the limits leave more than the spread", s, 10 * s, 21*s + 2, 21*s + 2, 5 * s, nil},
		{"one nanosecond is left of the deadline", 0, 10 * s, none, 11*s + 1, 0, nil},
		{"one nanosecond is left of MaxElapsed", 0, 10 * s, 11*s + 1, none, 0, nil},
		{"nothing is left of the deadline", 0, 10 * s, none, 11 * s, 0, retry.ErrDeadline},
		{"nothing is left of MaxElapsed", 0, 10 * s, 11 * s, none, 0, retry.ErrMaxElapsed},
		{"the delay is beyond the deadline", 0, 10 * s, none, 5 * s, 0, retry.ErrDeadline},
		{"the backoff exceeds what is left", 4 * s, 10 * s, none, 15 * s, 4 * s, retry.ErrDeadline},
		{"no delay", 0, 0, none, 15 * s, 0, nil},
		{"negative", 2 * s, -s, none, none, 2 * s, nil},
		{"an hour", s, time.Hour, none, none, time.Hour / 2, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			ctx, elapsed := t.Context(), retry.Policy()
			if test.deadline != none {
				ctx = deadlineCtx{ctx, clock.Now().Add(test.deadline)}
			}
			if test.elapsed != none {
				elapsed = retry.WithMaxElapsed(test.elapsed)
			}
			var ceilings []time.Duration
			fn, _ := script(retry.After(errBoom, test.pushback))
			err := retry.Do(ctx, func(ctx context.Context) error { clock.Advance(s); return fn(ctx) },
				retry.WithBackoff(retry.Constant(test.backoff)), elapsed,
				retry.WithMaxRetryAfter(time.Hour), retry.WithClock(clock),
				retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration {
					ceilings = append(ceilings, ceiling)
					return ceiling
				}))
			if test.reason != nil {
				gaveUp(t, err, test.reason, 1)
				wantWaits(t, clock.Waits())
				return
			}
			succeeded(t, err)
			wantWaits(t, ceilings, test.ceiling)
			wantWaits(t, clock.Waits(), max(test.pushback, 0)+test.ceiling)
		})
	}
	t.Run("the Clock jumps back", func(t *testing.T) {
		clock := new(retrytest.Clock)
		fn, _ := script(retry.After(errBoom, 10*s))
		succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error { clock.Advance(-time.Hour); return fn(ctx) },
			fixed(0), retry.WithMaxElapsed(math.MaxInt64), retry.WithClock(clock)))
		wantWaits(t, clock.Waits(), 15*s)
	})
}

// Step 7: Do gives up at once if the delay alone exceeds MaxRetryAfter.
func TestMaxRetryAfter(t *testing.T) {
	limit := retry.WithMaxRetryAfter
	for _, test := range []struct {
		name     string
		pushback time.Duration
		opts     []retry.Option
		retried  bool
	}{
		{"exactly the default", time.Minute, nil, true},
		{"more than the default", time.Minute + 1, nil, false},
		{"a day", 24 * time.Hour, nil, false},
		{"exactly the limit", time.Second, []retry.Option{limit(time.Second)}, true},
		{"more than the limit", time.Second + 1, []retry.Option{limit(time.Second)}, false},
		{"a higher limit", time.Hour, []retry.Option{limit(time.Hour)}, true},
		{"the last limit counts", time.Hour, []retry.Option{limit(time.Second), limit(time.Hour)}, true},
		{"the largest limit", math.MaxInt64, []retry.Option{limit(math.MaxInt64)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			fn, calls := script(retry.After(errBoom, test.pushback))
			err := retry.Do(t.Context(), fn, append(test.opts, noWait, retry.WithClock(clock))...)
			if test.retried {
				succeeded(t, err)
				wantCalls(t, calls, 2)
				return
			}
			e := gaveUp(t, err, retry.ErrRetryAfter, 1)
			wantWaits(t, clock.Waits())
			if got := e.RetryAfter(); got != test.pushback {
				t.Errorf("RetryAfter() = %v, want %v", got, test.pushback)
			}
		})
	}
}

// Without a filter, every error is retried. With a filter, an error is retried if any
// predicate returns true for it.
func TestRetryIf(t *testing.T) {
	path := &fs.PathError{Op: "open", Err: errOther}
	targets := []error{errBoom, fs.ErrExist, fs.ErrClosed, fs.ErrInvalid, fs.ErrPermission, errOther}
	six := retry.Is(targets...)
	clear(targets) // Is has its own copy
	if retry.Is()(nil) {
		t.Error("Is()(nil) = true, want false")
	}
	for _, test := range []struct {
		name  string
		preds []func(error) bool
		err   error
		want  bool
	}{
		{"Is", []func(error) bool{retry.Is(errBoom)}, errBoom, true},
		{"Is, the second of two", []func(error) bool{retry.Is(errBoom, errOther)}, errOther, true},
		{"Is, the third of three", []func(error) bool{retry.Is(errBoom, errOther, fs.ErrClosed)}, fs.ErrClosed, true},
		{"Is, the fourth of four", []func(error) bool{retry.Is(errBoom, errOther, errCause, fs.ErrClosed)}, fs.ErrClosed, true},
		{"Is, the last of six", []func(error) bool{six}, errOther, true},
		{"Is, none of six", []func(error) bool{six}, errCause, false},
		{"Is of nothing", []func(error) bool{retry.Is()}, errBoom, false},
		{"Is of nil", []func(error) bool{retry.Is(nil)}, errBoom, false},
		{"Is of a type that cannot be compared", []func(error) bool{retry.Is(uncomparable{"x"})}, uncomparable{"x"}, false},
		{"Is of a struct", []func(error) bool{retry.Is(uncomparableField{1})}, uncomparableField{1}, true},
		{"As", []func(error) bool{retry.As[*fs.PathError]()}, path, true},
		{"As, another error", []func(error) bool{retry.As[*fs.PathError]()}, errBoom, false},
		{"As of an interface", []func(error) bool{retry.As[interface {
			error
			RetryAfter() time.Duration
		}]()}, busy(0), true},
		{"any of two", []func(error) bool{retry.Is(errBoom), retry.As[*fs.PathError]()}, path, true},
		{"none of two", []func(error) bool{retry.Is(errBoom), retry.As[*fs.PathError]()}, errCause, false},
	} {
		for _, with := range []func(error) error{
			func(err error) error { return err },
			func(err error) error { return fmt.Errorf("x: %w", err) },
			func(err error) error { return fmt.Errorf("x: %w", list{errCause, nil, err}) },
		} {
			err := with(test.err)
			t.Run(test.name+"/"+err.Error(), func(t *testing.T) {
				fn, calls := script(err)
				if err := retry.Do(t.Context(), fn, retry.WithRetryIf(test.preds...), noWait); !test.want {
					gaveUp(t, err, retry.ErrNotRetryable, 1)
					wantCalls(t, calls, 1)
					return
				}
				wantCalls(t, calls, 2)
			})
		}
	}
}

// Predicates are called in order, with the error as fn returned it, including its markers.
func TestPredicatesGetTheErrorAsReturned(t *testing.T) {
	marked := retry.After(errBoom, time.Second)
	fn, _ := always(marked)
	var got []error
	no := func(err error) bool { got = append(got, err); return false }
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithRetryIf(no, no, no, no, no)), retry.ErrNotRetryable, 1)
	if want := slices.Repeat([]error{marked}, 5); !slices.Equal(got, want) {
		t.Errorf("the predicates got %#v, want the marked error five times", got)
	}
}

// After a Restart, the attempt number starts again for MaxAttempts, Backoff, and
// PreviousAttempts. The numbers in Error and Event continue.
func TestRestart(t *testing.T) {
	for _, tree := range trees {
		t.Run(tree.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			var previous, delays, attempts []int
			fn, _ := script(errBoom, errBoom, tree.with(retry.Restart(errBoom)), errBoom, errBoom, nil)
			err := retry.Do(t.Context(), func(ctx context.Context) error {
				previous = append(previous, retry.PreviousAttempts(ctx))
				return fn(ctx)
			}, retry.WithMaxAttempts(3), retry.WithClock(clock), retry.WithJitter(retry.NoJitter),
				retry.WithBackoff(retry.BackoffFunc(func(n int) time.Duration { delays = append(delays, n); return time.Second })),
				retry.WithOnRetry(func(_ context.Context, ev retry.Event) {
					attempts = append(attempts, ev.Attempt)
					if want := time.Duration(ev.Attempt-1) * time.Second; ev.Waited != want || ev.Elapsed != want {
						t.Errorf("Waited, Elapsed = %v, %v, want %v", ev.Waited, ev.Elapsed, want)
					}
				}))
			e := gaveUp(t, err, retry.ErrExhausted, 5)
			if e.Waited != 4*time.Second {
				t.Errorf("Waited = %v, want 4s", e.Waited)
			}
			if want := []int{0, 1, 2, 1, 2}; !slices.Equal(previous, want) {
				t.Errorf("PreviousAttempts() = %v, want %v", previous, want)
			}
			if want := []int{1, 2, 1, 2}; !slices.Equal(delays, want) {
				t.Errorf("Delay was called with %v, want %v", delays, want)
			}
			if want := []int{1, 2, 3, 4}; !slices.Equal(attempts, want) {
				t.Errorf("Event.Attempt = %v, want %v", attempts, want)
			}
		})
	}
}

// If every failure is marked with Restart, the loop has no limits. However, each failure
// counts as the first, so if only one attempt is permitted, it is also the last.
func TestRestartOnEveryFailure(t *testing.T) {
	fn, calls := script(slices.Repeat([]error{retry.Restart(errBoom)}, 1000)...)
	succeeded(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(2), retry.WithMaxElapsed(time.Minute),
		retry.WithClock(new(retrytest.Clock)), fixed(30*time.Second)))
	wantCalls(t, calls, 1001)
	fn, _ = always(retry.Restart(errBoom))
	gaveUp(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(1)), retry.ErrExhausted, 1)
}

// After a Restart, the time for MaxElapsed starts at the end of the attempt.
func TestRestartOfMaxElapsed(t *testing.T) {
	for _, test := range []struct {
		name        string
		wait, limit time.Duration
		attempts    int // in total, if no attempt after the first takes time
	}{
		{"exactly at the limit", time.Minute, time.Minute, 1},
		{"one wait before the limit", time.Minute, time.Minute + 1, 2},
		{"three waits before the limit", time.Minute, 3*time.Minute + 1, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			first := true
			err := retry.Do(t.Context(), func(context.Context) error {
				if first {
					first = false
					clock.Advance(time.Hour) // the attempt is a long session
					return retry.Restart(errBoom)
				}
				return errBoom
			}, fixed(test.wait), retry.WithMaxElapsed(test.limit), retry.WithClock(clock), retry.WithMaxAttempts(retry.Unlimited))
			gaveUp(t, err, retry.ErrMaxElapsed, test.attempts)
		})
	}
	t.Run("the spread of a delay", func(t *testing.T) {
		clock := new(retrytest.Clock)
		fn, _ := script(retry.Restart(retry.After(errBoom, 10*time.Second)))
		succeeded(t, retry.Do(t.Context(), func(ctx context.Context) error { clock.Advance(time.Hour); return fn(ctx) },
			fixed(0), retry.WithMaxElapsed(14*time.Second), retry.WithClock(clock)))
		wantWaits(t, clock.Waits(), 12*time.Second)
	})
}

// Permanent, the filter, and the limits on the wait also apply to an error with Restart.
func TestRestartDoesNotOverrule(t *testing.T) {
	for _, test := range []struct {
		reason error
		err    error
		opt    retry.Option
	}{
		{retry.ErrNotRetryable, retry.Restart(retry.Permanent(errBoom)), nil},
		{retry.ErrNotRetryable, retry.Permanent(retry.Restart(errBoom)), nil},
		{retry.ErrNotRetryable, errors.Join(retry.Permanent(errOther), retry.Restart(errBoom)), nil},
		{retry.ErrNotRetryable, retry.Restart(errBoom), retry.WithRetryIf(retry.Is(errOther))},
		{retry.ErrRetryAfter, retry.Restart(retry.After(errBoom, time.Hour)), nil},
		{retry.ErrDeadline, retry.Restart(errBoom), nil},
	} {
		t.Run(fmt.Sprintf("%v, %v", test.reason, test.err), func(t *testing.T) {
			ctx := deadlineCtx{t.Context(), time.Now().Add(2 * time.Hour)}
			fn, _ := always(test.err)
			gaveUp(t, retry.Do(ctx, fn, fixed(3*time.Hour), test.opt), test.reason, 1)
		})
	}
}

// Step 8: what a Backoff and a Jitter return is clamped, and the sum saturates. A wait of
// 0 also goes through Clock.Sleep.
func TestWaitsAreClamped(t *testing.T) {
	same := func(ceiling time.Duration) time.Duration { return ceiling }
	for _, test := range []struct {
		name     string
		delay    time.Duration
		jitter   func(ceiling time.Duration) time.Duration
		pushback time.Duration
		want     time.Duration
	}{
		{"negative backoff", -1, same, 0, 0},
		{"least backoff", math.MinInt64, same, 0, 0},
		{"negative backoff and a delay", -time.Hour, same, 8, 12},
		{"largest backoff", math.MaxInt64, same, 0, math.MaxInt64},
		{"largest backoff and a delay", math.MaxInt64, same, 1, math.MaxInt64},
		{"one below the largest and a delay", math.MaxInt64 - 1, same, 1, math.MaxInt64},
		{"negative jitter", 5, func(time.Duration) time.Duration { return -1 }, 0, 0},
		{"negative jitter and a delay", 5, func(time.Duration) time.Duration { return math.MinInt64 }, 7, 7},
		{"jitter above its ceiling", 5, func(c time.Duration) time.Duration { return c + 1 }, 0, 6},
		{"largest delay", 5, same, math.MaxInt64, math.MaxInt64},
		{"largest jitter and a delay", 5, func(time.Duration) time.Duration { return math.MaxInt64 }, 7, math.MaxInt64},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := new(retrytest.Clock)
			fn, _ := script(retry.After(errBoom, test.pushback))
			var event retry.Event
			succeeded(t, retry.Do(t.Context(), fn, retry.WithClock(clock), retry.WithMaxRetryAfter(math.MaxInt64),
				retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { return test.delay })),
				retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration {
					if ceiling < 0 {
						t.Errorf("ceiling = %v, want at least 0", ceiling)
					}
					return test.jitter(ceiling)
				}),
				retry.WithOnRetry(func(_ context.Context, ev retry.Event) { event = ev })))
			wantWaits(t, clock.Waits(), test.want)
			if event.Wait != test.want {
				t.Errorf("Event.Wait = %v, want %v", event.Wait, test.want)
			}
		})
	}
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
)

// busy has a pushback without the help of After.
type busy time.Duration

func (busy) Error() string               { return "busy" }
func (b busy) RetryAfter() time.Duration { return time.Duration(b) }

func TestPermanentAtAnyDepth(t *testing.T) {
	everything := retry.WithRetryIf(func(error) bool { return true })
	for _, err := range []error{
		retry.Permanent(errBoom),
		fmt.Errorf("outer: %w", retry.Permanent(errBoom)),
		fmt.Errorf("%w and %w", errOther, retry.Permanent(errBoom)),
		errors.Join(errOther, retry.Permanent(errBoom)),
		errors.Join(errOther, fmt.Errorf("outer: %w", retry.After(retry.Permanent(errBoom), time.Second))),
	} {
		fn, calls := always(err)
		e := gaveUp(t, retry.Do(t.Context(), fn, everything), retry.ErrNotRetryable, 1)
		wantCalls(t, calls, 1)
		if !errors.Is(e, errBoom) {
			t.Errorf("%v has lost what was marked", e)
		}
	}
}

func TestPushback(t *testing.T) {
	const backoff = 10 * time.Second
	for _, test := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"none", errBoom, 0},
		{"After", retry.After(errBoom, 3*time.Second), 3 * time.Second},
		{"of zero", retry.After(errBoom, 0), 0},
		{"negative", retry.After(errBoom, -time.Hour), 0},
		{"a method", busy(4 * time.Second), 4 * time.Second},
		{"inside", fmt.Errorf("outer: %w", retry.After(errBoom, 5*time.Second)), 5 * time.Second},
		{"the longest of two", errors.Join(busy(time.Second), retry.After(errBoom, 6*time.Second)), 6 * time.Second},
		{"the longest first", errors.Join(retry.After(errBoom, 6*time.Second), busy(time.Second)), 6 * time.Second},
		{"the longest inside", retry.After(retry.After(errBoom, 7*time.Second), time.Second), 7 * time.Second},
		{"the longest outside", retry.After(retry.After(errBoom, time.Second), 7*time.Second), 7 * time.Second},
		{"beside nil", joined{nil, busy(time.Second)}, time.Second},
		{"above the cap", busy(time.Hour), time.Hour},
		{"the largest", busy(math.MaxInt64 - backoff), math.MaxInt64},
		{"beyond the largest", busy(math.MaxInt64 - backoff + 1), math.MaxInt64},
	} {
		clock := newFakeClock()
		fn, _ := script(test.err)
		if err := retry.Do(t.Context(), fn, fixed(backoff), retry.WithClock(clock)); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		want := test.want
		if want < math.MaxInt64 {
			want += backoff
		}
		wantWaits(t, clock.waits, want)
	}
}

// joined may hold nil, which errors.Join never does.
type joined []error

func (joined) Error() string     { return "joined" }
func (j joined) Unwrap() []error { return j }

// Clients told the same time do not return together: the jitter stays.
func TestPushbackKeepsTheJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	src := seededSource()
	for range 50 {
		clock := newFakeClock()
		fn, _ := script(retry.After(errBoom, time.Minute))
		if err := retry.Do(t.Context(), fn, retry.WithSource(src), retry.WithClock(clock)); err != nil {
			t.Error(err)
		}
		wait := clock.waits[0]
		if wait < time.Minute || wait > time.Minute+250*time.Millisecond {
			t.Errorf("got a wait of %v, want from 1m to 1m0.25s", wait)
		}
		seen[wait] = true
	}
	if len(seen) != 50 {
		t.Errorf("50 clients wait %d different times", len(seen))
	}
}

func TestPushbackBeyondTheLimits(t *testing.T) {
	fn, _ := always(retry.After(errBoom, time.Minute))
	clock := newFakeClock()
	err := retry.Do(t.Context(), fn, retry.WithMaxElapsed(time.Minute), retry.WithClock(clock))
	gaveUp(t, err, retry.ErrMaxElapsed, 1)
	err = retry.Do(deadlineCtx{t.Context(), epoch.Add(time.Minute)}, fn, retry.WithClock(clock))
	gaveUp(t, err, context.DeadlineExceeded, 1)
	wantWaits(t, clock.waits)
}

func TestRetryIf(t *testing.T) {
	path := &fs.PathError{Op: "open", Err: errOther}
	for _, test := range []struct {
		name  string
		preds []func(error) bool
		err   error
		want  bool
	}{
		{"Is", []func(error) bool{retry.Is(errBoom)}, errBoom, true},
		{"Is, wrapped", []func(error) bool{retry.Is(errBoom)}, fmt.Errorf("x: %w", errBoom), true},
		{"Is, another", []func(error) bool{retry.Is(errBoom)}, errOther, false},
		{"Is, the second of two", []func(error) bool{retry.Is(errBoom, errOther)}, errOther, true},
		{"Is of nothing", []func(error) bool{retry.Is()}, errBoom, false},
		{"Is of nil", []func(error) bool{retry.Is(nil)}, errBoom, false},
		{"Is of the uncomparable", []func(error) bool{retry.Is(uncomparable{"x"}, uncomparableField{[]int{1}})}, uncomparableField{[]int{1}}, false},
		{"Is, one of those comparable", []func(error) bool{retry.Is(uncomparableField{1})}, uncomparableField{1}, true},
		{"As", []func(error) bool{retry.As[*fs.PathError]()}, path, true},
		{"As, wrapped", []func(error) bool{retry.As[*fs.PathError]()}, fmt.Errorf("x: %w", path), true},
		{"As, another", []func(error) bool{retry.As[*fs.PathError]()}, errBoom, false},
		{"any of two", []func(error) bool{retry.Is(errBoom), retry.As[*fs.PathError]()}, path, true},
		{"none of two", []func(error) bool{retry.Is(errBoom), retry.As[*fs.PathError]()}, errCause, false},
	} {
		fn, calls := script(test.err)
		err := retry.Do(t.Context(), fn, retry.WithRetryIf(test.preds...), retry.WithClock(noSleep{}))
		if test.want {
			if err != nil {
				t.Errorf("%s: got %v, want a retry", test.name, err)
			}
			wantCalls(t, calls, 2)
			continue
		}
		gaveUp(t, err, retry.ErrNotRetryable, 1)
		wantCalls(t, calls, 1)
	}
}

func TestPredicatesGetTheErrorAsReturned(t *testing.T) {
	marked := retry.After(errBoom, time.Second)
	fn, _ := always(marked)
	var got []error
	err := retry.Do(t.Context(), fn, retry.WithRetryIf(func(err error) bool { got = append(got, err); return false }))
	gaveUp(t, err, retry.ErrNotRetryable, 1)
	if len(got) != 1 || got[0] != marked {
		t.Errorf("the predicate got %#v, want the marked error once", got)
	}
}

// nested returns an fn that runs an inner Do which ends for reason, and its count.
func nested(reason error) (fn func(context.Context) error, calls *int) {
	calls = new(int)
	return func(ctx context.Context) error {
		*calls++
		inner, _ := always(errBoom)
		switch reason {
		case retry.ErrExhausted:
			return retry.Do(ctx, inner, retry.WithMaxAttempts(1))
		case retry.ErrNotRetryable:
			inner, _ = always(retry.Permanent(errBoom))
			return retry.Do(ctx, inner)
		case retry.ErrMaxElapsed:
			return retry.Do(ctx, inner, fixed(time.Hour), retry.WithMaxElapsed(time.Minute))
		case retry.ErrBudget:
			return retry.Do(ctx, inner, retry.WithBudget(new(retry.Budget)))
		case retry.ErrInvalid:
			return retry.Do(ctx, inner, retry.WithMaxAttempts(0))
		case context.DeadlineExceeded:
			ctx, cancel := context.WithTimeout(ctx, time.Nanosecond)
			defer cancel()
			<-ctx.Done()
			return retry.Do(ctx, inner)
		case errCause: // whose ctx was ended because of a Do that gave up
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(&retry.Error{Attempts: 1, Err: retry.Permanent(errBoom), Reason: fmt.Errorf("x: %w", retry.ErrExhausted)})
			return retry.Do(ctx, inner)
		}
		panic("unknown reason")
	}, calls
}

var finalReasons = []error{retry.ErrExhausted, retry.ErrNotRetryable, retry.ErrMaxElapsed, retry.ErrBudget, retry.ErrInvalid}

func TestNestedLoopsDoNotMultiply(t *testing.T) {
	for _, reason := range finalReasons {
		for _, wrap := range []func(error) error{
			func(err error) error { return err },
			func(err error) error { return fmt.Errorf("layer: %w", err) },
			func(err error) error { return errors.Join(errOther, err) },
			func(err error) error { return retry.After(err, time.Second) },
		} {
			fn, calls := nested(reason)
			err := retry.Do(t.Context(), func(ctx context.Context) error { return wrap(fn(ctx)) }, retry.WithClock(noSleep{}))
			e := gaveUp(t, err, retry.ErrNotRetryable, 1)
			wantCalls(t, calls, 1)
			if !errors.Is(e.Err, reason) {
				t.Errorf("%v has lost the inner reason %v", e, reason)
			}
		}
		// Unless WithRetryIf asks for it.
		fn, calls := nested(reason)
		err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}), retry.WithRetryIf(retry.Is(reason)))
		gaveUp(t, err, retry.ErrExhausted, 5)
		wantCalls(t, calls, 5)
	}
}

func TestInnerContextReasonIsRetried(t *testing.T) {
	for _, reason := range []error{context.DeadlineExceeded, errCause} {
		fn, calls := nested(reason)
		err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}))
		gaveUp(t, err, retry.ErrExhausted, 5)
		wantCalls(t, calls, 5)
	}
	// The reason alone, out of its Error, too.
	fn, calls := nested(errCause)
	err := retry.Do(t.Context(), func(ctx context.Context) error {
		return fn(ctx).(*retry.Error).Reason
	}, retry.WithClock(noSleep{}))
	gaveUp(t, err, retry.ErrExhausted, 5)
	wantCalls(t, calls, 5)
}

// An attempt's own timeout ends an inner Do, and the outer one goes on.
func TestInnerDoEndedByTheAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := retry.Do(t.Context(), func(ctx context.Context) error {
			return retry.Do(ctx, func(ctx context.Context) error {
				if calls++; calls == 3 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			})
		}, retry.WithAttemptTimeout(time.Second))
		if err != nil || calls != 3 {
			t.Errorf("got %v after %d calls of fn, want success after 3", err, calls)
		}
	})
}

// The reasons count without an Error around them, and with something between.
func TestBareReasonsAreFinal(t *testing.T) {
	for _, reason := range finalReasons {
		for _, err := range []error{
			reason,
			fmt.Errorf("x: %w", reason),
			&retry.Error{Reason: fmt.Errorf("x: %w", reason)},
		} {
			fn, calls := always(err)
			gaveUp(t, retry.Do(t.Context(), fn, retry.WithClock(noSleep{})), retry.ErrNotRetryable, 1)
			wantCalls(t, calls, 1)
		}
	}
}

// A marker speaks to the Do that fn returned it to: what is left of it below an
// inner verdict is nothing to the outer Do.
func TestInnerMarkersAreSpent(t *testing.T) {
	inner := func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		return retry.Do(ctx, func(context.Context) error {
			cancel()
			return fmt.Errorf("x: %w", retry.Permanent(retry.After(errBoom, time.Hour)))
		})
	}
	clock := newFakeClock()
	err := retry.Do(t.Context(), inner, fixed(1), retry.WithMaxAttempts(2), retry.WithClock(clock))
	gaveUp(t, err, retry.ErrExhausted, 2)
	wantWaits(t, clock.waits, 1)
}

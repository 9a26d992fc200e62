package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// This test has every text of an Error that Do returns.
func TestErrorTexts(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error // the first error of fn, which returns boom afterwards
		opts []retry.Option
		want string
	}{
		{"exhausted", errBoom, nil, "retry: gave up after 5 attempts: boom"},
		{"one attempt", errBoom, []retry.Option{retry.WithMaxAttempts(1)}, "retry: gave up after 1 attempt: boom"},
		{"permanent", retry.Permanent(errBoom), nil, "retry: gave up after 1 attempt (not retryable): boom"},
		{"rejected by the filter", errBoom, []retry.Option{retry.WithRetryIf(retry.Is(errOther))},
			"retry: gave up after 1 attempt (not retryable): boom"},
		{"nested call gave up", retry.Do(t.Context(), func(context.Context) error { return errBoom }, noWait), nil,
			"retry: gave up after 1 attempt (nested retry gave up): retry: gave up after 5 attempts: boom"},
		{"max elapsed", errBoom, []retry.Option{retry.WithMaxElapsed(3 * time.Second)},
			"retry: gave up after 3 attempts (next attempt would exceed the maximum elapsed time): boom"},
		{"retry after", retry.After(errBoom, 24*time.Hour), nil,
			"retry: gave up after 1 attempt (asked to wait 24h0m0s, more than WithMaxRetryAfter(1m0s)): boom"},
		{"retry after, another limit", retry.After(errBoom, time.Minute), []retry.Option{retry.WithMaxRetryAfter(time.Second)},
			"retry: gave up after 1 attempt (asked to wait 1m0s, more than WithMaxRetryAfter(1s)): boom"},
		{"budget", errBoom, []retry.Option{retry.WithBudget(retry.NewBudget(1, 0))},
			"retry: gave up after 2 attempts (retry budget exhausted): boom"},
		{"clock", errBoom, []retry.Option{retry.WithClock(&hookClock{before: func() error { return errOther }})},
			"retry: gave up after 1 attempt (other): boom"},
		{"clock, several lines", errBoom, []retry.Option{retry.WithClock(&hookClock{before: func() error { return errors.New("a\r\nb\rc\nd") }})},
			"retry: gave up after 1 attempt (a; b; c; d): boom"},
		{"error of several lines", retry.Permanent(errors.Join(errBoom, errOther)), nil,
			"retry: gave up after 1 attempt (not retryable): boom\nother"},
		{"invalid option", nil, []retry.Option{retry.WithMaxAttempts(0)},
			"retry: invalid option: WithMaxAttempts(0): must be at least 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			first := test.err
			wantText(t, retry.Do(t.Context(), func(context.Context) error {
				err := first
				first = errBoom
				return err
			}, append([]retry.Option{retry.WithClock(new(retrytest.Clock)), fixed(time.Second)}, test.opts...)...), test.want)
		})
	}
	t.Run("deadline", func(t *testing.T) {
		fn, _ := always(errBoom)
		err := retry.Do(deadlineCtx{t.Context(), time.Now().Add(time.Hour)}, fn, fixed(2*time.Hour))
		wantText(t, err, "retry: gave up after 1 attempt (next attempt would miss the context deadline): boom")
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		fn, opts := actAt(2, inFn, func() { cancel(errors.New("shutting down")) })
		wantText(t, retry.Do(ctx, fn, opts), "retry: gave up after 2 attempts (context canceled: shutting down): boom")
		wantText(t, retry.Do(ctx, fn, opts), "retry: gave up before the first attempt (context canceled: shutting down)")
	})
	t.Run("made by hand", func(t *testing.T) {
		wantText(t, &retry.Error{}, "retry: gave up before the first attempt")
	})
	for reason, want := range map[error]string{
		retry.ErrExhausted: "attempts exhausted", retry.ErrNotRetryable: "not retryable",
		retry.ErrRetryAfter: "asked to wait longer than WithMaxRetryAfter", retry.ErrInvalid: "invalid option or argument",
	} {
		t.Run(want, func(t *testing.T) { wantText(t, reason, want) })
	}
}

// A search for an error that is not in a hundred nested Errors reads each of them once.
func TestDeepErrorsAreSearchedInLinearTime(t *testing.T) {
	var err error = &fs.PathError{Op: "innermost", Err: errBoom}
	for range 100 {
		err = &retry.Error{Attempts: 1, Err: err, Reason: retry.ErrExhausted}
	}
	if got, ok := errors.AsType[*net.OpError](err); ok {
		t.Errorf("errors.AsType() = %v, want none", got)
	}
	if got, ok := errors.AsType[*fs.PathError](err); !ok || got.Op != "innermost" {
		t.Errorf("errors.AsType() = %v, want the innermost", got)
	}
	if errors.Is(err, errOther) || !errors.Is(err, errBoom) {
		t.Error("errors.Is() finds other, or does not find boom")
	}
	if err.(*retry.Error).RetryAfter() != 0 || err.(*retry.Error).Timeout() {
		t.Error("RetryAfter() is not 0, or Timeout() is true")
	}
}

// A wrapper wraps an error and has its text.
type wrapper struct{ error }

func (w wrapper) Unwrap() error { return w.error }

// depthError asks for the depth of the stack as its delay.
type depthError struct{ error }

func (depthError) RetryAfter() time.Duration {
	return time.Duration(runtime.Callers(0, make([]uintptr, 1000)))
}

// A chain of a million wrapped errors is read without recursion.
func TestLongChainIsReadWithoutRecursion(t *testing.T) {
	var err error = depthError{retry.Permanent(errBoom)}
	for range 1_000_000 {
		err = wrapper{err}
	}
	fn, _ := always(retry.After(err, 1))
	e := gaveUp(t, retry.Do(t.Context(), fn, retry.WithMaxAttempts(1)), retry.ErrExhausted, 1)
	if got := e.RetryAfter(); got < 2 || got > 100 {
		t.Errorf("the chain was read at a stack depth of %d, want at most 100", got)
	}
	fn, _ = always(wrapper{retry.Permanent(err)})
	e = gaveUp(t, retry.Do(t.Context(), fn), retry.ErrNotRetryable, 1)
	if got := e.RetryAfter(); got < 2 || got > 100 {
		t.Errorf("RetryAfter() was read at a stack depth of %d, want at most 100", got)
	}
}

// Errors whose comparison with == panics: because of the type, and because of the value.
type (
	uncomparable      []string
	uncomparableField struct{ v any }
)

func (uncomparable) Error() string      { return "uncomparable" }
func (uncomparableField) Error() string { return "uncomparable field" }

// An endedCtx is done with an error of another package.
type endedCtx struct {
	context.Context
	err error
}

func (c endedCtx) Err() error { return c.err }

// An error that is only carried is never compared.
func TestCarriedErrorsAreNotCompared(t *testing.T) {
	for _, carried := range []error{uncomparable{"x"}, uncomparableField{[]int{1}}} {
		t.Run(carried.Error(), func(t *testing.T) {
			fn, _ := always(fmt.Errorf("x: %w", carried))
			gaveUp(t, retry.Do(t.Context(), fn, noWait, retry.WithRetryIf(retry.Is(errOther, errCause, errBoom), func(error) bool { return true })),
				retry.ErrExhausted, 5)
			ctx, cancel := context.WithCancelCause(t.Context())
			fn, opts := actAt(1, inFn, func() { cancel(carried) })
			err := retry.Do(ctx, fn, opts)
			gaveUp(t, err, context.Canceled, 1)
			wantText(t, err, "retry: gave up after 1 attempt (context canceled: "+carried.Error()+"): boom")
			fn, _ = always(retry.Permanent(carried))
			gaveUp(t, retry.Do(t.Context(), fn), retry.ErrNotRetryable, 1)
			fn, _ = always(errBoom)
			err = retry.Do(t.Context(), fn, retry.WithClock(&hookClock{before: func() error { return carried }}))
			wantText(t, err, "retry: gave up after 1 attempt ("+carried.Error()+"): boom")
			err = retry.Do(endedCtx{t.Context(), carried}, fn)
			wantText(t, err, "retry: gave up before the first attempt ("+carried.Error()+")")
			if errors.Is(err, errOther) || err.(*retry.Error).Timeout() {
				t.Errorf("Do() = %v, which matches other or is a timeout", err)
			}
		})
	}
}

type timeoutError bool

func (timeoutError) Error() string   { return "maybe a timeout" }
func (e timeoutError) Timeout() bool { return bool(e) }

// Timeout reports whether the first error with a Timeout method, in Err or in Reason, is a
// timeout, or whether Reason matches context.DeadlineExceeded.
func TestErrorTimeout(t *testing.T) {
	for _, test := range []struct {
		name string
		err  retry.Error
		want bool
	}{
		{"neither", retry.Error{Err: errBoom, Reason: retry.ErrExhausted}, false},
		{"nothing", retry.Error{}, false},
		{"Err", retry.Error{Err: timeoutError(true), Reason: retry.ErrExhausted}, true},
		{"Err, wrapped", retry.Error{Err: fmt.Errorf("x: %w", timeoutError(true)), Reason: retry.ErrExhausted}, true},
		{"Err says no", retry.Error{Err: timeoutError(false), Reason: retry.ErrExhausted}, false},
		{"the first in Err", retry.Error{Err: errors.Join(timeoutError(false), timeoutError(true))}, false},
		{"the first in Err, first", retry.Error{Err: errors.Join(errBoom, timeoutError(true), timeoutError(false))}, true},
		{"Reason", retry.Error{Err: errBoom, Reason: timeoutError(true)}, true},
		{"Reason though Err says no", retry.Error{Err: timeoutError(false), Reason: context.DeadlineExceeded}, true},
		{"ErrDeadline", retry.Error{Err: errBoom, Reason: retry.ErrDeadline}, true},
		{"a deadline behind another", retry.Error{Err: errBoom, Reason: errors.Join(timeoutError(false), context.DeadlineExceeded)}, true},
		{"a deadline in Err", retry.Error{Err: context.DeadlineExceeded, Reason: retry.ErrExhausted}, true},
		{"nested", retry.Error{Err: &retry.Error{Reason: retry.ErrDeadline}, Reason: retry.ErrNotRetryable}, true},
		{"canceled", retry.Error{Reason: context.Canceled}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := &test.err
			got := []bool{err.Timeout(), (&url.Error{Err: err}).Timeout(), os.IsTimeout(err)}
			if want := slices.Repeat([]bool{test.want}, 3); !slices.Equal(got, want) {
				t.Errorf("e.Timeout(), url.Error.Timeout(), os.IsTimeout() = %v, want %v", got, want)
			}
		})
	}
}

// errors.As to net.Error finds the error of fn, unless the Reason is a deadline.
func TestErrorIsNoNetError(t *testing.T) {
	dns := &net.DNSError{IsTemporary: true}
	if got, ok := errors.AsType[net.Error](&retry.Error{Err: dns, Reason: retry.ErrExhausted}); !ok || got != net.Error(dns) {
		t.Errorf("errors.AsType() = %#v, want the error of fn", got)
	}
	if got, ok := errors.AsType[net.Error](&retry.Error{Err: dns, Reason: retry.ErrDeadline}); !ok || got != context.DeadlineExceeded {
		t.Errorf("errors.AsType() = %#v, want context.DeadlineExceeded", got)
	}
}

// RetryAfter returns the delay that the last error asked for, whatever the Reason is.
func TestErrorRetryAfter(t *testing.T) {
	for _, test := range []struct {
		name   string
		reason error
		err    error
		opt    retry.Option
	}{
		{"too long", retry.ErrRetryAfter, retry.After(errBoom, time.Hour), nil},
		{"exhausted", retry.ErrExhausted, retry.After(errBoom, time.Hour), retry.WithMaxAttempts(1)},
		{"permanent", retry.ErrNotRetryable, retry.Permanent(retry.After(errBoom, time.Hour)), nil},
		{"permanent, further in", retry.ErrNotRetryable, retry.Permanent(fmt.Errorf("x: %w", retry.After(errBoom, time.Hour))), nil},
		{"permanent, outside", retry.ErrNotRetryable, retry.After(retry.Permanent(errBoom), time.Hour), nil},
		{"rejected", retry.ErrNotRetryable, fmt.Errorf("x: %w", busy(time.Hour)), retry.WithRetryIf(retry.Is(errCause))},
		{"elapsed", retry.ErrMaxElapsed, retry.After(errBoom, time.Hour),
			retry.Policy(retry.WithMaxRetryAfter(time.Hour), retry.WithMaxElapsed(time.Hour))},
	} {
		for _, tree := range trees {
			t.Run(test.name+"/"+tree.name, func(t *testing.T) {
				fn, _ := always(tree.with(test.err))
				e := gaveUp(t, retry.Do(t.Context(), fn, test.opt), test.reason, 1)
				if got := e.RetryAfter(); got != time.Hour {
					t.Errorf("RetryAfter() = %v, want 1h", got)
				}
			})
		}
	}
	t.Run("only the last error counts", func(t *testing.T) {
		fn, _ := script(retry.After(errBoom, time.Second), retry.Permanent(errBoom))
		e := gaveUp(t, retry.Do(t.Context(), fn, retry.WithClock(new(retrytest.Clock))), retry.ErrNotRetryable, 2)
		if got := e.RetryAfter(); got != 0 {
			t.Errorf("RetryAfter() = %v, want 0", got)
		}
	})
	t.Run("made by hand", func(t *testing.T) {
		e := &retry.Error{Err: fmt.Errorf("x: %w", retry.After(errBoom, time.Hour))}
		if got := e.RetryAfter(); got != time.Hour {
			t.Errorf("RetryAfter() = %v, want 1h", got)
		}
		if got := new(retry.Error).RetryAfter(); got != 0 {
			t.Errorf("RetryAfter() = %v, want 0", got)
		}
	})
}

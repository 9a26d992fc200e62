package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

// Errors whose comparison with == panics: by their type, and by their value.
type (
	uncomparable      []string
	uncomparableField struct{ v any }
)

func (uncomparable) Error() string      { return "uncomparable" }
func (uncomparableField) Error() string { return "uncomparable field" }

func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		err  *retry.Error
		want string
	}{
		{&retry.Error{Attempts: 1, Err: errBoom, Reason: retry.ErrNotRetryable}, "retry: not retryable after 1 attempt: boom"},
		{&retry.Error{Attempts: 2, Err: errBoom, Reason: retry.ErrExhausted}, "retry: attempts exhausted after 2 attempts: boom"},
		{&retry.Error{Attempts: 3, Err: errBoom, Reason: retry.ErrMaxElapsed}, "retry: max elapsed time reached after 3 attempts: boom"},
		{&retry.Error{Attempts: 1, Err: errBoom, Reason: retry.ErrBudget}, "retry: budget exhausted after 1 attempt: boom"},
		{&retry.Error{Reason: retry.ErrInvalid}, "retry: invalid option or argument before the first attempt"},
		{&retry.Error{Reason: context.Canceled}, "retry: context canceled before the first attempt"},
		{&retry.Error{Attempts: 1, Reason: context.Canceled}, "retry: context canceled after 1 attempt"},
		{&retry.Error{}, "retry: stopped before the first attempt"},
		{nil, "<nil>"},
		// One line, as far as the last error's own text is.
		{&retry.Error{Reason: errors.New("a\r\nb\rc\nd")}, "retry: a; b; c; d before the first attempt"},
		{&retry.Error{Attempts: 1, Err: errors.New("two\nlines"), Reason: errors.Join(errBoom, errOther)},
			"retry: boom; other after 1 attempt: two\nlines"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestCauseInTheText(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	fn, _ := script()
	got := retry.Do(ctx, fn).Error()
	if want := "retry: context canceled: the cause before the first attempt"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorReachesErrAndReason(t *testing.T) {
	inErr := &fs.PathError{Op: "in Err", Err: errBoom}
	inReason := &fs.PathError{Op: "in Reason", Err: errOther}
	both := &retry.Error{Attempts: 1, Err: inErr, Reason: inReason}
	if errors.Unwrap(both) != error(inErr) {
		t.Errorf("Unwrap gives %v, want Err", errors.Unwrap(both))
	}
	for _, target := range []error{inErr, inReason, errBoom, errOther, both} {
		if !errors.Is(both, target) {
			t.Errorf("%v does not match %v", both, target)
		}
	}
	if errors.Is(both, errCause) {
		t.Errorf("%v matches what is not in it", both)
	}
	// Err first.
	if got, ok := errors.AsType[*fs.PathError](both); !ok || got != inErr {
		t.Errorf("AsType gives %v, want the one in Err", got)
	}
	var path *fs.PathError
	if !errors.As(both, &path) || path != inErr {
		t.Errorf("As gives %v, want the one in Err", path)
	}
	// Reason alone.
	for _, err := range []error{nil, errBoom} {
		if got, ok := errors.AsType[*fs.PathError](&retry.Error{Err: err, Reason: inReason}); !ok || got != inReason {
			t.Errorf("with Err %v: AsType gives %v, want the one in Reason", err, got)
		}
	}
	if got, ok := errors.AsType[net.Error](&retry.Error{Reason: context.DeadlineExceeded}); !ok || !got.Timeout() {
		t.Errorf("AsType[net.Error] gives %v, want the DeadlineExceeded in Reason", got)
	}
	// None.
	if got, ok := errors.AsType[*net.OpError](both); ok {
		t.Errorf("AsType finds %v, which is not in it", got)
	}
}

// Nested a hundred deep: what is not there has to be looked for once at each
// level, not twice.
func TestDeepErrorsAreSearchedInLinearTime(t *testing.T) {
	var err error = &fs.PathError{Op: "innermost", Err: errBoom}
	for range 100 {
		err = &retry.Error{Attempts: 1, Err: err, Reason: retry.ErrExhausted}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		t.Error("found what is not there")
	}
	if got, ok := errors.AsType[*fs.PathError](err); !ok || got.Op != "innermost" {
		t.Errorf("got %v", got)
	}
	if errors.Is(err, errOther) || !errors.Is(err, errBoom) {
		t.Error("errors.Is is wrong")
	}
}

func TestNilErrorPointer(t *testing.T) {
	var none *retry.Error
	if errors.Is(none, errBoom) || errors.Unwrap(none) != nil {
		t.Error("a nil *Error matches or holds something")
	}
	if _, ok := errors.AsType[*fs.PathError](none); ok {
		t.Error("a nil *Error holds a PathError")
	}
	// The classic slip: fn returns it as an error.
	fn, calls := always(none)
	err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}))
	gaveUp(t, err, retry.ErrExhausted, 5)
	wantCalls(t, calls, 5)
	if got, want := err.Error(), "retry: attempts exhausted after 5 attempts: <nil>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The same slip with a type whose methods panic on nil.
func TestNilPointerFromFn(t *testing.T) {
	fn, calls := always((*fs.PathError)(nil))
	err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}))
	gaveUp(t, err, retry.ErrExhausted, 5)
	wantCalls(t, calls, 5)
	if got, want := err.Error(), "retry: attempts exhausted after 5 attempts: <nil>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Any other panic in an Error method is its author's to see.
func TestPanicInErrorPropagates(t *testing.T) {
	defer func() {
		if p := recover(); p != "no text" {
			t.Errorf("recovered %v, want the error's own panic", p)
		}
	}()
	_ = (&retry.Error{Attempts: 1, Err: textless{}, Reason: retry.ErrExhausted}).Error()
}

type textless struct{}

func (textless) Error() string { panic("no text") }

func TestComparingNeverPanics(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(uncomparableField{[]int{1}})
	fn, _ := script()
	caused := retry.Do(ctx, fn)
	fn, _ = always(uncomparable{"x"})
	exhausted := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}))
	invalid := retry.Do(t.Context(), fn, retry.WithMaxAttempts(0))
	errs := []error{caused, exhausted, invalid, retry.ErrExhausted,
		retry.Permanent(uncomparable{"x"}), retry.After(uncomparable{"x"}, time.Second),
		caused.(*retry.Error).Reason, invalid.(*retry.Error).Reason}
	targets := append([]error{nil, uncomparable{"x"}, uncomparableField{[]int{1}}, uncomparableField{1}, errBoom}, errs...)
	for i, err := range errs {
		for j, target := range targets {
			_ = err == target
			matches := errors.Is(err, target)
			if j == i+5 && !matches {
				t.Errorf("%v does not match itself", err)
			}
		}
	}
	if errors.Is(caused, uncomparableField{[]int{1}}) {
		t.Error("a value that cannot be compared matches")
	}
}

// A cause may match what cannot be compared, by a method of its own.
func TestCauseWithAnIsMethod(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(matchesAll{})
	fn, _ := script()
	if err := retry.Do(ctx, fn); !errors.Is(err, uncomparable{"x"}) {
		t.Errorf("%v does not match what its cause does", err)
	}
}

type matchesAll struct{}

func (matchesAll) Error() string { return "matches all" }
func (matchesAll) Is(error) bool { return true }

func TestLastErrorComesBackAsItWas(t *testing.T) {
	for _, marked := range []error{
		errBoom,
		retry.Permanent(errBoom),
		retry.After(errBoom, 1),
		retry.Permanent(retry.After(retry.Permanent(errBoom), 1)),
		retry.After(retry.After(errBoom, 1), 2),
	} {
		var inEvent error
		fn, _ := always(marked)
		err := retry.Do(t.Context(), fn, retry.WithClock(noSleep{}), retry.WithMaxAttempts(1),
			retry.WithOnDone(func(_ context.Context, ev retry.Event) { inEvent = ev.Err }))
		if got := errors.Unwrap(err); got != errBoom {
			t.Errorf("got %#v, want errBoom itself", got)
		}
		if inEvent != errBoom {
			t.Errorf("Event has %#v, want errBoom itself", inEvent)
		}
	}
	// A marker further in stays where it is.
	deep := fmt.Errorf("outer: %w", errors.Join(retry.Permanent(errBoom), errOther))
	fn, _ := always(deep)
	err := retry.Do(t.Context(), fn)
	e := gaveUp(t, err, retry.ErrNotRetryable, 1)
	if e.Err != deep || !errors.Is(err, errBoom) || !errors.Is(err, errOther) || !strings.Contains(err.Error(), "outer: boom") {
		t.Errorf("got %v, want the outer text and the siblings", err)
	}
}

func TestMarkersOfNil(t *testing.T) {
	if err := retry.Permanent(nil); err != nil {
		t.Errorf("Permanent(nil) = %v", err)
	}
	if err := retry.After(nil, time.Second); err != nil {
		t.Errorf("After(nil, 1s) = %v", err)
	}
}

func TestMarkersAreTransparent(t *testing.T) {
	for _, err := range []error{retry.Permanent(errBoom), retry.After(errBoom, time.Second)} {
		if err.Error() != "boom" || !errors.Is(err, errBoom) || errors.Unwrap(err) != errBoom {
			t.Errorf("%#v hides the error that it marks", err)
		}
	}
}

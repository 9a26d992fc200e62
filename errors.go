package retry

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Why there was no further attempt, apart from the end of ctx: what [Error].Reason
// matches. Use errors.Is to test for them.
var (
	// ErrExhausted means that every attempt of WithMaxAttempts was used.
	ErrExhausted error = &verdict{text: "attempts exhausted"}

	// ErrNotRetryable means that the last error was marked with Permanent, or
	// that the filter (see WithRetryIf) did not ask for a retry.
	ErrNotRetryable error = &verdict{text: "not retryable"}

	// ErrMaxElapsed means that the next attempt would have begun when
	// WithMaxElapsed, or more, had passed.
	ErrMaxElapsed error = &verdict{text: "max elapsed time reached"}

	// ErrBudget means that the shared Budget had no token left.
	ErrBudget error = &verdict{text: "budget exhausted"}

	// ErrInvalid means that an option or an argument is invalid. The Reason
	// names it and its value. fn was not called, nor was a hook.
	ErrInvalid error = &verdict{text: "invalid option or argument"}
)

// A verdict is a reason of this package's own: final for an outer Do, too. It is
// used by pointer, so that comparing it never panics.
type verdict struct {
	text string
	kind error // what it matches besides itself
}

func (v *verdict) Error() string { return v.text }
func (v *verdict) Unwrap() error { return v.kind }

// invalid returns the Error of a call that has an invalid option or argument. For
// its inlining, see describe.
//
//go:noinline
func invalid(problem string) error {
	return &Error{Reason: &verdict{text: "invalid " + problem, kind: ErrInvalid}}
}

// An Error is every non-nil error of [Do], [DoValue] and the functions that
// [Wrap] and [WrapUnary] return. errors.Is and errors.As reach both Err and
// Reason, Err first; errors.Unwrap gives Err.
//
// It holds the last error only, not one for each attempt: hooks see them all. With a
// target that cannot be compared, errors.Is panics where it would on Err alone.
type Error struct {
	Attempts int           // calls of fn
	Waited   time.Duration // the sum of the waits that were slept to their end
	Err      error         // what the last call of fn returned, see Permanent; nil if fn was never called
	Reason   error         // why there was no further attempt
}

// Error returns one line, as far as the text of Err is one:
//
//	retry: attempts exhausted after 5 attempts: connection refused
//	retry: context canceled before the first attempt
func (e *Error) Error() string {
	if e == nil {
		return "<nil>"
	}
	var b strings.Builder
	b.WriteString("retry: ")
	if e.Reason != nil {
		// A cause of ctx or a Clock's error may have several lines.
		b.WriteString(oneLine.Replace(e.Reason.Error()))
	} else {
		b.WriteString("stopped") // made by hand: Do always gives a reason
	}
	switch e.Attempts {
	case 0:
		b.WriteString(" before the first attempt")
	case 1:
		b.WriteString(" after 1 attempt")
	default:
		b.WriteString(" after " + strconv.Itoa(e.Attempts) + " attempts")
	}
	if e.Err != nil {
		b.WriteString(": " + text(e.Err))
	}
	return b.String()
}

// text is err.Error(), or what fmt makes of a nil pointer on which that panics.
func text(err error) (s string) {
	defer func() {
		if value := recover(); value != nil {
			if !isNil(err) {
				panic(value)
			}
			s = "<nil>"
		}
	}()
	return err.Error()
}

var oneLine = strings.NewReplacer("\r\n", "; ", "\n", "; ", "\r", "; ")

// Unwrap returns Err.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Is makes errors.Is reach Reason; it reaches Err through Unwrap.
func (e *Error) Is(target error) bool {
	return e != nil && is(e.Reason, target)
}

// As makes errors.As and errors.AsType reach Reason, after Err. It panics where
// errors.As does, on a target that is not a pointer to an error type.
func (e *Error) As(target any) bool {
	if e == nil {
		return false
	}
	// errors.As walks Err after a false from here. So Err is searched only if
	// Reason has a match to hold back: once at each level, where asking Err
	// first would double the work with each *Error nested in another.
	inReason := reflect.New(reflect.TypeOf(target).Elem())
	if !errors.As(e.Reason, inReason.Interface()) {
		return false
	}
	if !errors.As(e.Err, target) {
		reflect.ValueOf(target).Elem().Set(inReason.Elem())
	}
	return true
}

// is is errors.Is, save that it never panics on target: one whose type may be
// compared and whose value may not, such as a struct with a slice in an interface
// field, matches nothing.
func is(err, target error) bool {
	if target != nil {
		if v := reflect.ValueOf(target); v.Type().Comparable() && !v.Comparable() {
			return false
		}
	}
	return errors.Is(err, target)
}

// ended returns the Reason for the end of ctx with err, which is ctx.Err() and not
// nil: an error that matches both err and the cause.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if is(err, cause) {
		return err
	}
	return &ctxError{err, cause}
}

// A ctxError is the end of a ctx that has a cause of its own. The cause is not
// unwrapped: errors.Is would compare it without the care of is, and an outer Do
// would take for fn's own what the cause says about retrying.
type ctxError struct{ err, cause error }

func (e *ctxError) Error() string        { return e.err.Error() + ": " + e.cause.Error() }
func (e *ctxError) Unwrap() error        { return e.err }
func (e *ctxError) Is(target error) bool { return is(e.cause, target) }
func (e *ctxError) As(target any) bool   { return errors.As(e.cause, target) }

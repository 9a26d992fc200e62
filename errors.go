package retry

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Error.Reason matches one of these errors unless [Do] stopped because ctx was done or
// because the Sleep method of a [Clock] failed. Use errors.Is to test for them.
var (
	// ErrExhausted means that the last permitted attempt failed (see WithMaxAttempts).
	ErrExhausted error = &verdict{text: "attempts exhausted"}

	// ErrNotRetryable means that the error was permanent (see Permanent), that no
	// predicate of WithRetryIf returned true for it, or that a nested call gave up.
	ErrNotRetryable error = &verdict{text: "not retryable"}

	// ErrMaxElapsed means that the next attempt would have started at or after the
	// limit that WithMaxElapsed sets.
	ErrMaxElapsed error = &verdict{text: "next attempt would exceed the maximum elapsed time"}

	// ErrDeadline means that the next attempt would have started at or after the
	// deadline of ctx. It also matches context.DeadlineExceeded, although ctx was not
	// yet done when Do decided to stop.
	ErrDeadline error = &verdict{"next attempt would miss the context deadline", context.DeadlineExceeded}

	// ErrRetryAfter means that the error asked for a longer delay than
	// WithMaxRetryAfter permits. Error.RetryAfter returns the delay.
	ErrRetryAfter error = &verdict{text: "asked to wait longer than WithMaxRetryAfter"}

	// ErrBudget means that the Budget had no token left.
	ErrBudget error = &verdict{text: "retry budget exhausted"}

	// ErrInvalid means that an option or argument is invalid. The text of Error.Reason names
	// the option or argument and its value. Do called neither fn nor a hook.
	ErrInvalid error = &verdict{text: "invalid option or argument"}
)

// errNested is the reason for stopping if a nested call gave up.
var errNested error = &verdict{"nested retry gave up", ErrNotRetryable}

// A verdict is a reason that this package defines. It also matches kind, which may be
// nil.
type verdict struct {
	text string
	kind error
}

func (v *verdict) Error() string { return v.text }
func (v *verdict) Unwrap() error { return v.kind }

// invalid returns the error of a call that has an invalid option or argument. It is not
// inlined, so that Do and do need less stack while they wait.
//
//go:noinline
func invalid(kind, problem string) error {
	return &Error{Reason: &verdict{"invalid " + kind + ": " + problem, ErrInvalid}}
}

// waitTooLong returns the reason for stopping after an error that asks for more than
// limit.
func waitTooLong(after, limit time.Duration) error {
	return &verdict{"asked to wait " + after.String() + ", more than WithMaxRetryAfter(" + limit.String() + ")", ErrRetryAfter}
}

// An Error describes a call that failed. Every non-nil error that is returned by [Do],
// [DoValue], or a function from [Wrap] or [WrapUnary] is an *Error. errors.Is and
// errors.As search both Err and Reason. If both match, errors.As uses Err, unless Reason
// matches context.DeadlineExceeded. errors.Unwrap returns Err.
//
// An Error holds only the last error. To collect the earlier errors, use [WithOnRetry].
type Error struct {
	Attempts int           // the number of calls to fn
	Waited   time.Duration // the sum of the completed waits
	Err      error         // the last error of fn, after the error maps and without its outermost markers; nil if fn was not called
	Reason   error         // why Do stopped

	said advice // what the last error, including its markers, says about retrying
}

// Error returns a message such as one of the following. If the message of Err is one
// line, the returned message is also one line.
//
//	retry: gave up after 5 attempts: connection refused
//	retry: gave up after 1 attempt (not retryable): 404 Not Found
//	retry: gave up before the first attempt (context canceled)
func (e *Error) Error() string {
	if e.invalid() {
		return "retry: " + e.Reason.Error()
	}
	when, why, last := "after "+strconv.Itoa(e.Attempts)+" attempts", "", ""
	switch e.Attempts {
	case 0:
		when = "before the first attempt"
	case 1:
		when = "after 1 attempt"
	}
	if e.Reason != nil && e.Reason != ErrExhausted {
		// The cause of ctx or the error from a Clock may have several lines.
		lines := strings.FieldsFunc(e.Reason.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
		why = " (" + strings.Join(lines, "; ") + ")"
	}
	if e.Err != nil {
		last = ": " + e.Err.Error()
	}
	return "retry: gave up " + when + why + last
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether Reason matches target. It exists for errors.Is, which searches Err
// through Unwrap.
func (e *Error) Is(target error) bool { return errors.Is(e.Reason, target) }

// As sets target to the match in Reason, and reports whether there is one. If Err also
// matches, As sets target to the match in Err, unless Reason matches
// context.DeadlineExceeded. As exists for errors.As, which searches Err through Unwrap if
// As returns false.
func (e *Error) As(target any) bool {
	if !errors.As(e.Reason, target) {
		return false
	}
	// A match in Err takes precedence unless Reason is a missed deadline. In that case,
	// errors.As must find a net.Error that is a timeout, even if Err is not one. If
	// Reason does not match, As leaves Err to errors.As, so that nested errors are not
	// searched repeatedly.
	if !errors.Is(e.Reason, context.DeadlineExceeded) {
		errors.As(e.Err, target)
	}
	return true
}

// Timeout reports whether Err or Reason is a timeout. For each, Timeout calls the
// Timeout() bool method of the first error in the tree that has one. A Reason that
// matches context.DeadlineExceeded is also a timeout. *url.Error and os.IsTimeout call
// this method.
func (e *Error) Timeout() bool {
	return timeout(e.Err) || timeout(e.Reason) || errors.Is(e.Reason, context.DeadlineExceeded)
}

func timeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// RetryAfter returns the delay that the last error asked for (see [After]), or 0 if it
// did not ask for a delay. If e was not created by this package, RetryAfter returns the
// delay that Err asks for.
func (e *Error) RetryAfter() time.Duration { return e.advice().after }

// advice returns what the last error says about retrying.
func (e *Error) advice() advice {
	a := e.said
	if !a.complete {
		a.read(e.Err, a.restart)
	}
	return a
}

// invalid reports whether an option or argument was invalid. A Reason that merely matches
// ErrInvalid, such as a cause of ctx that wraps it, does not count.
func (e *Error) invalid() bool {
	v, ok := e.Reason.(*verdict)
	return ok && errors.Is(v, ErrInvalid)
}

// advise updates a with what e, the error of a nested call, says to the outer call.
// restarted reports whether a Restart marker wraps e.
func (e *Error) advise(a *advice, restarted bool) {
	said := e.advice()
	gaveUp := said.gaveUp
	switch e.Reason {
	case ErrBudget:
		gaveUp = true
	case ErrExhausted:
		gaveUp = gaveUp || e.Attempts > 1
	case ErrMaxElapsed, ErrDeadline:
		gaveUp = gaveUp || e.Attempts > 1 && said.after == 0
	}
	a.after = max(a.after, said.after)
	a.permanent = a.permanent || said.permanent || e.invalid()
	a.gaveUp = a.gaveUp || gaveUp
	a.final = a.final || gaveUp && !restarted
}

// ended returns nil if ctx is not done, and otherwise an error that matches ctx.Err() and
// context.Cause(ctx).
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || (err == context.Canceled || err == context.DeadlineExceeded) && err == cause {
		return err
	}
	return &ctxError{err, cause} // even if err equals cause, because comparing them may panic
}

// A ctxError is the error of a context that is done, together with its cause.
type ctxError struct{ err, cause error }

func (e *ctxError) Unwrap() []error { return []error{e.err, e.cause} }

func (e *ctxError) Error() string {
	err, cause := e.err.Error(), e.cause.Error()
	if err == cause {
		return err
	}
	return err + ": " + cause
}

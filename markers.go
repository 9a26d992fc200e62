package retry

import (
	"errors"
	"time"
)

// Permanent marks err as not worth another attempt: [Do] gives up with
// [ErrNotRetryable], whatever [WithRetryIf] says. Permanent(nil) is nil.
//
// The marker works at any depth of the error that fn returns, in errors.Join and
// behind %w. Do takes it off again where it is outermost, so that errors.Unwrap
// of Do's error, and Event.Err, are err itself. It speaks to the Do that fn
// returned it to; an outer Do sees only what the inner one made of it.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// After marks err with a pushback: what a server asked for in Retry-After. The
// wait before the next attempt is d plus the usual backoff with jitter, so that
// clients told the same time do not return together, and never less than d. A sum
// beyond the largest Duration is that. A negative d counts as 0. After(nil, d) is
// nil.
//
// Any error with a method RetryAfter() time.Duration does the same, at any depth
// of the error that fn returns; of several the longest counts. An error may be
// retried or not, whether it has a pushback or not. Only ctx's deadline and
// [WithMaxElapsed] bound the wait: past them, Do gives up at once. The marker is
// taken off like that of [Permanent].
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &afterError{err, d}
}

type afterError struct {
	err error
	d   time.Duration
}

func (e *afterError) Error() string             { return e.err.Error() }
func (e *afterError) Unwrap() error             { return e.err }
func (e *afterError) RetryAfter() time.Duration { return e.d }

// unmark takes the markers at the outside of err off.
func unmark(err error) error {
	for {
		switch e := err.(type) {
		case *permanentError:
			err = e.err
		case *afterError:
			err = e.err
		default:
			return err
		}
	}
}

// An advice is what the tree of an error says about retrying it.
type advice struct {
	permanent bool          // there is a Permanent
	final     bool          // an inner Do gave up, and not because its ctx ended
	pushback  time.Duration // the longest that was asked for
}

func (a *advice) read(err error) {
	if isNil(err) {
		return // also a nil pointer, the classic slip, whose methods would panic
	}
	switch e := err.(type) {
	case *Error:
		// The inner verdict counts; what the markers below it said has been
		// dealt with by the Do that they spoke to.
		var inner advice
		inner.read(e.Reason)
		a.final = a.final || inner.final
		return
	case *verdict:
		a.final = true
		return
	case *permanentError:
		a.permanent = true
		a.read(e.err)
		return
	}
	if e, ok := err.(interface{ RetryAfter() time.Duration }); ok {
		a.pushback = max(a.pushback, e.RetryAfter())
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		a.read(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			a.read(err)
		}
	}
}

// Is returns a predicate for [WithRetryIf] that holds for the errors that match
// any of targets, as errors.Is does. With no targets it holds for none.
func Is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, target := range targets {
			if is(err, target) {
				return true
			}
		}
		return false
	}
}

// As returns a predicate for [WithRetryIf] that holds for the errors in whose
// tree errors.As finds an E, as in As[*net.OpError]().
func As[E error]() func(error) bool {
	return func(err error) bool {
		_, ok := errors.AsType[E](err)
		return ok
	}
}

package retry

import (
	"errors"
	"slices"
	"time"
)

// Permanent returns an error that wraps err and tells [Do] not to retry it. Do then
// returns [ErrNotRetryable], whatever [WithRetryIf] says. Permanent(nil) returns nil.
//
// The marker works anywhere in the tree of the error that fn returns, for example
// behind %w or in errors.Join. If it is outermost, Do removes it, so that [Error].Err and
// Event.Err are err itself. An error that is permanent for a nested call is also permanent
// for the outer one.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &marker{err: err, permanent: true}
}

// After returns an error that wraps err and tells [Do] to wait at least d before the
// next attempt, because a server asked for that delay, for example with a Retry-After
// header (see [ParseRetryAfter]). A negative d counts as 0. After(nil, d) returns nil.
//
// The wait is d plus jitter, so that clients that were told the same delay do not return
// together. The ceiling of the jitter is the backoff's, but at least half of d. If ctx's
// deadline or [WithMaxElapsed] leaves less than d after the delay, half of that time is
// enough, so that the jitter does not make Do give up.
// Do never waits less than d: if d exceeds [WithMaxRetryAfter], 1 minute by default, or
// the wait would exceed the other limits, Do returns at once. [Error.RetryAfter] then
// returns the delay, so that the caller can try again later.
//
// Any error with a method RetryAfter() time.Duration has the same effect as the marker.
// Both work anywhere in the tree of the error that fn returns; if there are several, the
// longest delay applies. If the sum overflows, the wait is the maximum Duration. After
// does not affect whether err is retried. Do removes the marker if it is outermost.
//
// After is for a delay that a server asked for. A delay that the program chooses itself
// belongs in the [Backoff]; with After, it needs a WithMaxRetryAfter above it.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &marker{err: err, after: max(d, 0)}
}

// Restart returns an error that wraps err and tells [Do] that the attempt made real
// progress before it failed, like a session that was up for an hour. The attempt then
// counts as the first: [Backoff] and [WithMaxAttempts] count from it, and the time of
// [WithMaxElapsed] starts when it ended. For a [Budget], the
// attempt was a success. Restart(nil) returns nil.
//
// A function that marks every failure is retried without limit, so test what the attempt
// achieved:
//
//	if time.Since(start) > time.Minute {
//		err = retry.Restart(err)
//	}
//
// The deadline of ctx, [WithRetryIf], and [Permanent] apply as usual. The numbers in
// [Error] and [Event] do not start again. The marker works anywhere in the tree of the
// error that fn returns, except inside the error of a nested call; if it wraps the error
// of a nested call that gave up, Do retries that error. Do removes the marker if it is
// outermost.
func Restart(err error) error {
	if err == nil {
		return nil
	}
	return &marker{err: err, restart: true}
}

// A marker is what Permanent, After, and Restart return.
type marker struct {
	err       error
	after     time.Duration
	permanent bool
	restart   bool
}

func (m *marker) Error() string { return m.err.Error() }
func (m *marker) Unwrap() error { return m.err }

// An advice is what the tree of an error says about retrying it.
type advice struct {
	after     time.Duration // the longest delay that was asked for
	permanent bool          // it is marked with Permanent, or was permanent for a nested call
	restart   bool          // it is marked with Restart
	gaveUp    bool          // a nested call gave up, and no Restart is above it
	complete  bool          // all of the tree was read
}

// unmark adds what the outermost markers of err say, and returns err without them.
func (a *advice) unmark(err error) error {
	for {
		m, ok := err.(*marker)
		if !ok {
			return err
		}
		a.add(m)
		err = m.err
	}
}

func (a *advice) add(m *marker) {
	a.after = max(a.after, m.after)
	a.permanent = a.permanent || m.permanent
	a.restart = a.restart || m.restart
}

// read adds what the tree of err says. It does not recurse along a chain of wrapped
// errors, which may be long. Restarted tells whether a Restart is above err.
func (a *advice) read(err error, restarted bool) {
	for {
		switch e := err.(type) {
		case *marker:
			a.add(e)
			restarted = restarted || e.restart
			err = e.err
		case *Error:
			e.advise(a, restarted)
			return
		case interface{ Unwrap() error }:
			a.ask(err)
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			a.ask(err)
			for _, err := range e.Unwrap() {
				a.read(err, restarted)
			}
			return
		case interface{ RetryAfter() time.Duration }:
			a.after = max(a.after, e.RetryAfter())
			return
		default:
			return
		}
	}
}

// ask adds what err says by a method.
func (a *advice) ask(err error) {
	if e, ok := err.(interface{ RetryAfter() time.Duration }); ok {
		a.after = max(a.after, e.RetryAfter())
	}
}

// Is returns a predicate for [WithRetryIf] that reports whether an error matches any of
// targets, as errors.Is does. With no targets, it always returns false.
func Is(targets ...error) func(error) bool {
	few, more := copyOf(targets)
	return func(err error) bool {
		for _, target := range few {
			if target != nil && errors.Is(err, target) {
				return true
			}
		}
		for _, target := range more {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
}

// copyOf returns a copy of targets, which needs no allocation if they are few.
func copyOf(targets []error) (few [4]error, more []error) {
	n := copy(few[:], targets)
	return few, slices.Clone(targets[n:])
}

// As returns a predicate for [WithRetryIf] that reports whether errors.As finds an error
// of type E, as in As[*net.OpError]().
func As[E error]() func(error) bool {
	return func(err error) bool {
		_, ok := errors.AsType[E](err)
		return ok
	}
}

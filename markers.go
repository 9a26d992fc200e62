package retry

import (
	"errors"
	"slices"
	"time"
)

// Permanent returns an error that wraps err and tells [Do] not to retry it. Do then
// returns [ErrNotRetryable], regardless of [WithRetryIf]. Permanent(nil) returns nil.
//
// This marker works anywhere in the tree of the error that fn returns, for example
// wrapped with %w or joined with errors.Join. If the marker is outermost, Do removes it,
// so that [Error].Err and Event.Err are err itself. If the last error of a nested call is
// marked with Permanent, or the nested call returns [ErrInvalid], its error is also
// permanent for the outer call.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &marker{err: err, permanent: true}
}

// After returns an error that wraps err and tells [Do] to wait at least d before the next
// attempt. Use After if a server asked for this delay, for example with a Retry-After
// header (see [ParseRetryAfter]). A negative d is treated as 0. After(nil, d) returns
// nil.
//
// The wait is d plus jitter, so that clients that were given the same delay do not all
// retry at the same time. The ceiling of the jitter is the ceiling of the [Backoff] or
// half of d, whichever is higher. If less than d would be left between the end of the
// delay and ctx's deadline or the limit of [WithMaxElapsed], Do uses half of the time
// left instead of half of d, so that this half does not make Do stop.
//
// Do never retries before d has passed. If d exceeds the limit of [WithMaxRetryAfter],
// which is 1 minute by default, or if the wait would not end before ctx's deadline or the
// limit of WithMaxElapsed, Do returns immediately. [Error.RetryAfter] then returns d, so
// that the caller can try again later.
//
// Any error with a method RetryAfter() time.Duration has the same effect as this marker.
// The marker and the method work anywhere in the tree of the error that fn returns. If
// there are several delays, the longest one applies. After does not make err retryable.
// If the marker is outermost, Do removes it.
//
// If the program itself chooses the delay, use a Backoff instead of After, because Do
// does not retry if the delay of After exceeds the limit of WithMaxRetryAfter.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &marker{err: err, after: d}
}

// Restart returns an error that wraps err and tells [Do] that the attempt made progress
// before it failed, for example because a session was open for an hour. Do then treats
// the attempt as the first one: the [Backoff] and [WithMaxAttempts] count from this
// attempt, the time of [WithMaxElapsed] starts at the end of this attempt, and a
// [Budget] counts this attempt as a success. Restart(nil) returns nil.
//
// If fn marks every error with Restart, Do may retry forever. Mark an error only if the
// attempt achieved something:
//
//	if time.Since(start) > time.Minute {
//		err = retry.Restart(err)
//	}
//
// [WithRetryIf], [WithMaxRetryAfter], [Permanent], and the deadline of ctx still apply.
// The numbers in [Error] and [Event] are not reset. This marker works anywhere in the
// tree of the error that fn returns, except inside the error of a nested call. If the
// marker wraps the error of a nested call that gave up, Do treats that error like any
// other. If the marker is outermost, Do removes it.
func Restart(err error) error {
	if err == nil {
		return nil
	}
	return &marker{err: err, restart: true}
}

// A marker is the error that Permanent, After, and Restart return.
type marker struct {
	err       error
	after     time.Duration
	permanent bool
	restart   bool
}

func (m *marker) Error() string { return m.err.Error() }
func (m *marker) Unwrap() error { return m.err }

// advice is what the tree of an error says about retrying it.
type advice struct {
	after     time.Duration // the longest delay that the tree asks for
	permanent bool          // whether it is marked with Permanent, or was permanent for a nested call
	restart   bool          // whether it is marked with Restart
	gaveUp    bool          // whether a nested call gave up
	final     bool          // whether a nested call gave up and no Restart marker wraps its error
	complete  bool          // whether all of the tree was read
}

// unmark updates a with what the outermost markers of err say, and returns err without
// them.
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

// read updates a with what the tree of err says. Because a chain of wrapped errors may
// be long, read does not recurse along it. restarted reports whether a Restart marker
// wraps err.
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

// ask updates a with the delay that the RetryAfter method of err returns, if err has
// one.
func (a *advice) ask(err error) {
	if e, ok := err.(interface{ RetryAfter() time.Duration }); ok {
		a.after = max(a.after, e.RetryAfter())
	}
}

// Is returns a predicate for [WithRetryIf] that reports whether an error matches any of
// targets, according to errors.Is. Without targets, the predicate always returns false.
func Is(targets ...error) func(error) bool {
	return targetsOf(targets).match
}

// As returns a predicate for [WithRetryIf] that reports whether errors.As finds an
// error of type E. For example, the predicate As[*net.OpError]() returns true for most
// errors of package net.
func As[E error]() func(error) bool {
	return func(err error) bool {
		_, ok := errors.AsType[E](err)
		return ok
	}
}

// targets holds the arguments of Is.
type targets struct {
	few  [4]error // needs no allocation; nil where there is no argument
	more []error
}

// targetsOf returns a copy of errs.
func targetsOf(errs []error) (t targets) {
	n := copy(t.few[:], errs)
	t.more = slices.Clone(errs[n:])
	return t
}

func (t targets) match(err error) bool {
	match := func(target error) bool { return target != nil && errors.Is(err, target) }
	return slices.ContainsFunc(t.few[:], match) || slices.ContainsFunc(t.more, match)
}

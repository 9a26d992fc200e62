package retry

import (
	"errors"
	"math"
	"strings"
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
// clients told the same time do not return together, and never less than d. A
// negative d counts as 0. After(nil, d) is nil.
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
	switch e := err.(type) {
	case nil:
		return
	case *Error:
		// The inner verdict counts; what the markers below it said has been
		// dealt with by the Do that they spoke to.
		if e != nil {
			var inner advice
			inner.read(e.Reason)
			a.final = a.final || inner.final
		}
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

// ParseRetryAfter reads the value of a Retry-After header field as RFC 9110
// §10.2.3 defines it, for [After]: how long to wait from now on, never negative.
//
// The value is a number of seconds, one or more digits, that saturates at the
// largest Duration; or an HTTP date (§5.6.7) in one of its three forms, in GMT: a
// date not after now gives 0, and a year of two digits that would lie more than
// 50 years ahead is taken for one in the past. The name of the day is not held
// against the date. Anything else, spaces around the value too, is not ok.
func ParseRetryAfter(value string, now time.Time) (d time.Duration, ok bool) {
	if value != "" && strings.Trim(value, "0123456789") == "" {
		return parseSeconds(value), true
	}
	// A leap second is well formed, but not for time.Parse.
	var leap time.Duration
	if before, after, found := strings.Cut(value, "23:59:60"); found {
		value, leap = before+"23:59:59"+after, time.Second
	}
	at, ok := parseHTTPDate(value, now.UTC().AddDate(50, 0, 0).Add(-leap))
	if !ok {
		return 0, false
	}
	return max(at.Add(leap).Sub(now), 0), true
}

// parseSeconds reads digits.
func parseSeconds(digits string) time.Duration {
	var seconds time.Duration
	for _, digit := range digits {
		seconds = seconds*10 + time.Duration(digit-'0')
		if seconds > math.MaxInt64/time.Second {
			return math.MaxInt64
		}
	}
	return seconds * time.Second
}

// parseHTTPDate reads the three forms of a date. A year of two digits is the last
// that is not beyond horizon.
func parseHTTPDate(value string, horizon time.Time) (time.Time, bool) {
	name, rest, _ := strings.Cut(value, " ")
	for day := time.Sunday; day <= time.Saturday; day++ {
		long, short := day.String(), day.String()[:3]
		switch name {
		case short + ",":
			return parseExactly("02 Jan 2006 15:04:05 GMT", rest)
		case long + ",":
			t, ok := parseExactly("02-Jan-06 15:04:05 GMT", rest)
			if !ok {
				return t, false
			}
			return latestCentury(t, horizon)
		case short:
			if t, ok := parseExactly("Jan _2 15:04:05 2006", rest); ok {
				return t, true
			}
			return parseExactly("Jan 02 15:04:05 2006", rest)
		}
	}
	return time.Time{}, false
}

// parseExactly is time.Parse without its leniency on case, width and fractions
// of a second.
func parseExactly(layout, value string) (time.Time, bool) {
	t, err := time.Parse(layout, value)
	return t, err == nil && t.Format(layout) == value
}

// latestCentury moves t to the last year with the same two digits in which it is
// not beyond horizon. It is not ok if that year has no such day.
func latestCentury(t, horizon time.Time) (time.Time, bool) {
	years := (horizon.Year()-t.Year()%100)/100*100 + t.Year()%100 - t.Year()
	moved := t.AddDate(years, 0, 0)
	if moved.After(horizon) {
		moved = t.AddDate(years-100, 0, 0)
	}
	return moved, moved.Day() == t.Day()
}

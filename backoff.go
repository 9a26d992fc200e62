package retry

import (
	"math"
	"strconv"
	"time"
)

// A Backoff limits the wait before a retry. Delay returns the ceiling of the wait
// after failed attempt n, counted from 1 and from 1 again after a [Restart]; the
// [Jitter] draws the wait from it. A negative result counts as 0.
//
// Delay must depend only on attempt and be safe for concurrent use, because a
// Backoff is shared by all calls that use it.
type Backoff interface {
	Delay(attempt int) time.Duration
}

// BackoffFunc is an adapter that makes a function a [Backoff], for schedules that
// [Exponential] and [Constant] cannot express, such as a list of delays. Passing a
// nil BackoffFunc to [WithBackoff] is [ErrInvalid].
type BackoffFunc func(attempt int) time.Duration

// Delay returns f(attempt).
func (f BackoffFunc) Delay(attempt int) time.Duration { return f(attempt) }

// Constant returns a [Backoff] whose ceiling is d after every attempt. With the
// default jitter, the waits are still random, between 0 and d; for a fixed wait, add
// WithJitter(NoJitter). Constant(0) retries without waiting. A negative d counts as 0.
func Constant(d time.Duration) Backoff { return constant(d) }

type constant time.Duration

func (d constant) Delay(int) time.Duration { return time.Duration(d) }

// Exponential is the [Backoff] min(Max, Base × Factor^(n-1)) for failed attempt n.
// The zero value is the default of [Do]: ceilings of 250ms, 500ms, 1s, 2s, 4s, and
// then 8s.
//
// The first ceiling is Base, or Max if that is less. The result lies between 0 and
// Max and never falls as n grows; it does not overflow. If n is less than 1, it
// counts as 1. The cap applies before the jitter, so waits remain random once it is
// reached. The arithmetic is exact for a Factor of 2; otherwise it uses float64 and
// truncates to whole nanoseconds.
//
// Because a zero field means its default, write Constant(0) for no wait and
// Max: math.MaxInt64 for no cap. A negative Base or Max, or a Factor that is less
// than 1, NaN, or infinite, is [ErrInvalid].
type Exponential struct {
	Base   time.Duration // ceiling after the first attempt; zero means 250ms
	Max    time.Duration // upper bound of every ceiling; zero means 8s
	Factor float64       // growth from one ceiling to the next; zero means 2
}

var defaultDelay = Exponential{}.Delay

// Delay returns the ceiling of the wait after failed attempt n, from 1.
func (e Exponential) Delay(attempt int) time.Duration {
	// WithBackoff rejects negative fields, but Delay can be called without it.
	base, limit := max(or(e.Base, 250*time.Millisecond), 0), max(or(e.Max, 8*time.Second), 0)
	factor, steps := or(e.Factor, 2), max(attempt, 1)-1
	switch {
	case steps == 0 || !(factor > 1):
		return min(base, limit)
	case factor == 2:
		if base > limit>>steps {
			return limit
		}
		return base << steps
	}
	d := float64(base) * math.Pow(factor, float64(steps))
	if !(d < float64(limit)) {
		return limit
	}
	return time.Duration(d)
}

// invalidBackoff returns an invalid option if b is invalid, else nil.
func invalidBackoff(b Backoff) *policy {
	var e Exponential
	switch b := b.(type) {
	case Exponential:
		e = b
	case *Exponential:
		if b == nil {
			return invalidOption("WithBackoff((*Exponential)(nil)): must not be nil")
		}
		e = *b
	case BackoffFunc:
		if b == nil {
			return invalidOption("WithBackoff(BackoffFunc(nil)): must not be nil")
		}
	case nil:
		return invalidOption("WithBackoff(nil): must not be nil")
	}
	switch {
	case e.Base < 0:
		return invalidOption("WithBackoff(Exponential{Base: " + e.Base.String() + "}): must not be negative")
	case e.Max < 0:
		return invalidOption("WithBackoff(Exponential{Max: " + e.Max.String() + "}): must not be negative")
	case e.Factor != 0 && !(e.Factor >= 1 && e.Factor <= math.MaxFloat64):
		return invalidOption("WithBackoff(Exponential{Factor: " + strconv.FormatFloat(e.Factor, 'g', -1, 64) + "}): must be a finite number of at least 1")
	}
	return nil
}

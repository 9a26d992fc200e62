package retry

import (
	"math"
	"strconv"
	"time"
)

// A Backoff determines the ceiling of the wait before each retry. Delay returns the
// ceiling after the given failed attempt, and the [Jitter] chooses a wait up to the
// ceiling. Attempts are counted from 1. An attempt whose error is marked with [Restart]
// counts as attempt 1. If Delay returns a negative ceiling, Do uses 0.
//
// Delay must depend only on its argument and be safe for concurrent use, because
// concurrent calls may share a Backoff.
type Backoff interface {
	Delay(attempt int) time.Duration
}

// A BackoffFunc is a function that is used as a [Backoff], for schedules that
// [Exponential] and [Constant] cannot express, such as a list of delays. If a nil
// BackoffFunc is passed to [WithBackoff], Do returns [ErrInvalid].
type BackoffFunc func(attempt int) time.Duration

// Delay returns f(attempt).
func (f BackoffFunc) Delay(attempt int) time.Duration { return f(attempt) }

// Constant returns a [Backoff] whose ceiling is d after every attempt. With the default
// jitter, the waits are still random, between 0 and d. To wait for exactly d, add
// WithJitter(NoJitter). To retry without waiting, use Constant(0). A negative d is
// treated as 0.
func Constant(d time.Duration) Backoff { return constant(d) }

type constant time.Duration

func (d constant) Delay(int) time.Duration { return time.Duration(d) }

// Exponential is a [Backoff] whose ceiling grows exponentially: after failed attempt n,
// the ceiling is min(Max, Base × Factor^(n-1)). The zero value is the default of [Do] and
// has the ceilings 250ms, 500ms, 1s, 2s, 4s, and then 8s.
//
// As n grows, the ceiling never decreases and never overflows. An n less than 1 is
// treated as 1. Max applies before the jitter, so the waits remain random after the
// ceiling has reached Max. The arithmetic is exact if Factor is 1 or 2. For other
// factors, it uses float64 and truncates to whole nanoseconds.
//
// If a field is zero, its default applies. To retry without waiting, use Constant(0)
// instead of Exponential. To remove the upper bound, set Max to math.MaxInt64. If Base or
// Max is negative, or if a nonzero Factor is less than 1, NaN, or infinite, Do returns
// [ErrInvalid].
type Exponential struct {
	Base   time.Duration // ceiling after the first attempt; zero means 250ms
	Max    time.Duration // largest ceiling; zero means 8s
	Factor float64       // growth from one ceiling to the next; zero means 2
}

var defaultDelay = Exponential{}.Delay

// Delay returns the ceiling of the wait after the given failed attempt, counted from 1.
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

// invalidBackoff returns nil if b is valid, and an invalid option otherwise.
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
		return invalidOption("WithBackoff(Exponential{Factor: " + strconv.FormatFloat(e.Factor, 'g', -1, 64) + "}): must be finite and at least 1")
	}
	return nil
}

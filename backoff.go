package retry

import (
	"math"
	"strconv"
	"time"
)

// A Backoff says how long to wait before a retry, before jitter is applied:
// Delay returns the ceiling of the wait that follows failed attempt n, with n
// counted from 1. A negative Delay counts as 0.
//
// Delay must depend on nothing but attempt, keep no state between calls, and be
// safe for concurrent use: one Backoff serves every call that names it. A panic
// in Delay propagates to the caller of [Do].
type Backoff interface {
	Delay(attempt int) time.Duration
}

// BackoffFunc turns a function into a [Backoff], for schedules that [Exponential]
// and [Constant] do not cover. A nil BackoffFunc makes [Do] fail with
// [ErrInvalid].
type BackoffFunc func(attempt int) time.Duration

// Delay returns f(attempt).
func (f BackoffFunc) Delay(attempt int) time.Duration { return f(attempt) }

// Constant returns a [Backoff] whose ceiling is d after every attempt. With the
// default jitter the waits are still random, between 0 and d; add
// WithJitter(NoJitter) for a fixed pause. A d below 0 counts as 0.
func Constant(d time.Duration) Backoff { return constant(d) }

type constant time.Duration

func (d constant) Delay(int) time.Duration { return time.Duration(d) }

// The values that a zero field of [Exponential] stands for.
const (
	defaultBase   = 250 * time.Millisecond
	defaultMax    = 8 * time.Second
	defaultFactor = 2
)

// Exponential is the [Backoff] min(Max, Base × Factor^(n-1)) for failed attempt
// n. The zero value is the default of [Do]: ceilings of 250ms, 500ms, 1s, 2s,
// 4s, and 8s from there on.
//
// The result never overflows, lies in [0, Max], and never falls as n grows, for
// every n up to math.MaxInt; an n below 1 counts as 1. The first ceiling is Base
// exactly, or Max if that is less. With Factor 2 the arithmetic is exact; with
// any other it is that of float64, cut off to whole nanoseconds. Max bounds the
// ceiling, not the draw: waits at the cap stay as spread as all others.
//
// A negative Base or Max, or a Factor that is below 1, NaN or infinite, makes
// [Do] fail with [ErrInvalid]. The type is a plain value and may be shared.
type Exponential struct {
	Base   time.Duration // ceiling after the first attempt; zero means 250ms
	Max    time.Duration // upper bound of every ceiling; zero means 8s
	Factor float64       // growth from one ceiling to the next; zero means 2
}

// Delay returns the ceiling of the wait after failed attempt n, from 1.
func (e Exponential) Delay(attempt int) time.Duration {
	e = e.withDefaults()
	// Do refuses the values that are clamped here. A direct call, or one from
	// a Backoff built on this one, gets a harmless ceiling instead of garbage.
	base, limit := max(e.Base, 0), max(e.Max, 0)
	doublings := max(attempt, 1) - 1
	switch {
	case doublings == 0 || !(e.Factor > 1):
		return min(base, limit)
	case e.Factor == 2:
		if base > limit>>doublings {
			return limit
		}
		return base << doublings
	}
	d := float64(base) * power(e.Factor, doublings)
	if !(d < float64(limit)) {
		return limit
	}
	return time.Duration(d)
}

// power returns f^n for f > 1 and n ≥ 0. Unlike math.Pow it never falls as n
// grows, however close f is to 1: by induction over the bits of n, a product of
// rounded factors is monotone in its lower bits, and square is kept at no less
// than all lower bits together can give.
func power(f float64, n int) float64 {
	result, lower, square := 1.0, 1.0, f
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result *= square
		}
		lower *= square
		square = max(square*square, lower)
	}
	return result
}

func (e Exponential) withDefaults() Exponential {
	if e.Base == 0 {
		e.Base = defaultBase
	}
	if e.Max == 0 {
		e.Max = defaultMax
	}
	if e.Factor == 0 {
		e.Factor = defaultFactor
	}
	return e
}

// invalid returns the first invalid field and what is wanted of it, or "".
func (e Exponential) invalid() (field, want string) {
	switch e = e.withDefaults(); {
	case e.Base < 0:
		return "Base: " + e.Base.String(), "0 or more"
	case e.Max < 0:
		return "Max: " + e.Max.String(), "0 or more"
	case !(e.Factor >= 1) || math.IsInf(e.Factor, 1):
		return "Factor: " + strconv.FormatFloat(e.Factor, 'g', -1, 64), "a number of 1 or more"
	}
	return "", ""
}

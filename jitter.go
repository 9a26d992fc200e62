package retry

import (
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"
)

// A Jitter returns a random wait for the given ceiling. [Do] never passes a negative
// ceiling or a nil r. A Jitter must use r as its only source of randomness, so that
// [WithSource] can make the waits reproducible, and must not retain r. A negative wait
// is treated as 0. A wait above the ceiling is used unchanged. If an error asks for a
// delay (see [After]), Do adds the wait to the delay, and the ceiling may be higher
// than the ceiling of the [Backoff]. A Jitter must be safe for concurrent use.
//
// Jitter spreads out clients that failed at the same moment, so that they do not collide
// again when they retry. See Brooker, "Exponential Backoff And Jitter", AWS Architecture
// Blog, 2015.
type Jitter func(ceiling time.Duration, r *rand.Rand) time.Duration

// FullJitter returns a wait drawn uniformly from [0, ceiling], in whole nanoseconds. It
// is the default [Jitter] of [Do]. In simulations, colliding clients make about as many
// calls with FullJitter as with [EqualJitter], but finish sooner (see examples/herd). If
// ceiling is 0 or less, FullJitter returns 0. If r is nil, it uses the default source of
// math/rand/v2.
func FullJitter(ceiling time.Duration, r *rand.Rand) time.Duration {
	if ceiling <= 0 {
		return 0
	}
	if r == nil {
		r = runtimeRand
	}
	return time.Duration(uniform(uint64(ceiling)+1, r)) // unsigned because it may be 1<<63
}

// uniform returns a number drawn from [0, n) without bias, by Lemire's multiplication
// with rejection. Unlike r.Uint64N, uniform returns even if the source always returns the
// same number, as a source in a test may. The probability that all 64 numbers are
// rejected is at most 2^-64.
func uniform(n uint64, r *rand.Rand) (hi uint64) {
	for range 64 {
		var lo uint64
		hi, lo = bits.Mul64(r.Uint64(), n)
		if lo >= n || lo >= -n%n { // the first comparison nearly always avoids the division
			break
		}
	}
	return hi
}

// EqualJitter returns a wait drawn uniformly from [ceiling/2, ceiling], in whole
// nanoseconds, with the lower end rounded down. On average, the wait is longer than with
// [FullJitter]. If ceiling is 0 or less, EqualJitter returns 0. If r is nil, it uses the
// default source of math/rand/v2.
func EqualJitter(ceiling time.Duration, r *rand.Rand) time.Duration {
	half := max(ceiling, 0) / 2
	return half + FullJitter(ceiling-half, r)
}

// NoJitter returns ceiling, or 0 if ceiling is negative. With NoJitter, clients that fail
// at the same time also retry at the same time, so use it only in tests or for a single
// polling client. If an error asks for a delay, the wait is longer than the delay,
// because Do adds the ceiling that [After] describes.
func NoJitter(ceiling time.Duration, _ *rand.Rand) time.Duration {
	return max(ceiling, 0)
}

// runtimeRand draws from the default source of math/rand/v2. It is safe for concurrent
// use because a Rand has no state other than its source, and this source is safe for
// concurrent use.
var runtimeRand = rand.New(runtimeSource{})

type runtimeSource struct{}

func (runtimeSource) Uint64() uint64 { return rand.Uint64() }

// sourceMu guards every source that is passed to WithSource. All sources share one lock
// because concurrent calls may have different options with the same source.
var sourceMu sync.Mutex

type lockedSource struct{ src rand.Source }

func (l lockedSource) Uint64() uint64 {
	sourceMu.Lock()
	defer sourceMu.Unlock() // src may panic
	return l.src.Uint64()
}

package retry

import (
	"math/bits"
	"math/rand/v2"
	"sync"
	"time"
)

// A Jitter returns a random wait for the given ceiling, which is never negative. It must
// use r as its only source of randomness, so that the waits can be reproduced with
// [WithSource], and must not keep r. A negative result counts as 0; a result above the
// ceiling is used as it is. If an error asks for a delay (see [After]), the result is
// added to the delay, and the ceiling may be higher than the [Backoff]'s. A Jitter must be
// safe for concurrent use.
//
// Jitter spreads out clients that failed at the same moment, so that they do not collide
// again when they retry: see Brooker, "Exponential Backoff And Jitter", AWS Architecture
// Blog, 2015.
type Jitter func(ceiling time.Duration, r *rand.Rand) time.Duration

// FullJitter returns a wait drawn uniformly from [0, ceiling], in whole nanoseconds. It
// is the default. In simulation, colliding clients need about as many calls as with
// [EqualJitter] but finish sooner (see examples/herd). If ceiling is 0 or less, the
// result is 0. If r is nil, FullJitter uses the runtime's generator.
func FullJitter(ceiling time.Duration, r *rand.Rand) time.Duration {
	if ceiling <= 0 {
		return 0
	}
	if r == nil {
		r = runtimeRand
	}
	return time.Duration(uniform(uint64(ceiling)+1, r)) // unsigned: it may be 1<<63
}

// uniform returns a number drawn from [0, n) without bias, by Lemire's multiplication
// with rejection. r.Uint64N does the same but does not return if a Source always
// returns the same number, as one in a test may. The probability that all 64 numbers
// are rejected is at most 2^-64.
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
// nanoseconds, with the lower end rounded down. It never waits less than half the
// ceiling, at the cost of longer waits on average. If ceiling is 0 or less, the result
// is 0. If r is nil, EqualJitter uses the runtime's generator.
func EqualJitter(ceiling time.Duration, r *rand.Rand) time.Duration {
	half := max(ceiling, 0) / 2
	return half + FullJitter(ceiling-half, r)
}

// NoJitter returns the ceiling, or 0 if that is negative. Clients that fail together
// then retry together, so use it only in tests or for a single polling client. If an
// error asks for a delay (see [After]), NoJitter adds the greater of the backoff and half
// of the delay, or half of the time left after the delay if that is less.
func NoJitter(ceiling time.Duration, _ *rand.Rand) time.Duration {
	return max(ceiling, 0)
}

// runtimeRand draws from the runtime's generator. It is safe for concurrent use because
// a Rand has no state but its source, and this source is safe.
var runtimeRand = rand.New(runtimeSource{})

type runtimeSource struct{}

func (runtimeSource) Uint64() uint64 { return rand.Uint64() }

// sourceMu guards every injected source. There is one lock for all because the same
// Source may be passed to WithSource more than once, by concurrent calls.
var sourceMu sync.Mutex

type lockedSource struct{ src rand.Source }

func (l lockedSource) Uint64() uint64 {
	sourceMu.Lock()
	defer sourceMu.Unlock() // src may panic
	return l.src.Uint64()
}

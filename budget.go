package retry

import (
	"math"
	"strconv"
	"sync/atomic"
)

// A Budget limits the retries of all calls that share it, so that retries do not
// multiply the load on a failing service. It is a token bucket that starts full: each
// retry takes one token, each success deposits ratio tokens, and a retry that succeeds
// also returns its own. If less than one token is left, [Do] returns [ErrBudget] at
// once, without waiting. At every instant,
//
//	retries that failed or are under way ≤ capacity + ratio × successes
//
// with the ratio as [NewBudget] rounds it. An attempt whose error is marked with
// [Restart] counts as a success. First attempts are never charged, and retries that
// succeed are not limited, so a service that fails every first attempt is called twice
// per call. A token is returned if its retry does not start. If nested
// calls share a Budget, each success counts separately. The Budget is refilled by
// successes only, not by time.
//
// Create one Budget for each dependency, not for each call, and pass it to the calls
// with [WithBudget]. A call holds the token from before the wait, so capacity should be
// about the number of calls that a short fault can hit at once. In a longer outage, the
// Budget limits the load to at most
//
//	1 + capacity × processes ÷ calls
//
// times normal, where calls is the number of calls that all processes make during the
// outage. To hold back first attempts too, use a circuit breaker inside fn; it
// complements the Budget.
//
// A Budget is lock-free and safe for concurrent use. It must not be copied. The zero
// Budget is valid and permits no retries. Similar mechanisms are the retry throttling
// of gRPC (A6) and the retry quota of the AWS SDKs.
type Budget struct {
	tokens   atomic.Int64 // in thousandths, from 0 to capacity
	capacity int64        // in thousandths
	ratio    int64        // in thousandths
	invalid  string       // what is wrong with the arguments of NewBudget
}

const token = 1000 // thousandths

// NewBudget returns a full [Budget] that holds at most capacity tokens, the number of
// retries that can be made in a burst. Each success deposits ratio tokens, rounded to
// the nearest thousandth: with 0.1, ten successes permit one more retry. A ratio of 0
// is valid.
//
// If capacity is less than 1, or ratio is negative, NaN, or greater than capacity,
// every call that uses the Budget returns [ErrInvalid].
func NewBudget(capacity int, ratio float64) *Budget {
	if capacity < 1 || !(ratio >= 0 && ratio <= float64(capacity)) {
		return &Budget{invalid: "WithBudget(NewBudget(" + strconv.Itoa(capacity) + ", " +
			strconv.FormatFloat(ratio, 'g', -1, 64) + ")): must have a capacity of at least 1 and a ratio from 0 to the capacity"}
	}
	b := &Budget{capacity: math.MaxInt64}
	if int64(capacity) <= math.MaxInt64/token {
		b.capacity = int64(capacity) * token
	}
	b.ratio = b.capacity
	if r := math.Round(ratio * token); r < float64(b.capacity) {
		b.ratio = int64(r)
	}
	b.tokens.Store(b.capacity)
	return b
}

// Tokens returns the number of tokens that are left, from 0 to the capacity. It is meant
// for a gauge; other calls may change the number at any time.
func (b *Budget) Tokens() float64 { return float64(b.tokens.Load()) / token }

// withdraw takes one token, and reports whether there was one.
func (b *Budget) withdraw() bool {
	for {
		have := b.tokens.Load()
		if have < token {
			return false
		}
		if b.tokens.CompareAndSwap(have, have-token) {
			return true
		}
	}
}

// deposit adds thousandths of a token, from 0 to capacity, up to the capacity.
func (b *Budget) deposit(amount int64) {
	for {
		have := b.tokens.Load()
		// This comparison cannot overflow. A full bucket is not written to, so
		// that callers do not contend for its cache line while all goes well.
		next := b.capacity
		if have < b.capacity-amount {
			next = have + amount
		}
		if next == have || b.tokens.CompareAndSwap(have, next) {
			return
		}
	}
}

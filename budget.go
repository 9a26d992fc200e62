package retry

import (
	"math"
	"strconv"
	"sync/atomic"
)

// A Budget limits the retries of all calls that share it, so that an outage is
// not answered with a multiple of the usual load. It is a bucket of tokens that
// starts full: a retry takes one, a success puts ratio of one back, and where
// there is none left, [Do] gives up with [ErrBudget] at once, without a wait. At
// every instant
//
//	retries ≤ capacity + ratio × successes
//
// holds for the calls that share it, with the ratio as [NewBudget] rounds it. First
// attempts are never charged. A token goes back if the retry that it was taken for
// is not made. Of nested calls that share a Budget, each deposits for its own
// success.
//
// Make one for each dependency, not for each call, and hand it to the calls with
// [WithBudget]. The bucket counts in whole thousandths of a token, so it cannot
// drift. It is lock-free and safe for concurrent use; it must not be copied. The
// zero Budget is valid and permits no retries.
//
// gRPC A6 calls this retry throttling and the AWS SDKs a retry quota.
type Budget struct {
	tokens   atomic.Int64 // in thousandths, from 0 to capacity
	capacity int64        // in thousandths
	ratio    int64        // in thousandths
	invalid  string       // how it was made, if its arguments are invalid
}

const token = 1000 // thousandths

// NewBudget returns a full [Budget] of capacity tokens, the retries that may be
// made in a burst, to which every success returns ratio of a token, rounded to
// the nearest thousandth: with 0.1, one retry is allowed for ten successes.
//
// A capacity below 1, or a ratio that is negative, NaN or above capacity, makes
// every call that uses the Budget fail with [ErrInvalid]. A ratio of 0 is valid:
// the bucket is then never refilled.
func NewBudget(capacity int, ratio float64) *Budget {
	if capacity < 1 || !(ratio >= 0 && ratio <= float64(capacity)) {
		return &Budget{invalid: "NewBudget(" + strconv.Itoa(capacity) + ", " +
			strconv.FormatFloat(ratio, 'g', -1, 64) + ")"}
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

// Tokens returns how many tokens are left, from 0 to the capacity, in thousandths
// of a token: a gauge for a dashboard, out of date as soon as it is read.
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

// success deposits what a success returns.
func (b *Budget) success() { b.deposit(b.ratio) }

// deposit adds thousandths of a token, from 0 to capacity, up to the capacity.
func (b *Budget) deposit(amount int64) {
	for {
		have := b.tokens.Load()
		// Compared so that the sum cannot overflow. A full bucket is not
		// written to: while all goes well, the callers share a cache line
		// that nobody writes.
		next := b.capacity
		if have < b.capacity-amount {
			next = have + amount
		}
		if next == have || b.tokens.CompareAndSwap(have, next) {
			return
		}
	}
}

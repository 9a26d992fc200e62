package retry

import (
	"math"
	"strconv"
	"sync/atomic"
)

// A Budget limits the retries of all calls that share it, so that retries do not multiply
// the load on a failing service. A Budget is a token bucket that starts full. Each retry
// takes one token. Each success adds ratio tokens, usually a fraction of one (see
// [NewBudget]). A retry that succeeds also puts its own token back. If less than one
// token is left, [Do] returns [ErrBudget] immediately, without waiting. At all times,
//
//	retries that failed or are in flight ≤ capacity + ratio × successes
//
// where ratio is rounded as NewBudget describes. An attempt whose error is marked with
// [Restart] counts as a success. First attempts do not take a token. The number of
// retries that succeed is not limited, so if every first attempt fails and every retry
// succeeds, every call may send two requests. If a retry does not start, its token is put
// back. If nested calls share a Budget, the success of each call counts separately. A
// Budget is refilled only by successes, not by the passage of time.
//
// Create one Budget for each dependency, not for each call, and pass it to the calls with
// [WithBudget]. A call takes the token before it waits, so capacity should be about the
// number of calls that a short fault can affect at the same time. In a longer outage,
// if each process has its own Budget, the load is at most
//
//	1 + capacity × processes ÷ calls
//
// times normal, where calls is the number of calls that all processes make during the
// outage. A Budget does not limit first attempts. To limit first attempts, use a circuit
// breaker inside fn in addition to the Budget.
//
// A Budget is lock-free and safe for concurrent use. It must not be copied. The zero
// Budget is valid and permits no retries. The retry throttling of gRPC (A6) and the retry
// quota of the AWS SDKs are similar mechanisms.
type Budget struct {
	tokens   atomic.Int64 // in thousandths, from 0 to capacity
	capacity int64        // in thousandths
	ratio    int64        // in thousandths
	invalid  string       // what is wrong with the arguments of NewBudget
}

const token = 1000 // thousandths

// NewBudget returns a full [Budget] that holds at most capacity tokens and so permits a
// burst of capacity retries. Each success adds ratio tokens, where ratio is rounded to
// the nearest thousandth. For example, if ratio is 0.1, ten successes permit one more
// retry. The ratio may be 0.
//
// If capacity is less than 1, or ratio is negative, NaN, or greater than capacity, every
// call that uses the Budget returns [ErrInvalid].
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

// Tokens returns the number of tokens that are left, from 0 to the capacity. Use the
// number only for monitoring, because other calls may change it at any time.
func (b *Budget) Tokens() float64 { return float64(b.tokens.Load()) / token }

// withdraw takes one token and reports whether there was one to take.
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

// deposit adds amount thousandths of a token, up to the capacity. The amount must be
// between 0 and the capacity.
func (b *Budget) deposit(amount int64) {
	for {
		have := b.tokens.Load()
		// Comparing with the difference cannot overflow. A full bucket is not written
		// to, so that successful calls do not contend for its cache line.
		next := b.capacity
		if have < b.capacity-amount {
			next = have + amount
		}
		if next == have || b.tokens.CompareAndSwap(have, next) {
			return
		}
	}
}

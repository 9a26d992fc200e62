package retry

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// An Option configures a call of [Do]. Options are created by the functions of
// this package. A later option overrides an earlier one, except that hooks,
// loggers, and error maps accumulate. A nil Option is ignored.
//
// An invalid option makes Do return an [*Error] that matches [ErrInvalid], without
// calling fn, even if a later option is valid.
//
// Options are immutable and safe for concurrent use. Do reads its options once,
// when it is called, so the caller may reuse the slice that holds them.
type Option interface{ option() }

// A policy is an Option, and also what several options amount to. In an option,
// one field is set. The zero value of a field means the default.
//
// The shape of this type, of the constructors below, and of merge keeps options
// that are written inline, and the closures in them, on the caller's stack:
// constructors are small enough to be inlined; merge and doMerged copy with plain
// loops and by value, because append, copy, and a pointer result move what they
// copy to the heap; and a value on which the package calls a method through an
// interface is behind a func that returns it, because such a call moves everything
// that its policy refers to to the heap. For the same reason the policy is passed
// next to the call, not in it, and hooks are called where they are found.
type policy struct {
	maxAttempts    int
	maxElapsed     time.Duration
	maxRetryAfter  time.Duration
	attemptTimeout time.Duration
	delay          func(attempt int) time.Duration
	jitter         Jitter
	rand           func() *rand.Rand
	clock          func() Clock
	retryIf        func(error) bool
	budget         *Budget
	invalid        string // the first invalid option, and what is wrong with it

	// In a merged policy, these only tell whether there is one; base and opts hold them.
	mapError func(context.Context, error) error
	onRetry  func(context.Context, Event)
	onDone   func(context.Context, Event)

	base       *policy   // of a merged policy: what opts were applied to, else nil
	opts       []*policy // in order
	overridden bool      // the last of opts comes from Override
	timed      bool      // the time at which the call starts matters
}

func (*policy) option() {}

// noOptions is the policy of a call without options.
var noOptions policy

// policyOf returns the policy that o is.
func policyOf(o Option) *policy {
	if p, ok := o.(*policy); ok {
		return p
	}
	return notPolicy(o)
}

// notPolicy is apart from policyOf so that policyOf is inlined.
func notPolicy(o Option) *policy {
	if o == nil {
		return &noOptions
	}
	// A type of another package can have the methods of an Option that it embeds.
	return invalidOption(reflect.TypeOf(o).String() + " was not created by package retry")
}

// merge returns base with opts applied to it.
func merge(base *policy, opts []*policy, overridden bool) (p policy) {
	p = *base
	for _, o := range opts {
		p.maxAttempts = or(o.maxAttempts, p.maxAttempts)
		p.maxElapsed = or(o.maxElapsed, p.maxElapsed)
		p.maxRetryAfter = or(o.maxRetryAfter, p.maxRetryAfter)
		p.attemptTimeout = or(o.attemptTimeout, p.attemptTimeout)
		p.budget = or(o.budget, p.budget)
		p.invalid = or(p.invalid, o.invalid)
		if o.delay != nil {
			p.delay = o.delay
		}
		if o.jitter != nil {
			p.jitter = o.jitter
		}
		if o.rand != nil {
			p.rand = o.rand
		}
		if o.clock != nil {
			p.clock = o.clock
		}
		if o.retryIf != nil {
			p.retryIf = o.retryIf
		}
		if o.mapError != nil {
			p.mapError = o.mapError
		}
		if o.onRetry != nil {
			p.onRetry = o.onRetry
		}
		if o.onDone != nil {
			p.onDone = o.onDone
		}
		if o.timed {
			p.timed = true
		}
	}
	p.base, p.opts, p.overridden = base, opts, overridden
	return p
}

// or returns a, or b if a is zero.
func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// Policy combines opts into a single [Option], for reuse by many calls. It is
// cheapest as the only option of a call.
func Policy(opts ...Option) Option {
	own := make([]*policy, len(opts))
	for i, o := range opts {
		own[i] = policyOf(o)
	}
	p := merge(&noOptions, own, false)
	return &p
}

// Unlimited, passed to [WithMaxAttempts], removes the limit on attempts.
//
// The call still ends when fn succeeds, when ctx is done, or when the error is
// [Permanent] or rejected by [WithRetryIf], and with [ErrMaxElapsed],
// [ErrDeadline], [ErrRetryAfter], [ErrBudget], or [ErrInvalid]. It retries errors
// of nested calls that gave up. A loop that is to run until ctx is done sets
// [WithMaxRetryAfter] to the longest wait that it accepts and has no [WithBudget]. On
// 32-bit platforms, Unlimited permits 2³¹-1 attempts.
const Unlimited = math.MaxInt

// WithMaxAttempts limits the number of attempts, including the first, to n. If the
// last of them fails, [Do] returns [ErrExhausted]. With 1, Do does not retry. The
// default is 5; see also [Unlimited]. An n less than 1 is
// [ErrInvalid].
func WithMaxAttempts(n int) Option {
	if n < 1 {
		return tooFewAttempts(n)
	}
	return &policy{maxAttempts: n}
}

// WithMaxElapsed makes [Do] return [ErrMaxElapsed] if the next attempt would start
// d or more after Do was called, by the [Clock]. Do then returns without waiting.
// The limit does not interrupt an attempt; for that, use the deadline of ctx or
// [WithAttemptTimeout]. By default, there is no limit. A d of 0 or less is
// [ErrInvalid].
//
// A hook that takes long delays the next attempt, and may delay it past the limit.
// A session that runs for longer than d is not retried when it fails, unless its
// error is marked with [Restart].
func WithMaxElapsed(d time.Duration) Option {
	if d <= 0 {
		return notPositive("WithMaxElapsed", d)
	}
	return &policy{maxElapsed: d, timed: true}
}

// WithMaxRetryAfter makes [Do] return [ErrRetryAfter], without waiting, if an error
// asks for a delay of more than d (see [After]). The jitter that Do adds to the
// delay does not count. The default is 1 minute, so that a server cannot put a
// caller without a deadline to sleep for hours; [Error.RetryAfter] tells the caller
// the delay. A d of 0 or less is [ErrInvalid].
func WithMaxRetryAfter(d time.Duration) Option {
	if d <= 0 {
		return notPositive("WithMaxRetryAfter", d)
	}
	return &policy{maxRetryAfter: d}
}

// WithAttemptTimeout limits each attempt to d by passing fn a context that is
// derived from Do's. An attempt that times out is retried like any other failure. By
// default, attempts have no timeout. A d of 0 or less is [ErrInvalid].
//
// The context is canceled when fn and the error maps have returned, so the value
// that fn returns must not depend on it: the body of an *http.Response can no
// longer be read then, nor can the rows of an *sql.Rows. Read them in fn. (Package
// retryhttp handles the bodies of HTTP responses.)
//
// The timeout uses the system clock even if [WithClock] is given. For a ctx of a custom type
// without an AfterFunc method, package context starts a goroutine for each attempt.
func WithAttemptTimeout(d time.Duration) Option {
	if d <= 0 {
		return notPositive("WithAttemptTimeout", d)
	}
	return &policy{attemptTimeout: d}
}

// WithBackoff sets the ceiling of the wait after each failed attempt. The default
// is Exponential{}. A nil b, a nil [BackoffFunc], and an invalid [Exponential] are
// [ErrInvalid].
func WithBackoff(b Backoff) Option {
	if o := invalidBackoff(b); o != nil {
		return o
	}
	return &policy{delay: b.Delay}
}

// WithJitter sets how the wait is drawn from its ceiling. The default is
// [FullJitter]. A nil j is [ErrInvalid].
func WithJitter(j Jitter) Option {
	return &policy{jitter: j, invalid: ifNil(j == nil, "WithJitter")}
}

// WithSource makes the [Jitter] draw from src. With a seeded source, such as
// rand.NewPCG(1, 2), the waits are the same on every run. By default, the jitter
// draws from the runtime's generator. A nil src is [ErrInvalid].
//
// Do serializes the access to injected sources, so the Option is safe for
// concurrent use, provided that nothing else uses src. The methods of src must not
// call Do.
func WithSource(src rand.Source) Option {
	if src == nil {
		return invalidOption("WithSource(nil): must not be nil")
	}
	r := rand.New(lockedSource{src})
	return &policy{rand: func() *rand.Rand { return r }}
}

// WithClock makes the call use c instead of the system clock. A nil c is [ErrInvalid].
func WithClock(c Clock) Option {
	return &policy{clock: func() Clock { return c }, invalid: ifNil(c == nil, "WithClock")}
}

// WithRetryIf makes [Do] retry an error only if at least one of preds returns true
// for it; otherwise Do returns [ErrNotRetryable]. [Is] and [As] return such
// predicates. Do calls preds in order, with the error as fn and the error maps left
// it, and does not call them for an error that it never retries: one marked with
// [Permanent], or one of a nested call that gave up. By default, Do retries every
// other error.
//
// If WithRetryIf is given more than once, the last one applies. No predicate, or a nil one,
// is [ErrInvalid]. A slice of more than 8 predicates must not be changed afterwards.
func WithRetryIf(preds ...func(error) bool) Option {
	p, invalid := predicatesOf(preds)
	return &policy{retryIf: p.any, invalid: invalid}
}

// WithMapError makes [Do] act on the error that f returns in place of the one that
// fn returned. f is called after each attempt, also after one that succeeded with a
// nil error, and with the context that fn got. It can classify errors of a client
// that does not know this package, for example by marking them with [Permanent] or
// [After], and it can make attempts fail in a test.
//
// Several error maps run in the order of the options, each on the result of the one
// before. Those of [Override] run before those of the call, beginning with the
// outermost. Values are unaffected: if f returns nil for an error, [DoValue] returns
// the value that fn returned with it. By default, Do acts on what fn returned. A nil f is
// [ErrInvalid].
func WithMapError(f func(ctx context.Context, err error) error) Option {
	return &policy{mapError: f, invalid: ifNil(f == nil, "WithMapError")}
}

// WithOnRetry calls hook before each wait, with the context of [Do]. The retry
// follows unless ctx ends or the [Clock] fails. This is the place to count retries.
//
// Hooks run in the order of the options, on the goroutine that called Do, and delay
// it. If a hook panics, Do logs the panic and its stack with slog.Default() at level
// Error and continues. A hook that calls runtime.Goexit ends the goroutine. By
// default, there are no hooks. A nil hook is [ErrInvalid].
func WithOnRetry(hook func(context.Context, Event)) Option {
	return &policy{onRetry: hook, timed: true, invalid: ifNil(hook == nil, "WithOnRetry")}
}

// WithOnDone calls hook once when the call ends, whether or not it succeeded, with
// the context of [Do]. The hook is not called if an option or argument is invalid,
// or if fn panics or calls runtime.Goexit. See [WithOnRetry] for how hooks run. A nil hook
// is [ErrInvalid].
func WithOnDone(hook func(context.Context, Event)) Option {
	return &policy{onDone: hook, timed: true, invalid: ifNil(hook == nil, "WithOnDone")}
}

// WithLogger logs one record before each wait, at the given level, with the message
// "retrying" and the attributes of [Event.LogValue]. Loggers run in order with the
// hooks of [WithOnRetry]; if several are given, each logs. The end of the call is not
// logged; use [WithOnDone] for that. By default, nothing is logged. A nil l is
// [ErrInvalid].
func WithLogger(l *slog.Logger, level slog.Level) Option {
	return &policy{onRetry: func(ctx context.Context, ev Event) { logRetry(ctx, l, level, ev) }, timed: true, invalid: ifNil(l == nil, "WithLogger")}
}

// WithBudget charges the retries of the call to b. By default, retries are not
// charged to any budget. A nil b, and one made with invalid arguments, are [ErrInvalid].
func WithBudget(b *Budget) Option {
	if b == nil {
		return invalidOption("WithBudget(nil): must not be nil")
	}
	return &policy{budget: b, invalid: b.invalid}
}

// The functions below return invalid options. Those that format a value are not inlined,
// so that the constructors can be.

func ifNil(isNil bool, option string) string {
	if isNil {
		return option + "(nil): must not be nil"
	}
	return ""
}

func invalidOption(problem string) *policy { return &policy{invalid: problem} }

//go:noinline
func tooFewAttempts(n int) *policy {
	return invalidOption("WithMaxAttempts(" + strconv.Itoa(n) + "): must be at least 1")
}

//go:noinline
func notPositive(option string, d time.Duration) *policy {
	return invalidOption(option + "(" + d.String() + "): must be positive")
}

// predicates are those of a WithRetryIf.
type predicates struct {
	few  [8]func(error) bool // copied, because the caller may reuse the array
	more []func(error) bool  // what does not fit; a copy on the heap would take the closures along
}

// predicatesOf returns preds, and what is wrong with them, or "".
func predicatesOf(preds []func(error) bool) (p predicates, invalid string) {
	if len(preds) == 0 {
		return p, "WithRetryIf(): must have at least one predicate"
	}
	n := min(len(preds), len(p.few))
	for i := range n {
		p.few[i] = preds[i]
	}
	p.more = preds[n:]
	return p, ifNil(slices.ContainsFunc(preds, func(pred func(error) bool) bool { return pred == nil }), "WithRetryIf")
}

// any reports whether a predicate returns true for err.
func (p predicates) any(err error) bool {
	match := func(pred func(error) bool) bool { return pred != nil && pred(err) }
	return slices.ContainsFunc(p.few[:], match) || slices.ContainsFunc(p.more, match)
}

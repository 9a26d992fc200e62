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

// An Option configures a call to [Do]. The functions of this package create Options. A
// later option overrides an earlier option of the same kind, except that hooks, loggers,
// and error maps (see [WithMapError]) accumulate. A nil Option is ignored.
//
// If an option is invalid, Do returns [ErrInvalid] without calling fn, even if a later,
// valid option overrides the invalid one.
//
// Options are immutable and safe for concurrent use. If concurrent calls share an Option,
// the functions and other values in it must also be safe for concurrent use, except for
// the source of [WithSource]. Do reads its options once, when it is called, so the slice
// that holds them may be reused during the call.
type Option interface{ option() }

// A policy is the implementation of Option. It holds a single option, or several options
// that were merged. The zero value of a field means the default.
//
// This type, the constructors below, and merge are written so that options that are
// created in the call, and the closures in them, stay on the caller's stack. The
// constructors are small enough to be inlined. merge and doMerged copy with plain loops
// and by value, because append, copy, and returning a pointer would move the destination
// to the heap. A value whose methods are called through an interface is stored behind a
// func, because such a call would move everything in its policy to the heap. A Budget is
// also stored behind a func, because its atomic operations are calls on 32-bit platforms.
// Also to avoid the heap, the policy is a parameter, not a field of call, and hooks are
// called from the policies that hold them.
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
	budget         func() *Budget
	invalid        string // the first invalid option, and what is wrong with it

	// In a merged policy, these fields only show whether there is a hook or an error map.
	// base and opts hold the hooks and error maps.
	mapError func(context.Context, error) error
	onRetry  func(context.Context, Event)
	onDone   func(context.Context, Event)

	base       *policy   // in a merged policy, the policy that opts were applied to; otherwise nil
	opts       []*policy // in the order in which they apply
	overridden bool      // whether the last of opts comes from Override
	timed      bool      // whether Do must know when the call started
}

func (*policy) option() {}

// noOptions is the policy of a call without options.
var noOptions policy

// policyOf returns the policy that implements o.
func policyOf(o Option) *policy {
	if p, ok := o.(*policy); ok {
		return p
	}
	return notPolicy(o)
}

// notPolicy is separate from policyOf so that policyOf can be inlined.
func notPolicy(o Option) *policy {
	if o == nil {
		return &noOptions
	}
	// A type of another package implements Option if it embeds an Option.
	return invalidOption(reflect.TypeOf(o).String() + " was not created by package retry")
}

// merge returns base with opts applied to it.
func merge(base *policy, opts []*policy, overridden bool) (p policy) {
	p = *base
	p.base, p.opts, p.overridden = base, opts, overridden
	for _, o := range opts {
		if o.maxAttempts != 0 {
			p.maxAttempts = o.maxAttempts
		}
		if o.maxElapsed != 0 {
			p.maxElapsed = o.maxElapsed
		}
		if o.maxRetryAfter != 0 {
			p.maxRetryAfter = o.maxRetryAfter
		}
		if o.attemptTimeout != 0 {
			p.attemptTimeout = o.attemptTimeout
		}
		if p.invalid == "" && o.invalid != "" {
			p.invalid = o.invalid
		}
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
		if o.budget != nil {
			p.budget = o.budget
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
	return p
}

// or returns a, or b if a is zero. It is faster than cmp.Or, which takes a slice.
func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

// Policy combines opts into a single [Option] that can be used in many calls. A call is
// cheapest if a Policy is its only option.
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
// Do still stops when fn succeeds, when ctx is done, or when the error is marked with
// [Permanent] or rejected by [WithRetryIf]. It can also return [ErrMaxElapsed],
// [ErrDeadline], [ErrRetryAfter], [ErrBudget], and [ErrInvalid]. With Unlimited, Do also
// retries the error of a nested call that gave up. To retry until ctx is done, set
// [WithMaxRetryAfter] to the longest acceptable delay, and do not use [WithBudget]. On
// 32-bit platforms, Unlimited permits 2³¹-1 attempts.
const Unlimited = math.MaxInt

// WithMaxAttempts limits the number of attempts, including the first, to n. If the last
// attempt fails, [Do] returns [ErrExhausted]. If n is 1, Do does not retry. The default
// is 5. To remove the limit, use [Unlimited]. If n is less than 1, Do returns
// [ErrInvalid].
func WithMaxAttempts(n int) Option {
	if n < 1 {
		return tooFewAttempts(n)
	}
	return &policy{maxAttempts: n}
}

// WithMaxElapsed limits the time in which [Do] starts attempts. If the next attempt would
// start d or more after Do was called, Do returns [ErrMaxElapsed] without waiting. The
// [Clock] measures the time. The limit does not interrupt an attempt. To interrupt
// attempts, use the deadline of ctx or [WithAttemptTimeout]. By default, there is no
// limit. If d is 0 or less, Do returns [ErrInvalid].
//
// A slow hook delays the next attempt, possibly past the limit. If an attempt runs for
// longer than d, as a long session may, Do does not retry it unless its error is marked
// with [Restart].
func WithMaxElapsed(d time.Duration) Option {
	if d <= 0 {
		return notPositive("WithMaxElapsed", d)
	}
	return &policy{maxElapsed: d, timed: true}
}

// WithMaxRetryAfter limits the delay that an error may ask for (see [After]). If an error
// asks for more than d, [Do] returns [ErrRetryAfter] without waiting, and
// [Error.RetryAfter] returns the delay. The jitter that Do adds to the delay does not
// count. The default is 1 minute, so that a server cannot make a caller without a
// deadline wait for hours. If d is 0 or less, Do returns [ErrInvalid].
func WithMaxRetryAfter(d time.Duration) Option {
	if d <= 0 {
		return notPositive("WithMaxRetryAfter", d)
	}
	return &policy{maxRetryAfter: d}
}

// WithAttemptTimeout limits each attempt to d. [Do] passes fn a context that is derived
// from ctx and has this timeout. If an attempt times out, Do retries it like any other
// failed attempt. By default, attempts have no timeout. If d is 0 or less, Do returns
// [ErrInvalid].
//
// Do cancels the context when fn and the error maps have returned, so a value that fn
// returns must not depend on the context. For example, read the body of an *http.Response
// and the rows of an *sql.Rows inside fn, because they cannot be read later. (With
// package retryhttp, the body of a response can be read later.)
//
// The timeout uses the system clock even if [WithClock] is given. If ctx has a custom
// type without an AfterFunc method, package context may start a goroutine for each
// attempt.
func WithAttemptTimeout(d time.Duration) Option {
	if d <= 0 {
		return notPositive("WithAttemptTimeout", d)
	}
	return &policy{attemptTimeout: d}
}

// WithBackoff sets the ceiling of the wait after each failed attempt. The default is
// Exponential{}. If b is nil, a nil [BackoffFunc], or an invalid [Exponential], [Do]
// returns [ErrInvalid].
func WithBackoff(b Backoff) Option {
	if o := invalidBackoff(b); o != nil {
		return o
	}
	return &policy{delay: b.Delay}
}

// WithJitter sets the function that chooses a wait for each ceiling. The default is
// [FullJitter]. If j is nil, [Do] returns [ErrInvalid].
func WithJitter(j Jitter) Option {
	return &policy{jitter: j, invalid: ifNil(j == nil, "WithJitter")}
}

// WithSource makes the [Jitter] draw from src. With a seeded source, such as
// rand.NewPCG(1, 2), the waits are the same on every run, unless concurrent calls share
// src. By default, the Jitter draws from the default source of math/rand/v2. If src is
// nil, [Do] returns [ErrInvalid].
//
// Do serializes its access to src, so the Option is safe for concurrent use if nothing
// else uses src. The methods of src must not call Do.
func WithSource(src rand.Source) Option {
	if src == nil {
		return invalidOption("WithSource(nil): must not be nil")
	}
	r := rand.New(lockedSource{src})
	return &policy{rand: func() *rand.Rand { return r }}
}

// WithClock makes the call use c instead of the system clock, which is the default. If c
// is nil, [Do] returns [ErrInvalid].
func WithClock(c Clock) Option {
	return &policy{clock: func() Clock { return c }, invalid: ifNil(c == nil, "WithClock")}
}

// WithRetryIf makes [Do] retry an error only if at least one of preds returns true for
// it. Otherwise, Do returns [ErrNotRetryable]. [Is] and [As] return such predicates. Do
// passes the error, after the error maps and with its markers, to preds in order until
// one returns true. Do does not call preds for an error that is permanent (see
// [Permanent]) or comes from a nested call that gave up, because Do does not retry such
// an error anyway. (For exceptions, see [Unlimited] and [Restart].) By default, all other
// errors are retryable.
//
// If WithRetryIf is given more than once, the last one applies. If preds is empty or has
// a nil element, Do returns [ErrInvalid]. If preds has more than 4 elements, the caller
// must not modify the slice after calling WithRetryIf.
func WithRetryIf(preds ...func(error) bool) Option {
	p, invalid := predicatesOf(preds)
	return &policy{retryIf: p.any, invalid: invalid}
}

// WithMapError makes [Do] use the error that f returns instead of the error that fn
// returned. Do calls f after each attempt with the context that fn received. This
// includes attempts that succeeded, for which err is nil. f can classify the errors of a
// client that does not know about this package, for example by marking them with
// [Permanent] or [After]. In a test, f can make attempts fail.
//
// If there are several such functions, called error maps, they run in the order of the
// options, and each receives the error that the previous one returned. The error maps of
// [Override] run before the error maps of the call, beginning with the outermost
// override. f does not affect values: if f returns nil for an error, [DoValue] returns
// the value that fn returned with the error. By default, Do uses the error that fn
// returned. If f is nil, Do returns [ErrInvalid].
func WithMapError(f func(ctx context.Context, err error) error) Option {
	return &policy{mapError: f, invalid: ifNil(f == nil, "WithMapError")}
}

// WithOnRetry makes [Do] call hook before each wait, with the context that was passed to
// Do. A retry follows unless ctx is done before the wait ends or the [Clock] fails. Use
// WithOnRetry to count retries.
//
// Hooks run in the order of the options, on the goroutine that called Do, so a slow hook
// delays the call. If a hook panics, Do logs the panic and its stack with slog.Default()
// at level Error and continues. If a hook calls runtime.Goexit, the goroutine ends. By
// default, there are no hooks. If hook is nil, Do returns [ErrInvalid].
func WithOnRetry(hook func(context.Context, Event)) Option {
	return &policy{onRetry: hook, timed: true, invalid: ifNil(hook == nil, "WithOnRetry")}
}

// WithOnDone makes [Do] call hook once when the call ends, whether or not it succeeded,
// with the context that was passed to Do. Do does not call hook if an option or argument
// is invalid, or if a panic or runtime.Goexit ends the call. By default, there are no
// hooks. See [WithOnRetry] for how hooks run. If hook is nil, Do returns [ErrInvalid].
func WithOnDone(hook func(context.Context, Event)) Option {
	return &policy{onDone: hook, timed: true, invalid: ifNil(hook == nil, "WithOnDone")}
}

// WithLogger makes [Do] log one record before each wait, at the given level, with the
// message "retrying" and the attributes of [Event.LogValue]. Do does not log the end of
// the call; use [WithOnDone] to log it. If several loggers are given, each of them logs.
// Loggers and the hooks of [WithOnRetry] run in the order of the options. By default, Do
// does not log retries. If l is nil, Do returns [ErrInvalid].
func WithLogger(l *slog.Logger, level slog.Level) Option {
	return &policy{onRetry: func(ctx context.Context, ev Event) { logRetry(ctx, l, level, ev) }, timed: true, invalid: ifNil(l == nil, "WithLogger")}
}

// WithBudget makes each retry of the call take a token from b. If less than one token
// is left, [Do] returns [ErrBudget] without waiting. By default, a call has no budget.
// If b is nil or was created with invalid arguments, Do returns [ErrInvalid].
func WithBudget(b *Budget) Option {
	if b == nil {
		return invalidOption("WithBudget(nil): must not be nil")
	}
	return &policy{budget: func() *Budget { return b }, invalid: b.invalid}
}

// The functions below describe what is invalid. The functions that format a value are not
// inlined, so that the constructors can be inlined.

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

// predicates holds the predicates of one WithRetryIf. It copies the first four, because
// the caller may reuse the array. Copying the rest would move the closures to the heap.
type predicates struct {
	first, second, third, fourth func(error) bool // may be nil
	more                         []func(error) bool
}

// predicatesOf returns preds, and what is wrong with them, or "" if nothing is.
func predicatesOf(preds []func(error) bool) (p predicates, invalid string) {
	switch n := len(preds); {
	case n == 0:
		return p, "WithRetryIf(): must have at least one predicate"
	case n > 3:
		p.fourth, p.more = preds[3], preds[4:]
		fallthrough
	case n > 2:
		p.third = preds[2]
		fallthrough
	case n > 1:
		p.second = preds[1]
		fallthrough
	default:
		p.first = preds[0]
	}
	return p, ifNil(slices.ContainsFunc(preds, func(pred func(error) bool) bool { return pred == nil }), "WithRetryIf")
}

// any reports whether a predicate returns true for err.
func (p predicates) any(err error) bool {
	match := func(pred func(error) bool) bool { return pred != nil && pred(err) }
	return match(p.first) || match(p.second) || match(p.third) || match(p.fourth) || slices.ContainsFunc(p.more, match)
}

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

// An Option changes how a call retries. Later options win over earlier ones,
// hooks and loggers add up, and a nil Option is ignored. Options are immutable
// and may be shared by any number of calls, side by side too.
//
// Options come from the functions of this package only.
//
// An invalid option makes the call fail with [ErrInvalid] before fn is called; a
// later, valid option does not heal it.
type Option interface{ option() }

// Each option is a type of its own, and resolve a type switch that returns its
// result by value: called through a func or an interface, an option would send
// the policy, and with it the caller's closures, to the heap. For the same reason
// an option holds what has methods (a Clock, a Logger, a Budget) behind a func that
// returns it, or as a method value. The constructors are small enough to be
// inlined, so that an option written inline stays on its caller's stack.
type (
	maxAttempts    int
	maxElapsed     time.Duration
	attemptTimeout time.Duration
	backoffOption  struct {
		backoff Backoff // for its validity only
		delay   func(attempt int) time.Duration
	}
	jitterOption Jitter
	sourceOption struct {
		src  rand.Source // for its validity only
		rand func() *rand.Rand
	}
	clockOption struct {
		clock Clock // for its validity only
		get   func() Clock
	}
	retryIf      []func(error) bool
	onRetry      func(context.Context, Event)
	onDone       func(context.Context, Event)
	loggerOption struct {
		logger func() *slog.Logger // nil for a nil logger
		level  slog.Level
	}
	budgetOption struct {
		budget *Budget // for its validity only
		get    func() *Budget
	}
)

func (maxAttempts) option()    {}
func (maxElapsed) option()     {}
func (attemptTimeout) option() {}
func (backoffOption) option()  {}
func (jitterOption) option()   {}
func (sourceOption) option()   {}
func (clockOption) option()    {}
func (retryIf) option()        {}
func (onRetry) option()        {}
func (onDone) option()         {}
func (loggerOption) option()   {}
func (budgetOption) option()   {}
func (*policy) option()        {}

// Policy bundles opts into one Option that has the effect of all of them, in
// their order: a named way to retry, made once and used by many calls. A call
// whose only option is a Policy has nothing left to resolve. opts may be changed
// afterwards.
func Policy(opts ...Option) Option { return newPolicy(opts) }

func newPolicy(opts []Option) *policy {
	// The caller may append to the same array again.
	opts = slices.Clone(opts)
	p := resolve(&defaults, opts)
	p.opts = opts
	return &p
}

// Unlimited, given to [WithMaxAttempts], leaves it to ctx, the error or
// [WithMaxElapsed] to end the call.
const Unlimited = math.MaxInt

// WithMaxAttempts limits the calls of fn, the first one included, to n. The
// default is 5. 1 means no retries; see also [Unlimited]. An n below 1 is
// [ErrInvalid].
func WithMaxAttempts(n int) Option { return maxAttempts(n) }

// WithMaxElapsed gives up with [ErrMaxElapsed] as soon as the next attempt would
// begin d or more after the call of [Do], by the [Clock]; nothing is slept then.
// It does not interrupt an attempt: for that, use ctx or [WithAttemptTimeout]. By
// default there is no limit. A d of 0 or less is [ErrInvalid].
func WithMaxElapsed(d time.Duration) Option { return maxElapsed(d) }

// WithAttemptTimeout gives each attempt a ctx of its own that ends after d, or
// when fn returns. fn must obey it. An attempt that times out has failed like any
// other and is retried. It runs by the system clock, whatever [WithClock] says. By
// default attempts get the ctx of [Do] and share its deadline only. A d of 0 or less
// is [ErrInvalid].
func WithAttemptTimeout(d time.Duration) Option { return attemptTimeout(d) }

// WithBackoff sets the policy of delay: the ceiling of the wait after each failed
// attempt. The default is Exponential{}. A nil b, a nil pointer, a nil
// [BackoffFunc] and an invalid [Exponential] are [ErrInvalid]. An Exponential behind
// a pointer must not be changed afterwards.
func WithBackoff(b Backoff) Option {
	if b == nil {
		return backoffOption{}
	}
	return backoffOption{b, b.Delay}
}

// WithJitter sets how the wait is drawn from its ceiling. The default is
// [FullJitter]. A nil j is [ErrInvalid].
func WithJitter(j Jitter) Option { return jitterOption(j) }

// WithSource makes the [Jitter] draw from src: with a seeded source, such as
// rand.NewPCG(1, 2), the same calls wait the same times. By default it draws from
// the runtime's generator. All draws from injected sources share one lock, so src
// and the Option may be shared by calls that run side by side, as long as nobody
// else uses src meanwhile. For the same reason src must not call Do. A panic in it
// propagates to the caller of [Do]. A nil src or nil pointer is [ErrInvalid].
func WithSource(src rand.Source) Option {
	if src == nil {
		return sourceOption{}
	}
	r := rand.New(lockedSource{src})
	return sourceOption{src, func() *rand.Rand { return r }}
}

// WithClock makes c the time of the call; see [Clock]. By default it is the
// system's. A nil c or nil pointer is [ErrInvalid].
func WithClock(c Clock) Option {
	return clockOption{c, func() Clock { return c }}
}

// WithRetryIf retries an error only if at least one of preds holds for it. They
// get the error as fn returned it, markers and all, are asked in order, and may
// not be called at all for an error that is not retried anyway, such as a
// [Permanent] one. [Is] and [As] make predicates. Of several WithRetryIf the last
// one counts. Preds must be safe for concurrent use if calls share them; the
// slice must not be changed afterwards. A panic in one propagates to the caller of
// [Do].
//
// By default every error is retried except a Permanent one, and one that an inner
// Do already gave up on: nested loops do not multiply. An inner Do that was ended
// by its own ctx, such as an attempt's timeout, does not count as given up.
//
// No preds, or a nil one, are [ErrInvalid].
func WithRetryIf(preds ...func(error) bool) Option { return retryIf(preds) }

// WithOnRetry calls hook before each wait, with the ctx of [Do]: the retry is
// then certain to be made unless ctx ends, the Clock fails or the goroutine exits.
//
// Hooks run in the order given, on the caller's goroutine, and delay the call as
// long as they take. One that panics is logged at Error with its stack, by the
// loggers of [WithLogger] or else by slog.Default(), and the call goes on. One
// that ends ctx ends the call, and runtime.Goexit in one ends the goroutine. A nil
// hook is [ErrInvalid].
func WithOnRetry(hook func(context.Context, Event)) Option { return onRetry(hook) }

// WithOnDone calls hook once at the end of the call, failed or not, with the ctx
// of [Do]: the place for metrics. It is not called after a panic or
// runtime.Goexit, nor if an option or argument was invalid. See [WithOnRetry] for
// how hooks run. A nil hook is [ErrInvalid].
func WithOnDone(hook func(context.Context, Event)) Option { return onDone(hook) }

// WithLogger logs one record before each wait, at level, with the message
// "retrying" and the attributes of [Event.LogValue]. It runs in order with the
// hooks of [WithOnRetry]. Several loggers all log. A nil l is [ErrInvalid].
func WithLogger(l *slog.Logger, level slog.Level) Option {
	if l == nil {
		return loggerOption{}
	}
	return loggerOption{func() *slog.Logger { return l }, level}
}

// WithBudget charges the retries of the call to b; see [Budget]. By default they
// are free. A nil b, or one made with invalid arguments, is [ErrInvalid].
func WithBudget(b *Budget) Option {
	return budgetOption{b, func() *Budget { return b }}
}

// A policy is what options come to. By pointer it is an Option itself.
type policy struct {
	maxAttempts    int
	maxElapsed     time.Duration // 0: no limit
	attemptTimeout time.Duration // 0: none
	delay          func(attempt int) time.Duration
	jitter         Jitter
	rand           func() *rand.Rand // nil: the runtime's generator
	clock          func() Clock      // nil: the system clock
	retryIf        []func(error) bool
	budget         func() *Budget // nil: retries are free
	observesRetry  bool           // there is a hook or logger for it
	observesDone   bool           // there is a hook for it
	timed          bool           // the time at the start of the call matters
	problem        string         // the first invalid option
	opts           []Option       // whose hooks are called
	override       *policy        // whose hooks are called after those; nil if there is none
}

var defaults = policy{
	maxAttempts: 5,
	delay:       Exponential{}.Delay,
	jitter:      FullJitter,
}

// resolve returns base with opts applied. It leaves the hooks to be found in opts.
func resolve(base *policy, opts []Option) (p policy) {
	p = *base
	for _, o := range opts {
		var problem string
		switch o := o.(type) {
		case nil:
		case maxAttempts:
			p.maxAttempts = int(o)
			if o < 1 {
				problem = describe("WithMaxAttempts", strconv.Itoa(int(o)), "1 or more")
			}
		case maxElapsed:
			p.maxElapsed, p.timed = time.Duration(o), true
			if o <= 0 {
				problem = describe("WithMaxElapsed", time.Duration(o).String(), "more than 0")
			}
		case attemptTimeout:
			p.attemptTimeout = time.Duration(o)
			if o <= 0 {
				problem = describe("WithAttemptTimeout", time.Duration(o).String(), "more than 0")
			}
		case backoffOption:
			p.delay = o.delay
			problem = checkBackoff(o.backoff)
		case jitterOption:
			p.jitter = Jitter(o)
			problem = checkNil("WithJitter", o == nil)
		case sourceOption:
			p.rand = o.rand
			problem = checkNil("WithSource", isNil(o.src))
		case clockOption:
			p.clock = o.get
			problem = checkNil("WithClock", isNil(o.clock))
		case retryIf:
			p.retryIf = o
			if len(o) == 0 {
				problem = describe("WithRetryIf", "", "a predicate")
			}
			for _, pred := range o {
				if pred == nil {
					problem = describe("WithRetryIf", "nil", "a predicate")
				}
			}
		case onRetry:
			p.observesRetry, p.timed = true, true
			problem = checkNil("WithOnRetry", o == nil)
		case onDone:
			p.observesDone, p.timed = true, true
			problem = checkNil("WithOnDone", o == nil)
		case loggerOption:
			p.observesRetry, p.timed = true, true
			problem = checkNil("WithLogger", o.logger == nil)
		case budgetOption:
			p.budget = o.get
			problem = checkBudget(o.budget)
		case *policy:
			p = resolve(&p, o.opts)
		default: // an Option embedded in a type of somebody else's
			problem = describe("Option", "of a foreign type", "one of this package's")
		}
		if p.problem == "" {
			p.problem = problem
		}
	}
	return p
}

// describe is how an Error names an invalid option. Inlined, its copies would
// double the code of resolve.
//
//go:noinline
func describe(option, value, want string) string {
	return "option " + option + "(" + value + ") (want " + want + ")"
}

func checkNil(option string, absent bool) string {
	if !absent {
		return ""
	}
	return describe(option, "nil", "a value")
}

func checkBackoff(b Backoff) string {
	var e Exponential
	switch b := b.(type) {
	case Exponential:
		e = b
	case *Exponential:
		if b == nil {
			return checkNil("WithBackoff", true)
		}
		e = *b
	default:
		return checkNil("WithBackoff", isNil(b))
	}
	if field, want := e.invalid(); field != "" {
		return describe("WithBackoff", "Exponential{"+field+"}", want)
	}
	return ""
}

func checkBudget(b *Budget) string {
	if b == nil || b.invalid == "" {
		return checkNil("WithBudget", b == nil)
	}
	return describe("WithBudget", b.invalid, "a capacity of 1 or more and a ratio from 0 to the capacity")
}

// isNil reports whether v is nil, or holds a nil pointer or func: methods of
// those would panic in the midst of a call.
func isNil(v any) bool {
	switch v := reflect.ValueOf(v); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func:
		return v.IsNil()
	}
	return false
}

package main

import (
	"context"
	"errors"
	"time"

	avast "github.com/avast/retry-go/v5"
	"github.com/cenkalti/backoff/v7"
	codegroove "github.com/codeGROOVE-dev/retry"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	sethvargo "github.com/sethvargo/go-retry"
	"k8s.io/apimachinery/pkg/util/wait"

	"example.com/retry"
)

// A load is a work load, or a set of them.
type load uint

const (
	inline    load = 1 << iota // first try succeeds, options written at the call
	prepared                   // first try succeeds, policy made beforehand
	shared                     // the same in parallel, one ctx for all
	fresh                      // the same in parallel, a ctx for each call
	permanent                  // the first error is final
	two                        // two failures, then success
	ten                        // ten failures, the last allowed
	waiting                    // many calls wait at once and are cancelled
	million                    // that again, with a million
	late                       // how late a wait ends
)

// What every row is configured to do. An inline row makes up to inlineAttempts
// with pauses that grow from about inlineBase; all others make up to
// preparedAttempts with the fixed pause that they are given.
const (
	inlineAttempts   = 4 // no library's default
	inlineBase       = 100 * time.Millisecond
	inlineMax        = 5 * time.Second
	preparedAttempts = 10
)

var (
	errTemporary = errors.New("temporary failure")
	errPermanent = errors.New("permanent failure")
)

// Variables, so that the compiler does not know their values.
var (
	variableAttempts              = inlineAttempts
	variableJitter   retry.Jitter = retry.NoJitter
)

// A script is the operation that is retried: its first failures calls fail with err.
type script struct {
	failures int
	err      error
	calls    int
	_        [128 - 4*8]byte // so that parallel calls do not share a cache line
}

// try is not inlined, for no operation worth a retry would be.
//
//go:noinline
func (s *script) try() error {
	s.calls++
	if s.calls <= s.failures {
		return s.err
	}
	return nil
}

// An op is one call of a library that runs s.
type op func(ctx context.Context, s *script) error

// A row is a library used in one way.
type row struct {
	lib   *library
	form  string // as a benchmark's name allows: no spaces, no slashes
	note  string // what the form is
	loads load
	noCtx bool // the library is not told of the ctx: nothing ends its waits

	// prepare makes what can be made before the calls. pause is the fixed wait
	// between attempts; rows for inline and those with an injected clock have
	// their own. ctx is the one that the op will get, except in fresh.
	prepare func(ctx context.Context, pause time.Duration) op
}

type library struct {
	name string
	path string // import path
	// How an error is marked, once, before the calls; nil if it need not be.
	retryable, permanent func(error) error
	losesError           bool   // the last error is not in what it returns
	cannot               string // what its rows have to do without
	rows                 []row
}

// writtenInline is a prepare with nothing to do.
func writtenInline(o op) func(context.Context, time.Duration) op {
	return func(context.Context, time.Duration) op { return o }
}

var libraries = []*library{
	{
		name: "floor",
		rows: []row{{
			form:  "loop",
			note:  "`byHand` in rows.go: what an engineer would write without a library, with no jitter and nothing to set but numbers",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				return byHand(ctx, inlineAttempts, inlineBase, inlineMax, func(context.Context) error { return s.try() })
			}),
		}, {
			form:  "loop",
			loads: prepared | shared | fresh | permanent | two | ten | waiting | late,
			prepare: func(_ context.Context, pause time.Duration) op {
				return func(ctx context.Context, s *script) error {
					return byHand(ctx, preparedAttempts, pause, pause, func(context.Context) error { return s.try() })
				}
			},
		}, {
			form:  "timer-in-select",
			note:  "not a loop: after the first failure the goroutine waits in a select on ctx and a timer of its own, the least that a waiting call can be",
			loads: waiting | million,
			prepare: func(_ context.Context, pause time.Duration) op {
				return func(ctx context.Context, s *script) error {
					if err := s.try(); err == nil {
						return nil
					}
					timer := time.NewTimer(pause)
					select {
					case <-timer.C:
						return s.try()
					case <-ctx.Done():
						timer.Stop()
						return ctx.Err()
					}
				}
			},
		}, {
			form:    "ctx-alone",
			note:    "no retries at all: what making and cancelling the fresh ctx costs in each row of its table",
			loads:   fresh,
			noCtx:   true,
			prepare: writtenInline(func(_ context.Context, s *script) error { return s.try() }),
		}},
	},
	{
		name:      "retry",
		path:      "example.com/retry",
		permanent: retry.Permanent,
		rows: []row{{
			form:  "constants",
			note:  "`Do` with two options written inline, all values constants",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				return retry.Do(ctx, func(context.Context) error { return s.try() },
					retry.WithMaxAttempts(inlineAttempts),
					retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}))
			}),
		}, {
			form:  "three-constants",
			note:  "the same with a third option, `WithJitter`",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				return retry.Do(ctx, func(context.Context) error { return s.try() },
					retry.WithMaxAttempts(inlineAttempts),
					retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}),
					retry.WithJitter(retry.EqualJitter))
			}),
		}, {
			form:  "DoValue",
			note:  "`DoValue` with two constant options",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				_, err := retry.DoValue(ctx, func(context.Context) (int, error) { return 1, s.try() },
					retry.WithMaxAttempts(inlineAttempts),
					retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}))
				return err
			}),
		}, {
			form:  "variables",
			note:  "`Do` with three options written inline, their values known at run time only",
			loads: inline | waiting,
			prepare: func(_ context.Context, pause time.Duration) op {
				return func(ctx context.Context, s *script) error {
					return retry.Do(ctx, func(context.Context) error { return s.try() },
						retry.WithMaxAttempts(variableAttempts),
						retry.WithBackoff(retry.Exponential{Base: pause, Max: 50 * pause}),
						retry.WithJitter(variableJitter))
				}
			},
		}, {
			form:  "Policy",
			note:  "`Do` with a `Policy` made once; a fixed pause and no jitter. A pause of zero starts no timer",
			loads: prepared | shared | fresh | permanent | two | ten | waiting | million | late,
			prepare: func(_ context.Context, pause time.Duration) op {
				policy := retryPolicy(pause)
				return func(ctx context.Context, s *script) error {
					return retry.Do(ctx, func(context.Context) error { return s.try() }, policy)
				}
			},
		}, {
			form:  "Policy,DoValue",
			note:  "`DoValue` with that Policy, which is what `Wrap` does",
			loads: prepared | waiting,
			prepare: func(_ context.Context, pause time.Duration) op {
				policy := retryPolicy(pause)
				return func(ctx context.Context, s *script) error {
					_, err := retry.DoValue(ctx, func(context.Context) (int, error) { return 1, s.try() }, policy)
					return err
				}
			},
		}, {
			form:  "WrapUnary",
			note:  "the func that `WrapUnary` returned",
			loads: prepared | shared | waiting,
			prepare: func(_ context.Context, pause time.Duration) op {
				call := retry.WrapUnary(func(_ context.Context, s *script) (int, error) { return 1, s.try() }, retryPolicy(pause))
				return func(ctx context.Context, s *script) error {
					_, err := call(ctx, s)
					return err
				}
			},
		}, {
			form:  "Policy,marked-each-time",
			note:  "fn calls `Permanent` each time",
			loads: permanent,
			prepare: func(_ context.Context, pause time.Duration) op {
				policy := retryPolicy(pause)
				return func(ctx context.Context, s *script) error {
					return retry.Do(ctx, func(context.Context) error { return retry.Permanent(s.try()) }, policy)
				}
			},
		}, {
			form:  "Policy,WithClock",
			note:  "exponential backoff and full jitter, as by default, and an injected Clock that does not sleep",
			loads: two | ten,
			prepare: func(context.Context, time.Duration) op {
				policy := retry.Policy(retry.WithMaxAttempts(preparedAttempts), retry.WithClock(clock{}))
				return func(ctx context.Context, s *script) error {
					return retry.Do(ctx, func(context.Context) error { return s.try() }, policy)
				}
			},
		}},
	},
	{
		name:      "avast",
		path:      "github.com/avast/retry-go/v5",
		cannot:    "give a prepared Retrier the ctx of each call: it is made with one for good",
		permanent: avast.Unrecoverable,
		rows: []row{{
			form:  "README,no-ctx",
			note:  "`New(Attempts, Delay).Do(fn)`, as its README shows",
			loads: inline,
			noCtx: true,
			prepare: writtenInline(func(_ context.Context, s *script) error {
				return avast.New(
					avast.Attempts(inlineAttempts),
					avast.Delay(inlineBase),
				).Do(func() error { return s.try() })
			}),
		}, {
			form:  "New.Do",
			note:  "the same with `Context` and `MaxDelay`",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				return avast.New(
					avast.Context(ctx),
					avast.Attempts(inlineAttempts),
					avast.Delay(inlineBase),
					avast.MaxDelay(inlineMax),
				).Do(func() error { return s.try() })
			}),
		}, {
			form:  "Retrier,no-ctx",
			note:  "its README's reusable Retrier, with `LastErrorOnly(true)`; waits cannot be cancelled",
			loads: prepared | shared | fresh | permanent | two | ten,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				return avastOp(avastOptions(pause)...)
			},
		}, {
			form:  "Retrier",
			note:  "the same with `Context(ctx)`: one Retrier serves one ctx only",
			loads: prepared | shared | permanent | two | ten | waiting | late,
			prepare: func(ctx context.Context, pause time.Duration) op {
				return avastOp(append(avastOptions(pause), avast.Context(ctx))...)
			},
		}, {
			form:  "New-each-call",
			note:  "a Retrier for each call, as only that gives each call its ctx; the other options made once",
			loads: fresh,
			prepare: func(_ context.Context, pause time.Duration) op {
				o := avastOptions(pause)
				return func(ctx context.Context, s *script) error {
					return avast.New(o[0], o[1], o[2], o[3], avast.Context(ctx)).Do(func() error { return s.try() })
				}
			},
		}, {
			form:  "Retrier,marked-each-time,no-ctx",
			note:  "fn calls `Unrecoverable` each time",
			loads: permanent,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				r := avast.New(avastOptions(pause)...)
				return func(_ context.Context, s *script) error {
					return r.Do(func() error { return avast.Unrecoverable(s.try()) })
				}
			},
		}, {
			form:  "Retrier,all-errors,no-ctx",
			note:  "without `LastErrorOnly`, its default: the result holds every error",
			loads: permanent | ten,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				return avastOp(avastOptions(pause)[:3]...)
			},
		}, {
			form:  "Retrier,fake-timer,no-ctx",
			note:  "`WithTimer` with one that is always due, and its default backoff and jitter",
			loads: two | ten,
			noCtx: true,
			prepare: func(context.Context, time.Duration) op {
				return avastOp(avast.Attempts(preparedAttempts), avast.LastErrorOnly(true), avast.WithTimer(due))
			},
		}, {
			form:  "Retrier,fake-timer,fixed-delay,no-ctx",
			note:  "that timer and a fixed delay",
			loads: two | ten,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				return avastOp(append(avastOptions(pause), avast.WithTimer(due))...)
			},
		}},
	},
	{
		name:      "cenkalti",
		path:      "github.com/cenkalti/backoff/v7",
		cannot:    "inject a timer; prepare an exponential backoff for calls side by side: it holds the state of one",
		permanent: backoff.Permanent,
		rows: []row{{
			form:  "README",
			note:  "`Retry` with the one option that its README shows, `WithMaxTries`",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				_, err := backoff.Retry(ctx, func() (int, error) { return 1, s.try() },
					backoff.WithMaxTries(inlineAttempts))
				return err
			}),
		}, {
			form:  "WithBackOff",
			note:  "the same with the backoff set as well",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				_, err := backoff.Retry(ctx, func() (int, error) { return 1, s.try() },
					backoff.WithMaxTries(inlineAttempts),
					backoff.WithBackOff(&backoff.ExponentialBackOff{
						InitialInterval:     inlineBase,
						MaxInterval:         inlineMax,
						Multiplier:          2,
						RandomizationFactor: 0.5,
					}))
				return err
			}),
		}, {
			form:  "options",
			note:  "a slice of options made once, with a `ConstantBackOff`: the only kind with a pause that calls may share, as the others hold the state of one call. A pause of zero starts a real timer",
			loads: prepared | shared | fresh | permanent | two | ten | waiting | late,
			prepare: func(_ context.Context, pause time.Duration) op {
				options := cenkaltiOptions(pause)
				return func(ctx context.Context, s *script) error {
					_, err := backoff.Retry(ctx, func() (int, error) { return 1, s.try() }, options...)
					return err
				}
			},
		}, {
			form:  "options,marked-each-time",
			note:  "the operation calls `Permanent` each time, as its README shows",
			loads: permanent,
			prepare: func(_ context.Context, pause time.Duration) op {
				options := cenkaltiOptions(pause)
				return func(ctx context.Context, s *script) error {
					_, err := backoff.Retry(ctx, func() (int, error) { return 1, backoff.Permanent(s.try()) }, options...)
					return err
				}
			},
		}},
	},
	{
		name:      "codegroove",
		path:      "github.com/codeGROOVE-dev/retry",
		cannot:    "prepare a policy: every call resolves its options",
		permanent: codegroove.Unrecoverable,
		rows: []row{{
			form:  "README,no-ctx",
			note:  "`Do(fn, Attempts)`, as its README shows",
			loads: inline,
			noCtx: true,
			prepare: writtenInline(func(_ context.Context, s *script) error {
				return codegroove.Do(func() error { return s.try() },
					codegroove.Attempts(inlineAttempts))
			}),
		}, {
			form:  "Do",
			note:  "the same with `Context`, `Delay` and `MaxDelay`",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				return codegroove.Do(func() error { return s.try() },
					codegroove.Context(ctx),
					codegroove.Attempts(inlineAttempts),
					codegroove.Delay(inlineBase),
					codegroove.MaxDelay(inlineMax))
			}),
		}, {
			form:  "options",
			note:  "a slice of options made once, with `Context(ctx)` and `LastErrorOnly(true)`; every call resolves it again. A pause of zero starts a real timer",
			loads: prepared | shared | permanent | two | ten | waiting | late,
			prepare: func(ctx context.Context, pause time.Duration) op {
				return codegrooveOp(append(codegrooveOptions(pause), codegroove.Context(ctx))...)
			},
		}, {
			form:  "options,own-ctx",
			note:  "options made once, but for the `Context` of each call",
			loads: fresh,
			prepare: func(_ context.Context, pause time.Duration) op {
				o := codegrooveOptions(pause)
				return func(ctx context.Context, s *script) error {
					return codegroove.Do(func() error { return s.try() }, o[0], o[1], o[2], o[3], codegroove.Context(ctx))
				}
			},
		}, {
			form:  "options,fake-timer,no-ctx",
			note:  "`WithTimer` with one that is always due, and its default backoff and jitter",
			loads: two | ten,
			noCtx: true,
			prepare: func(context.Context, time.Duration) op {
				return codegrooveOp(codegroove.Attempts(preparedAttempts), codegroove.LastErrorOnly(true), codegroove.WithTimer(due))
			},
		}, {
			form:  "options,fake-timer,fixed-delay,no-ctx",
			note:  "that timer and a fixed delay",
			loads: two | ten,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				return codegrooveOp(append(codegrooveOptions(pause), codegroove.WithTimer(due))...)
			},
		}},
	},
	{
		name:   "eapache",
		path:   "github.com/eapache/go-resiliency/retrier",
		cannot: "inject a timer; mark an error as permanent where it arises",
		rows: []row{{
			form:  "README,no-ctx",
			note:  "`New(ConstantBackoff, nil).Run(fn)`, as its README shows",
			loads: inline,
			noCtx: true,
			prepare: writtenInline(func(_ context.Context, s *script) error {
				r := retrier.New(retrier.ConstantBackoff(inlineAttempts-1, inlineBase), nil)
				return r.Run(func() error { return s.try() })
			}),
		}, {
			form:  "RunFn",
			note:  "`New(LimitedExponentialBackoff, nil).RunFn(ctx, fn)`; most of it is the seeding of a generator",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				r := retrier.New(retrier.LimitedExponentialBackoff(inlineAttempts-1, inlineBase, inlineMax), nil)
				return r.RunFn(ctx, func(context.Context, int) error { return s.try() })
			}),
		}, {
			form:  "Retrier.Run,no-ctx",
			note:  "a Retrier made once, and `Run`",
			loads: prepared | shared | fresh,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				r := eapacheRetrier(pause, nil)
				return func(_ context.Context, s *script) error {
					return r.Run(func() error { return s.try() })
				}
			},
		}, {
			form:  "Retrier.RunFn",
			note:  "a Retrier made once, and `RunFn`, its fastest form with a ctx. A pause of zero starts a real timer",
			loads: prepared | shared | fresh | two | ten | waiting | late,
			prepare: func(_ context.Context, pause time.Duration) op {
				return eapacheOp(eapacheRetrier(pause, nil))
			},
		}, {
			form:  "Retrier.RunFn,blacklist",
			note:  "the error is named in a `BlacklistClassifier`: there is no marker",
			loads: permanent,
			prepare: func(_ context.Context, pause time.Duration) op {
				return eapacheOp(eapacheRetrier(pause, retrier.BlacklistClassifier{errPermanent}))
			},
		}},
	},
	{
		name:   "failsafe",
		path:   "github.com/failsafe-go/failsafe-go",
		cannot: "inject a timer; mark an error as permanent where it arises",
		rows: []row{{
			form:  "With.Run",
			note:  "builder, policy and executor made in the call, with `WithContext`",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				policy := retrypolicy.NewBuilder[any]().
					WithMaxAttempts(inlineAttempts).
					WithBackoff(inlineBase, inlineMax).
					Build()
				return failsafe.With(policy).WithContext(ctx).Run(func() error { return s.try() })
			}),
		}, {
			form:  "With(policy).Get,no-ctx",
			note:  "the policy made once, `failsafe.With(policy).Get(fn)` in each call, as its package comment shows",
			loads: prepared | shared | fresh,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				policy := retrypolicy.NewBuilder[int]().WithMaxAttempts(preparedAttempts).WithDelay(pause).Build()
				return func(_ context.Context, s *script) error {
					_, err := failsafe.With(policy).Get(func() (int, error) { return 1, s.try() })
					return err
				}
			},
		}, {
			form:  "Executor",
			note:  "an executor made once, with its ctx, and `Run`. A pause of zero starts a real timer",
			loads: prepared | shared | two | ten | waiting | late,
			prepare: func(ctx context.Context, pause time.Duration) op {
				return failsafeOp(ctx, failsafeBuilder(pause))
			},
		}, {
			form:  "Executor.WithContext",
			note:  "an executor made once, `WithContext(ctx).Run(fn)` in each call",
			loads: fresh,
			prepare: func(_ context.Context, pause time.Duration) op {
				executor := failsafe.With(failsafeBuilder(pause).Build())
				return func(ctx context.Context, s *script) error {
					return executor.WithContext(ctx).Run(func() error { return s.try() })
				}
			},
		}, {
			form:  "Executor,AbortOnErrors",
			note:  "the error is named in the policy: there is no marker",
			loads: permanent,
			prepare: func(ctx context.Context, pause time.Duration) op {
				return failsafeOp(ctx, failsafeBuilder(pause).AbortOnErrors(errPermanent))
			},
		}},
	},
	{
		name:       "k8s",
		path:       "k8s.io/apimachinery/pkg/util/wait",
		cannot:     "inject a timer; tell the caller the last temporary error",
		losesError: true,
		rows: []row{{
			form:  "inline",
			note:  "`ExponentialBackoffWithContext` with a `Backoff` literal",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				return wait.ExponentialBackoffWithContext(ctx, wait.Backoff{
					Steps: inlineAttempts, Duration: inlineBase, Cap: inlineMax, Factor: 2, Jitter: 0.5,
				}, func(context.Context) (bool, error) { return s.try() == nil, nil })
			}),
		}, {
			form:  "inline,no-ctx",
			note:  "`ExponentialBackoff` with a `Backoff` literal",
			loads: inline,
			noCtx: true,
			prepare: writtenInline(func(_ context.Context, s *script) error {
				return wait.ExponentialBackoff(wait.Backoff{
					Steps: inlineAttempts, Duration: inlineBase, Cap: inlineMax, Factor: 2, Jitter: 0.5,
				}, func() (bool, error) { return s.try() == nil, nil })
			}),
		}, {
			form:  "Backoff",
			note:  "`ExponentialBackoffWithContext` with a `Backoff` made once. It tells temporary failure from success by a bool and forgets the error. A pause of zero starts a real timer",
			loads: prepared | shared | fresh | two | ten | waiting | late,
			prepare: func(_ context.Context, pause time.Duration) op {
				b := wait.Backoff{Steps: preparedAttempts, Duration: pause}
				return func(ctx context.Context, s *script) error {
					return wait.ExponentialBackoffWithContext(ctx, b, func(context.Context) (bool, error) { return s.try() == nil, nil })
				}
			},
		}, {
			form:  "Backoff,no-ctx",
			note:  "`ExponentialBackoff`: a pause is a `time.Sleep`, which returns at once for a pause of zero and cannot be cancelled",
			loads: prepared | shared | fresh | two | ten,
			noCtx: true,
			prepare: func(_ context.Context, pause time.Duration) op {
				b := wait.Backoff{Steps: preparedAttempts, Duration: pause}
				return func(_ context.Context, s *script) error {
					return wait.ExponentialBackoff(b, func() (bool, error) { return s.try() == nil, nil })
				}
			},
		}, {
			form:  "Backoff,error",
			note:  "the condition returns the error, which ends the loop: there is no marker",
			loads: permanent,
			prepare: func(_ context.Context, pause time.Duration) op {
				b := wait.Backoff{Steps: preparedAttempts, Duration: pause}
				return func(ctx context.Context, s *script) error {
					return wait.ExponentialBackoffWithContext(ctx, b, func(context.Context) (bool, error) { return true, s.try() })
				}
			},
		}},
	},
	{
		name:      "sethvargo",
		path:      "github.com/sethvargo/go-retry",
		cannot:    "inject a timer; prepare a backoff with a limit: it holds the state of one call",
		retryable: sethvargo.RetryableError,
		rows: []row{{
			form:  "README",
			note:  "`Do` with `NewExponential`, `WithCappedDuration` and `WithMaxRetries`, as its README shows",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				b := sethvargo.NewExponential(inlineBase)
				b = sethvargo.WithCappedDuration(inlineMax, b)
				b = sethvargo.WithMaxRetries(inlineAttempts-1, b)
				return sethvargo.Do(ctx, b, func(context.Context) error { return sethvargo.RetryableError(s.try()) })
			}),
		}, {
			form:  "BackoffFunc",
			note:  "`Do` with a `BackoffFunc` written by hand that does the same: its fastest form",
			loads: inline,
			prepare: writtenInline(func(ctx context.Context, s *script) error {
				n, pause := 0, inlineBase
				b := sethvargo.BackoffFunc(func() (time.Duration, bool) {
					n++
					now := pause
					pause = min(2*pause, inlineMax)
					return now, n == inlineAttempts
				})
				return sethvargo.Do(ctx, b, func(context.Context) error { return sethvargo.RetryableError(s.try()) })
			}),
		}, {
			form:  "BackoffFunc-each-call",
			note:  "a Backoff with a limit holds the state of one call, so none can be prepared: a `BackoffFunc` is made in each call. Errors are permanent unless marked. A pause of zero starts a real timer",
			loads: prepared | shared | fresh | permanent | two | ten | waiting | late,
			prepare: func(_ context.Context, pause time.Duration) op {
				return func(ctx context.Context, s *script) error {
					return sethvargo.Do(ctx, sethvargoBackoff(pause), func(context.Context) error { return s.try() })
				}
			},
		}, {
			form:  "BackoffFunc-each-call,marked-each-time",
			note:  "fn calls `RetryableError` each time, as its README shows",
			loads: two | ten,
			prepare: func(_ context.Context, pause time.Duration) op {
				return func(ctx context.Context, s *script) error {
					return sethvargo.Do(ctx, sethvargoBackoff(pause), func(context.Context) error {
						return sethvargo.RetryableError(s.try())
					})
				}
			},
		}},
	},
}

// rows returns the rows of all libraries for a load, in order.
func rows(l load) []row {
	var list []row
	for _, lib := range libraries {
		for _, r := range lib.rows {
			if r.loads&l != 0 {
				r.lib = lib
				list = append(list, r)
			}
		}
	}
	return list
}

// script returns an operation that fails n times with err, marked as the
// library wants it.
func (lib *library) script(n int, err error) *script {
	mark := lib.retryable
	if err == errPermanent {
		mark = lib.permanent
	}
	if mark != nil {
		err = mark(err)
	}
	return &script{failures: n, err: err}
}

// byHand is the floor.
func byHand(ctx context.Context, attempts int, base, limit time.Duration, fn func(context.Context) error) error {
	pause := base
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := fn(ctx)
		if err == nil || n == attempts || errors.Is(err, errPermanent) {
			return err
		}
		if pause > 0 {
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
		}
		pause = min(2*pause, limit)
	}
}

// A clock does not sleep.
type clock struct{}

func (clock) Now() time.Time                                   { return time.Time{} }
func (clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// due is a timer of the kind that avast and codegroove take, always due: for a
// closed channel there is nothing to allocate and nothing to wait for.
var due = func() dueTimer {
	c := make(chan time.Time)
	close(c)
	return dueTimer{c}
}()

type dueTimer struct{ c chan time.Time }

func (t dueTimer) After(time.Duration) <-chan time.Time { return t.c }

func retryPolicy(pause time.Duration) retry.Option {
	return retry.Policy(
		retry.WithMaxAttempts(preparedAttempts),
		retry.WithBackoff(retry.Constant(pause)),
		retry.WithJitter(retry.NoJitter))
}

func avastOptions(pause time.Duration) []avast.Option {
	return []avast.Option{
		avast.Attempts(preparedAttempts),
		avast.Delay(pause),
		avast.DelayType(avast.FixedDelay),
		avast.LastErrorOnly(true),
	}
}

func avastOp(options ...avast.Option) op {
	r := avast.New(options...)
	return func(_ context.Context, s *script) error {
		return r.Do(func() error { return s.try() })
	}
}

func cenkaltiOptions(pause time.Duration) []backoff.RetryOption {
	return []backoff.RetryOption{
		backoff.WithMaxTries(preparedAttempts),
		backoff.WithBackOff(backoff.NewConstantBackOff(pause)),
		backoff.WithMaxElapsedTime(0),
	}
}

func codegrooveOptions(pause time.Duration) []codegroove.Option {
	return []codegroove.Option{
		codegroove.Attempts(preparedAttempts),
		codegroove.Delay(pause),
		codegroove.DelayType(codegroove.FixedDelay),
		codegroove.LastErrorOnly(true),
	}
}

func codegrooveOp(options ...codegroove.Option) op {
	return func(_ context.Context, s *script) error {
		return codegroove.Do(func() error { return s.try() }, options...)
	}
}

func eapacheRetrier(pause time.Duration, class retrier.Classifier) *retrier.Retrier {
	return retrier.New(retrier.ConstantBackoff(preparedAttempts-1, pause), class)
}

func eapacheOp(r *retrier.Retrier) op {
	return func(ctx context.Context, s *script) error {
		return r.RunFn(ctx, func(context.Context, int) error { return s.try() })
	}
}

func failsafeBuilder(pause time.Duration) retrypolicy.Builder[any] {
	return retrypolicy.NewBuilder[any]().WithMaxAttempts(preparedAttempts).WithDelay(pause)
}

func failsafeOp(ctx context.Context, b retrypolicy.Builder[any]) op {
	executor := failsafe.With(b.Build()).WithContext(ctx)
	return func(_ context.Context, s *script) error {
		return executor.Run(func() error { return s.try() })
	}
}

func sethvargoBackoff(pause time.Duration) sethvargo.Backoff {
	n := 0
	return sethvargo.BackoffFunc(func() (time.Duration, bool) {
		n++
		return pause, n == preparedAttempts
	})
}

package league

import (
	"context"
	"slices"
	"time"

	avast "github.com/avast/retry-go/v5"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	"github.com/cenkalti/backoff/v7"
	codegroove "github.com/codeGROOVE-dev/retry"
	"github.com/eapache/go-resiliency/retrier"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/googleapis/gax-go/v2"
	sethvargo "github.com/sethvargo/go-retry"
	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/util/wait"

	"example.com/retry"
)

// A library is a library used in one way.
type library struct {
	name, form string
	note       string
	path       string // import path
	guard      bool   // has a budget or a circuit breaker, which matter only if a service fails
	only       string // the only scenario in which the form takes part; empty means all
	make       func(p policy) call
}

const (
	readme = "README"
	expert = "expert"
	oracle = "oracle"
)

// The budgets that can be configured have ten tokens and gain a tenth of a token for each
// success.
const (
	budgetCapacity = 10
	budgetRatio    = 0.1
)

var libraries = []library{{
	name: oracle,
	note: "knows something that no caller can know, which the text above each table describes",
}, {
	name: "no retries",
	make: func(policy) call {
		return func(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }
	},
}, {
	name: "naive loop",
	note: "the policy's attempts, with `time.Sleep` of its base between them",
	make: func(p policy) call {
		return func(ctx context.Context, fn func(context.Context) error) error {
			for n := 1; ; n++ {
				err := fn(ctx)
				if err == nil || n == p.attempts {
					return err
				}
				time.Sleep(p.base)
			}
		}
	},
}, {
	name: "retry", form: readme,
	path: "example.com/retry",
	note: "`Do` without options",
	make: func(policy) call { return ours() },
}, {
	name: "retry", form: expert,
	note: "`Do` with the policy",
	make: func(p policy) call { return ours(own(p)) },
}, {
	name: "retry", form: "expert, budget",
	note:  "with `WithBudget`, one Budget for each client",
	guard: true,
	make: func(p policy) call {
		return ours(own(p), retry.WithBudget(retry.NewBudget(budgetCapacity, budgetRatio)))
	},
}, {
	name: "retry", form: "expert, breaker",
	note:  "with a circuit breaker of failsafe-go inside fn, one for each client: it opens for 5 s if half of at least 10 requests in 10 s fail; the error of an open breaker is marked with `Permanent`",
	guard: true,
	make: func(p policy) call {
		do := ours(own(p))
		breaker := circuitbreaker.NewBuilder[any]().
			WithFailureRateThreshold(.5, 10, 10*time.Second).
			WithDelay(5 * time.Second).
			Build()
		return func(ctx context.Context, fn func(context.Context) error) error {
			return do(ctx, func(ctx context.Context) error {
				if !breaker.TryAcquirePermit() {
					return retry.Permanent(circuitbreaker.ErrOpen)
				}
				err := fn(ctx)
				breaker.RecordError(err)
				return err
			})
		}
	},
}, {
	name: "retry", form: "expert, filter",
	only: "faults",
	note: "with `WithRetryIf` and a predicate that knows the listed fault",
	make: func(p policy) call { return ours(own(p), retry.WithRetryIf(known)) },
}, {
	name: "avast", form: readme,
	path: "github.com/avast/retry-go/v5",
	note: "`New(Attempts(5), Delay(100ms)).Do`; no ctx",
	make: func(policy) call {
		r := avast.New(avast.Attempts(5), avast.Delay(100*time.Millisecond))
		return func(ctx context.Context, fn func(context.Context) error) error {
			return r.Do(func() error { return fn(ctx) })
		}
	},
}, {
	name: "avast", form: expert,
	note: "a Retrier for each call, because a Retrier contains the ctx. A DelayType of full jitter adds what the server asks for: `MaxDelay` would cut off the sum, and `FullJitterBackoffDelay` doubles the base before the first wait",
	make: func(p policy) call { return avastExpert(p) },
}, {
	name: "avast", form: "expert, budget",
	note:  "with its token bucket, configured as this package's Budget",
	guard: true,
	make: func(p policy) call {
		return avastExpert(p, avast.WithThrottle(avast.NewFixedTokenBucketThrottle(avast.FixedTokenBucketThrottleConfig{
			MaxCapacity: 10 * budgetCapacity, ThrottleCost: 10, FirstSuccessReleaseCost: 1,
		})))
	},
}, {
	name: "aws", form: readme,
	path: "github.com/aws/aws-sdk-go-v2/aws/retry",
	note: "`NewStandard` with `MaxAttempts` 5, as its package comment shows: base 50 ms, a base of 1 s if throttled, a bucket of 500 tokens of which a retry takes 14, or 5 if throttled. Retries only the errors that it knows",
	make: func(policy) call {
		return awsCall(policy{}, func(o *awsretry.StandardOptions) { o.MaxAttempts = 5 })
	},
}, {
	name: "aws", form: expert,
	note: "the policy without the bucket. It reads only `X-Amz-Retry-After`, so the Backoff adds what the server asks for",
	make: func(p policy) call {
		return awsCall(p, awsPolicy(p), func(o *awsretry.StandardOptions) { o.RateLimiter = ratelimit.None })
	},
}, {
	name: "aws", form: "expert, budget",
	note:  "with its bucket, configured as this package's Budget",
	guard: true,
	make: func(p policy) call {
		return awsCall(p, awsPolicy(p), func(o *awsretry.StandardOptions) {
			o.RateLimiter = ratelimit.NewTokenRateLimit(10 * budgetCapacity)
			o.RetryCost, o.ThrottlingRetryCost, o.NoRetryIncrement = 10, 10, 1
		})
	},
}, {
	name: "cenkalti", form: readme,
	path: "github.com/cenkalti/backoff/v7",
	note: "`Retry(ctx, op, WithMaxTries(5))`",
	make: func(policy) call {
		return func(ctx context.Context, fn func(context.Context) error) error {
			_, err := backoff.Retry(ctx, func() (any, error) { return nil, fn(ctx) }, backoff.WithMaxTries(5))
			return err
		}
	},
}, {
	name: "cenkalti", form: expert,
	note: "a randomization factor of 1 around half the ceiling is full jitter. `RetryAfter` replaces the backoff and gets no jitter, so the operation adds some",
	make: cenkaltiExpert,
}, {
	name: "codegroove", form: readme,
	path: "github.com/codeGROOVE-dev/retry",
	note: "`Do(fn, Attempts(5))`; no ctx",
	make: func(policy) call {
		return func(ctx context.Context, fn func(context.Context) error) error {
			return codegroove.Do(func() error { return fn(ctx) }, codegroove.Attempts(5))
		}
	},
}, {
	name: "codegroove", form: expert,
	note: "a DelayType as for avast, for the same reasons",
	make: codegrooveExpert,
}, {
	name: "eapache", form: readme,
	path: "github.com/eapache/go-resiliency/retrier",
	note: "`New(ConstantBackoff(3, 100ms), nil).Run`; no ctx",
	make: func(policy) call {
		r := retrier.New(retrier.ConstantBackoff(3, 100*time.Millisecond), nil)
		return func(ctx context.Context, fn func(context.Context) error) error {
			return r.Run(func() error { return fn(ctx) })
		}
	},
}, {
	name: "eapache", form: expert,
	note: "a jitter of 1 around half the ceiling is full jitter. The waits are a list, so it cannot wait as long as a server asks. `WithSurfaceWorkErrors` would return the fault in place of the ctx's error",
	make: eapacheExpert,
}, {
	name: "failsafe", form: readme,
	path: "github.com/failsafe-go/failsafe-go",
	note: "`With(retrypolicy.NewWithDefaults()).Run`: 3 attempts, no delay; no ctx",
	make: func(policy) call {
		executor := failsafe.With(retrypolicy.NewWithDefaults[any]())
		return func(ctx context.Context, fn func(context.Context) error) error {
			return executor.Run(func() error { return fn(ctx) })
		}
	},
}, {
	name: "failsafe", form: expert,
	note: "a DelayFunc with full jitter that adds what the server asks for: `WithJitterFactor` would also shorten the delay that the server asked for",
	make: func(p policy) call { return failsafeExpert(p, failsafePolicy(p)) },
}, {
	name: "failsafe", form: "expert, budget",
	note:  "with `WithBudget(budget.New())`: a fifth of the calls in flight, but at least three, may be retries",
	guard: true,
	make: func(p policy) call {
		return failsafeExpert(p, failsafePolicy(p).WithBudget(budget.New()))
	},
}, {
	name: "gax", form: readme,
	path: "github.com/googleapis/gax-go/v2",
	note: "`Invoke` with `OnCodes(Unknown, Unavailable)` and a backoff from 1 s to 32 s, as its examples show: no limit except the ctx",
	make: func(policy) call {
		return gaxCall(func() gax.Retryer {
			return gax.OnCodes([]codes.Code{codes.Unknown, codes.Unavailable},
				gax.Backoff{Initial: time.Second, Max: 32 * time.Second, Multiplier: 2})
		}, policy{})
	},
}, {
	name: "gax", form: expert,
	note: "a Retryer that counts attempts around `OnErrorFunc`, and adds what the server asks for",
	make: func(p policy) call {
		return gaxCall(func() gax.Retryer {
			return &gaxRetryer{p: p, Retryer: gax.OnErrorFunc(gax.Backoff{Initial: p.base, Max: p.max, Multiplier: 2}, known)}
		}, p)
	},
}, {
	name: "k8s", form: readme,
	path: "k8s.io/apimachinery/pkg/util/wait",
	note: "`ExponentialBackoff` with the `DefaultRetry` of client-go (5 attempts, 10 ms apart); returns the last error, as `RetryOnConflict` does; no ctx",
	make: func(policy) call {
		return func(ctx context.Context, fn func(context.Context) error) error {
			var last error
			err := wait.ExponentialBackoff(wait.Backoff{Steps: 5, Duration: 10 * time.Millisecond, Factor: 1, Jitter: .1},
				func() (bool, error) { last = fn(ctx); return last == nil, nil })
			if wait.Interrupted(err) {
				return last
			}
			return err
		}
	},
}, {
	name: "k8s", form: expert,
	note: "`DelayFunc.Until` with a DelayFunc of full jitter that adds what the server asks for, and a condition that counts attempts: a Backoff ends when it reaches its Cap, and its jitter only adds",
	make: k8sExpert,
}, {
	name: "sethvargo", form: readme,
	path: "github.com/sethvargo/go-retry",
	note: "`Fibonacci(ctx, 1s, fn)`, where fn marks every error: no limit except the ctx, no jitter",
	make: func(policy) call {
		return func(ctx context.Context, fn func(context.Context) error) error {
			return sethvargo.Fibonacci(ctx, time.Second, func(ctx context.Context) error {
				return sethvargo.RetryableError(fn(ctx))
			})
		}
	},
}, {
	name: "sethvargo", form: expert,
	note: "its middleware for the cap, full jitter, and the limit; a custom Backoff adds what the server asks for. fn marks the known faults",
	make: sethvargoExpert,
}}

func ours(opts ...retry.Option) call {
	policy := retry.Policy(opts...)
	return func(ctx context.Context, fn func(context.Context) error) error { return retry.Do(ctx, fn, policy) }
}

func own(p policy) retry.Option {
	opts := []retry.Option{
		retry.WithMaxAttempts(p.attempts),
		retry.WithBackoff(retry.Exponential{Base: p.base, Max: p.max}),
	}
	if p.noJitter {
		opts = append(opts, retry.WithJitter(retry.NoJitter))
	}
	if p.limit > 0 {
		opts = append(opts, retry.WithAttemptTimeout(p.limit))
	}
	return retry.Policy(opts...)
}

func avastExpert(p policy, more ...avast.Option) call {
	options := append([]avast.Option{
		avast.Attempts(uint(p.attempts)),
		avast.DelayType(func(n uint, err error, _ avast.DelayContext) time.Duration { return p.pause(int(n), err) }),
	}, more...)
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		return avast.New(append(slices.Clone(options), avast.Context(ctx))...).Do(func() error { return fn(ctx) })
	}
}

func awsPolicy(p policy) func(*awsretry.StandardOptions) {
	return func(o *awsretry.StandardOptions) {
		native := awsretry.NewStandard(func(o *awsretry.StandardOptions) {
			o.BaseDelay, o.MaxBackoff, o.Throttles = p.base, p.max, nil
		})
		o.MaxAttempts = p.attempts
		o.Backoff = awsretry.BackoffDelayerFunc(func(n int, err error) (time.Duration, error) {
			if p.noJitter {
				return p.pause(n, err), nil
			}
			d, failed := native.RetryDelay(n, err)
			return retryAfter(err) + d, failed
		})
	}
}

// awsCall runs the middleware that a service client runs.
func awsCall(p policy, options ...func(*awsretry.StandardOptions)) call {
	attempts := awsretry.NewAttemptMiddleware(awsretry.NewStandard(options...), func(r any) any { return r })
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		_, _, err := attempts.HandleFinalize(ctx, middleware.FinalizeInput{}, middleware.FinalizeHandlerFunc(
			func(ctx context.Context, _ middleware.FinalizeInput) (middleware.FinalizeOutput, middleware.Metadata, error) {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fn(ctx)
			}))
		return err
	}
}

func cenkaltiExpert(p policy) call {
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		b := &backoff.ExponentialBackOff{InitialInterval: p.base / 2, MaxInterval: p.max / 2, Multiplier: 2, RandomizationFactor: 1}
		if p.noJitter {
			b = &backoff.ExponentialBackOff{InitialInterval: p.base, MaxInterval: p.max, Multiplier: 2}
		}
		_, err := backoff.Retry(ctx, func() (any, error) {
			err := fn(ctx)
			if retryAfter(err) > 0 {
				err = backoff.RetryAfter(p.pause(1, err), err)
			}
			return nil, err
		}, backoff.WithBackOff(b), backoff.WithMaxTries(uint(p.attempts)), backoff.WithMaxElapsedTime(0))
		return err
	}
}

func codegrooveExpert(p policy) call {
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		return codegroove.Do(func() error { return fn(ctx) },
			codegroove.Context(ctx),
			codegroove.Attempts(uint(p.attempts)),
			codegroove.DelayType(func(n uint, err error, _ *codegroove.Config) time.Duration { return p.pause(int(n), err) }))
	}
}

func eapacheExpert(p policy) call {
	base, limit, jitter := p.base/2, p.max/2, 1.0
	if p.noJitter {
		base, limit, jitter = p.base, p.max, 0
	}
	r := retrier.New(retrier.LimitedExponentialBackoff(p.attempts-1, base, limit), nil)
	r.SetJitter(jitter)
	return func(ctx context.Context, fn func(context.Context) error) error {
		return r.RunCtx(ctx, p.within(fn))
	}
}

func failsafePolicy(p policy) retrypolicy.Builder[any] {
	return retrypolicy.NewBuilder[any]().
		WithMaxAttempts(p.attempts).
		WithDelayFunc(func(exec failsafe.ExecutionAttempt[any]) time.Duration {
			return p.pause(exec.Attempts(), exec.LastError())
		})
}

func failsafeExpert(p policy, b retrypolicy.Builder[any]) call {
	executor := failsafe.With(b.Build())
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		return executor.WithContext(ctx).Run(func() error { return fn(ctx) })
	}
}

func gaxCall(retryer func() gax.Retryer, p policy) call {
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		return gax.Invoke(ctx, func(ctx context.Context, _ gax.CallSettings) error { return fn(ctx) }, gax.WithRetry(retryer))
	}
}

type gaxRetryer struct {
	gax.Retryer
	p policy
	n int
}

func (r *gaxRetryer) Retry(err error) (time.Duration, bool) {
	r.n++
	d, ok := r.Retryer.Retry(err)
	if r.p.noJitter {
		d = r.p.ceiling(r.n)
	}
	return retryAfter(err) + d, ok && r.n < r.p.attempts
}

func k8sExpert(p policy) call {
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		n := 0
		var last error
		delay := wait.DelayFunc(func() time.Duration { return p.pause(n, last) })
		return delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
			n++
			last = fn(ctx)
			if n == p.attempts {
				return true, last
			}
			return last == nil, nil
		})
	}
}

func sethvargoExpert(p policy) call {
	return func(ctx context.Context, fn func(context.Context) error) error {
		fn = p.within(fn)
		var last error
		b := sethvargo.WithCappedDuration(p.max, sethvargo.NewExponential(p.base))
		if !p.noJitter {
			b = sethvargo.WithFullJitter(b)
		}
		b = sethvargo.WithMaxRetries(uint64(p.attempts-1), b)
		return sethvargo.Do(ctx, sethvargo.BackoffFunc(func() (time.Duration, bool) {
			d, stop := b.Next()
			return retryAfter(last) + d, stop
		}), func(ctx context.Context) error {
			last = fn(ctx)
			if known(last) {
				return sethvargo.RetryableError(last)
			}
			return last
		})
	}
}

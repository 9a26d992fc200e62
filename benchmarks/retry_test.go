package main

import (
	"context"
	"time"

	"example.com/retry"
)

// The compiler does not know the values of these variables.
var (
	variableAttempts              = inlineAttempts
	variableJitter   retry.Jitter = retry.NoJitter
)

var retryLibrary = library{
	name:      "retry",
	permanent: retry.Permanent,
	forms: []form{{
		name:  "constants",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return retry.Do(ctx, func(context.Context) error { return s.try() },
				retry.WithMaxAttempts(inlineAttempts),
				retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}))
		}),
	}, {
		name:  "DoValue",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			_, err := retry.DoValue(ctx, func(context.Context) (int, error) { return 1, s.try() },
				retry.WithMaxAttempts(inlineAttempts),
				retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}))
			return err
		}),
	}, {
		name:  "variables",
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
		name:  "Policy",
		loads: prepared | deep | shared | fresh | permanent | two | ten | waiting | million | late,
		prepare: func(_ context.Context, pause time.Duration) op {
			policy := retryPolicy(pause)
			return func(ctx context.Context, s *script) error {
				return retry.Do(ctx, func(context.Context) error { return s.try() }, policy)
			}
		},
	}, {
		name:  "Policy,DoValue",
		loads: prepared | waiting,
		prepare: func(_ context.Context, pause time.Duration) op {
			policy := retryPolicy(pause)
			return func(ctx context.Context, s *script) error {
				_, err := retry.DoValue(ctx, func(context.Context) (int, error) { return 1, s.try() }, policy)
				return err
			}
		},
	}, {
		name:  "WrapUnary",
		loads: prepared | shared | waiting,
		prepare: func(_ context.Context, pause time.Duration) op {
			call := retry.WrapUnary(func(_ context.Context, s *script) (int, error) { return 1, s.try() }, retryPolicy(pause))
			return func(ctx context.Context, s *script) error {
				_, err := call(ctx, s)
				return err
			}
		},
	}, {
		name:  "Policy,marked-each-time",
		loads: permanent,
		prepare: func(_ context.Context, pause time.Duration) op {
			policy := retryPolicy(pause)
			return func(ctx context.Context, s *script) error {
				return retry.Do(ctx, func(context.Context) error { return retry.Permanent(s.try()) }, policy)
			}
		},
	}, {
		// This form uses the default backoff and jitter, and a clock that does not sleep.
		name:  "Policy,WithClock",
		loads: two | ten,
		prepare: func(context.Context, time.Duration) op {
			policy := retry.Policy(retry.WithMaxAttempts(preparedAttempts), retry.WithClock(clock{}))
			return func(ctx context.Context, s *script) error {
				return retry.Do(ctx, func(context.Context) error { return s.try() }, policy)
			}
		},
	}},
}

func retryPolicy(pause time.Duration) retry.Option {
	return retry.Policy(
		retry.WithMaxAttempts(preparedAttempts),
		retry.WithBackoff(retry.Constant(pause)),
		retry.WithJitter(retry.NoJitter))
}

// A clock does not sleep.
type clock struct{}

func (clock) Now() time.Time                                   { return time.Time{} }
func (clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

package main

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v7"
)

// An exponential backoff of cenkalti stores the state of one call, so a prepared
// form has a ConstantBackOff. A pause of zero starts a timer.
var cenkaltiLibrary = library{
	name:      "cenkalti",
	permanent: backoff.Permanent,
	forms: []form{{
		name:  "README",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			_, err := backoff.Retry(ctx, func() (int, error) { return 1, s.try() },
				backoff.WithMaxTries(inlineAttempts))
			return err
		}),
	}, {
		name:  "WithBackOff",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
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
		name:  "options",
		loads: prepared | deep | shared | fresh | permanent | two | ten | waiting | late,
		prepare: func(_ context.Context, pause time.Duration) op {
			options := cenkaltiOptions(pause)
			return func(ctx context.Context, s *script) error {
				_, err := backoff.Retry(ctx, func() (int, error) { return 1, s.try() }, options...)
				return err
			}
		},
	}, {
		// As in the README.
		name:  "options,marked-each-time",
		loads: permanent,
		prepare: func(_ context.Context, pause time.Duration) op {
			options := cenkaltiOptions(pause)
			return func(ctx context.Context, s *script) error {
				_, err := backoff.Retry(ctx, func() (int, error) { return 1, backoff.Permanent(s.try()) }, options...)
				return err
			}
		},
	}},
}

func cenkaltiOptions(pause time.Duration) []backoff.RetryOption {
	return []backoff.RetryOption{
		backoff.WithMaxTries(preparedAttempts),
		backoff.WithBackOff(backoff.NewConstantBackOff(pause)),
		backoff.WithMaxElapsedTime(0),
	}
}

package main

import (
	"context"
	"time"

	"github.com/sethvargo/go-retry"
)

// A Backoff of sethvargo that has a limit stores the state of one call, so every
// call makes its own. Errors are permanent unless marked. A pause of zero starts
// a timer.
var sethvargoLibrary = library{
	name:      "sethvargo",
	retryable: retry.RetryableError,
	forms: []form{{
		name:  "README",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			b := retry.NewExponential(inlineBase)
			b = retry.WithCappedDuration(inlineMax, b)
			b = retry.WithMaxRetries(inlineAttempts-1, b)
			return retry.Do(ctx, b, func(context.Context) error { return retry.RetryableError(s.try()) })
		}),
	}, {
		// The fastest form of sethvargo is a BackoffFunc that does the same.
		name:  "BackoffFunc",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			n, pause := 0, inlineBase
			b := retry.BackoffFunc(func() (time.Duration, bool) {
				n++
				now := pause
				pause = min(2*pause, inlineMax)
				return now, n == inlineAttempts
			})
			return retry.Do(ctx, b, func(context.Context) error { return retry.RetryableError(s.try()) })
		}),
	}, {
		name:  "BackoffFunc-each-call",
		loads: prepared | deep | shared | fresh | permanent | two | ten | waiting | late,
		prepare: func(_ context.Context, pause time.Duration) op {
			return func(ctx context.Context, s *script) error {
				return retry.Do(ctx, sethvargoBackoff(pause), func(context.Context) error { return s.try() })
			}
		},
	}, {
		// As in the README.
		name:  "BackoffFunc-each-call,marked-each-time",
		loads: two | ten,
		prepare: func(_ context.Context, pause time.Duration) op {
			return func(ctx context.Context, s *script) error {
				return retry.Do(ctx, sethvargoBackoff(pause), func(context.Context) error {
					return retry.RetryableError(s.try())
				})
			}
		},
	}},
}

func sethvargoBackoff(pause time.Duration) retry.Backoff {
	n := 0
	return retry.BackoffFunc(func() (time.Duration, bool) {
		n++
		return pause, n == preparedAttempts
	})
}

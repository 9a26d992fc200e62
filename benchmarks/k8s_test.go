package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// In package wait, fn reports a temporary failure as false and a nil error, so the error
// of the failure is lost. An error that fn returns is permanent. A pause of zero starts a
// timer, except in a form without ctx, which calls time.Sleep.
var k8sLibrary = library{
	name:       "k8s",
	losesError: true,
	forms: []form{{
		name:  "literal",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return wait.ExponentialBackoffWithContext(ctx, wait.Backoff{
				Steps: inlineAttempts, Duration: inlineBase, Cap: inlineMax, Factor: 2, Jitter: 0.5,
			}, func(context.Context) (bool, error) { return s.try() == nil, nil })
		}),
	}, {
		name:  "Backoff",
		loads: prepared | deep | shared | fresh | two | ten | waiting | late,
		prepare: func(_ context.Context, pause time.Duration) op {
			b := wait.Backoff{Steps: preparedAttempts, Duration: pause}
			return func(ctx context.Context, s *script) error {
				return wait.ExponentialBackoffWithContext(ctx, b, func(context.Context) (bool, error) { return s.try() == nil, nil })
			}
		},
	}, {
		name:  "Backoff,no-ctx",
		loads: prepared | shared | two | ten,
		noCtx: true,
		prepare: func(_ context.Context, pause time.Duration) op {
			b := wait.Backoff{Steps: preparedAttempts, Duration: pause}
			return func(_ context.Context, s *script) error {
				return wait.ExponentialBackoff(b, func() (bool, error) { return s.try() == nil, nil })
			}
		},
	}, {
		name:  "Backoff,error",
		loads: permanent,
		prepare: func(_ context.Context, pause time.Duration) op {
			b := wait.Backoff{Steps: preparedAttempts, Duration: pause}
			return func(ctx context.Context, s *script) error {
				return wait.ExponentialBackoffWithContext(ctx, b, func(context.Context) (bool, error) { return true, s.try() })
			}
		},
	}},
}

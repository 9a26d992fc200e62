package main

import (
	"context"
	"time"

	"github.com/eapache/go-resiliency/retrier"
)

// Package retrier has no marker for a permanent error: the policy names it. A
// pause of zero starts a timer.
var eapacheLibrary = library{
	name: "eapache",
	forms: []form{{
		name:  "README,no-ctx",
		loads: inline,
		noCtx: true,
		prepare: inCall(func(_ context.Context, s *script) error {
			r := retrier.New(retrier.ConstantBackoff(inlineAttempts-1, inlineBase), nil)
			return r.Run(func() error { return s.try() })
		}),
	}, {
		// This form spends most of its time on seeding a random number generator.
		name:  "RunFn",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			r := retrier.New(retrier.LimitedExponentialBackoff(inlineAttempts-1, inlineBase, inlineMax), nil)
			return r.RunFn(ctx, func(context.Context, int) error { return s.try() })
		}),
	}, {
		name:  "README-Retrier,no-ctx",
		loads: prepared | shared,
		noCtx: true,
		prepare: func(_ context.Context, pause time.Duration) op {
			r := eapacheRetrier(pause, nil)
			return func(_ context.Context, s *script) error {
				return r.Run(func() error { return s.try() })
			}
		},
	}, {
		name:  "Retrier.RunFn",
		loads: prepared | deep | shared | fresh | two | ten | waiting | late,
		prepare: func(_ context.Context, pause time.Duration) op {
			return eapacheOp(eapacheRetrier(pause, nil))
		},
	}, {
		name:  "Retrier.RunFn,blacklist",
		loads: permanent,
		prepare: func(_ context.Context, pause time.Duration) op {
			return eapacheOp(eapacheRetrier(pause, retrier.BlacklistClassifier{errPermanent}))
		},
	}},
}

func eapacheRetrier(pause time.Duration, class retrier.Classifier) *retrier.Retrier {
	return retrier.New(retrier.ConstantBackoff(preparedAttempts-1, pause), class)
}

func eapacheOp(r *retrier.Retrier) op {
	return func(ctx context.Context, s *script) error {
		return r.RunFn(ctx, func(context.Context, int) error { return s.try() })
	}
}

package main

import (
	"context"
	"time"

	"github.com/avast/retry-go/v5"
)

// A Retrier of avast contains the ctx of its calls, so every call with a different ctx
// needs a new Retrier.
var avastLibrary = library{
	name:      "avast",
	permanent: retry.Unrecoverable,
	forms: []form{{
		name:  "README,no-ctx",
		loads: inline,
		noCtx: true,
		prepare: inCall(func(_ context.Context, s *script) error {
			return retry.New(
				retry.Attempts(inlineAttempts),
				retry.Delay(inlineBase),
			).Do(func() error { return s.try() })
		}),
	}, {
		name:  "New.Do",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return retry.New(
				retry.Context(ctx),
				retry.Attempts(inlineAttempts),
				retry.Delay(inlineBase),
				retry.MaxDelay(inlineMax),
			).Do(func() error { return s.try() })
		}),
	}, {
		// This is the README's reusable Retrier, but it keeps only the last error, which is faster.
		name:  "README-Retrier,no-ctx",
		loads: prepared | shared | two | ten,
		noCtx: true,
		prepare: func(_ context.Context, pause time.Duration) op {
			return avastOp(retry.New(avastOptions(pause)...))
		},
	}, {
		name:  "Retrier",
		loads: prepared | deep | shared | permanent | two | ten | waiting | late,
		prepare: func(ctx context.Context, pause time.Duration) op {
			return avastOp(retry.New(append(avastOptions(pause), retry.Context(ctx))...))
		},
	}, {
		name:  "New-each-call",
		loads: fresh,
		prepare: func(_ context.Context, pause time.Duration) op {
			o := avastOptions(pause)
			return func(ctx context.Context, s *script) error {
				return retry.New(o[0], o[1], o[2], o[3], retry.Context(ctx)).Do(func() error { return s.try() })
			}
		},
	}, {
		name:  "Retrier,marked-each-time,no-ctx",
		loads: permanent,
		noCtx: true,
		prepare: func(_ context.Context, pause time.Duration) op {
			r := retry.New(avastOptions(pause)...)
			return func(_ context.Context, s *script) error {
				return r.Do(func() error { return retry.Unrecoverable(s.try()) })
			}
		},
	}, {
		// This form uses the default backoff and jitter, and a timer that is always due.
		name:  "Retrier,fake-timer,no-ctx",
		loads: two | ten,
		noCtx: true,
		prepare: func(context.Context, time.Duration) op {
			return avastOp(retry.New(retry.Attempts(preparedAttempts), retry.LastErrorOnly(true), retry.WithTimer(due)))
		},
	}},
}

func avastOptions(pause time.Duration) []retry.Option {
	return []retry.Option{
		retry.Attempts(preparedAttempts),
		retry.Delay(pause),
		retry.DelayType(retry.FixedDelay),
		retry.LastErrorOnly(true),
	}
}

func avastOp(r *retry.Retrier) op {
	return func(_ context.Context, s *script) error {
		return r.Do(func() error { return s.try() })
	}
}

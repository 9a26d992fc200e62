package main

import (
	"context"
	"time"

	"github.com/codeGROOVE-dev/retry"
)

// Every call of codegroove applies its options again. A pause of zero starts a timer.
var codegrooveLibrary = library{
	name:      "codegroove",
	permanent: retry.Unrecoverable,
	forms: []form{{
		name:  "README,no-ctx",
		loads: inline,
		noCtx: true,
		prepare: inCall(func(_ context.Context, s *script) error {
			return retry.Do(func() error { return s.try() }, retry.Attempts(inlineAttempts))
		}),
	}, {
		name:  "Do",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return retry.Do(func() error { return s.try() },
				retry.Context(ctx),
				retry.Attempts(inlineAttempts),
				retry.Delay(inlineBase),
				retry.MaxDelay(inlineMax))
		}),
	}, {
		name:  "options",
		loads: prepared | deep | shared | permanent | two | ten | waiting | late,
		prepare: func(ctx context.Context, pause time.Duration) op {
			return codegrooveOp(append(codegrooveOptions(pause), retry.Context(ctx))...)
		},
	}, {
		name:  "options,own-ctx",
		loads: fresh,
		prepare: func(_ context.Context, pause time.Duration) op {
			o := codegrooveOptions(pause)
			return func(ctx context.Context, s *script) error {
				return retry.Do(func() error { return s.try() }, o[0], o[1], o[2], o[3], retry.Context(ctx))
			}
		},
	}, {
		// This form uses the default backoff and jitter, and a timer that is always due.
		name:  "options,fake-timer,no-ctx",
		loads: two | ten,
		noCtx: true,
		prepare: func(context.Context, time.Duration) op {
			return codegrooveOp(retry.Attempts(preparedAttempts), retry.LastErrorOnly(true), retry.WithTimer(due))
		},
	}},
}

func codegrooveOptions(pause time.Duration) []retry.Option {
	return []retry.Option{
		retry.Attempts(preparedAttempts),
		retry.Delay(pause),
		retry.DelayType(retry.FixedDelay),
		retry.LastErrorOnly(true),
	}
}

func codegrooveOp(options ...retry.Option) op {
	return func(_ context.Context, s *script) error {
		return retry.Do(func() error { return s.try() }, options...)
	}
}

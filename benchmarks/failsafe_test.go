package main

import (
	"context"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// Failsafe has no marker for a permanent error: the policy names it. A pause of
// zero starts a timer.
var failsafeLibrary = library{
	name: "failsafe",
	forms: []form{{
		name:  "With.Run",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			policy := retrypolicy.NewBuilder[any]().
				WithMaxAttempts(inlineAttempts).
				WithBackoff(inlineBase, inlineMax).
				Build()
			return failsafe.With(policy).WithContext(ctx).Run(func() error { return s.try() })
		}),
	}, {
		// As in the package comment.
		name:  "doc,With(policy).Get,no-ctx",
		loads: prepared | shared,
		noCtx: true,
		prepare: func(_ context.Context, pause time.Duration) op {
			policy := retrypolicy.NewBuilder[int]().WithMaxAttempts(preparedAttempts).WithDelay(pause).Build()
			return func(_ context.Context, s *script) error {
				_, err := failsafe.With(policy).Get(func() (int, error) { return 1, s.try() })
				return err
			}
		},
	}, {
		name:  "Executor",
		loads: prepared | deep | shared | two | ten | waiting | late,
		prepare: func(ctx context.Context, pause time.Duration) op {
			return failsafeOp(ctx, failsafeBuilder(pause))
		},
	}, {
		name:  "Executor.WithContext",
		loads: fresh,
		prepare: func(_ context.Context, pause time.Duration) op {
			executor := failsafe.With(failsafeBuilder(pause).Build())
			return func(ctx context.Context, s *script) error {
				return executor.WithContext(ctx).Run(func() error { return s.try() })
			}
		},
	}, {
		name:  "Executor,AbortOnErrors",
		loads: permanent,
		prepare: func(ctx context.Context, pause time.Duration) op {
			return failsafeOp(ctx, failsafeBuilder(pause).AbortOnErrors(errPermanent))
		},
	}},
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

var failsafeClient = httpClient{
	lib: "failsafehttp", form: "RoundTripper",
	prepare: func(base http.RoundTripper) send {
		policy := failsafehttp.NewRetryPolicyBuilder().WithMaxAttempts(httpAttempts).Build()
		return sendWith(&http.Client{Transport: failsafehttp.NewRoundTripper(base, policy)})
	},
}

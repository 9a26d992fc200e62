//go:build !v1

package main

import (
	"context"
	"time"

	"example.com/retry"
)

// These forms need version 2. They are in a separate file, so that the other forms can be
// measured with version 1.
func init() {
	retryLibrary.forms = append(retryLibrary.forms, form{
		name:  "WithMaxRetryAfter",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return retry.Do(ctx, func(context.Context) error { return s.try() },
				retry.WithMaxAttempts(inlineAttempts),
				retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}),
				retry.WithMaxRetryAfter(5*time.Minute))
		}),
	}, form{
		name:  "WithMapError",
		loads: inline,
		prepare: inCall(func(ctx context.Context, s *script) error {
			return retry.Do(ctx, func(context.Context) error { return s.try() },
				retry.WithMaxAttempts(inlineAttempts),
				retry.WithBackoff(retry.Exponential{Base: inlineBase, Max: inlineMax}),
				retry.WithMapError(func(_ context.Context, err error) error { return err }))
		}),
	})
}

//go:build retry

package main

import (
	"context"
	"errors"

	"example.com/retry"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		return retry.Do(ctx, func(ctx context.Context) error {
			err := fn(ctx)
			if errors.Is(err, errPermanent) {
				return retry.Permanent(err)
			}
			return err
		}, retry.WithMaxAttempts(attempts), retry.WithBackoff(retry.Exponential{Base: base, Max: limit}))
	}
}

//go:build sethvargo

package main

import (
	"context"
	"errors"

	"github.com/sethvargo/go-retry"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		b := retry.NewExponential(base)
		b = retry.WithCappedDuration(limit, b)
		b = retry.WithMaxRetries(attempts-1, b)
		return retry.Do(ctx, b, func(ctx context.Context) error {
			err := fn(ctx)
			if errors.Is(err, errPermanent) {
				return err
			}
			return retry.RetryableError(err)
		})
	}
}

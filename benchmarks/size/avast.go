//go:build avast

package main

import (
	"context"
	"errors"

	"github.com/avast/retry-go/v5"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		return retry.New(
			retry.Context(ctx),
			retry.Attempts(attempts),
			retry.Delay(base),
			retry.MaxDelay(limit),
		).Do(func() error {
			err := fn(ctx)
			if errors.Is(err, errPermanent) {
				return retry.Unrecoverable(err)
			}
			return err
		})
	}
}

//go:build codegroove

package main

import (
	"context"
	"errors"

	"github.com/codeGROOVE-dev/retry"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		return retry.Do(func() error {
			err := fn(ctx)
			if errors.Is(err, errPermanent) {
				return retry.Unrecoverable(err)
			}
			return err
		}, retry.Context(ctx), retry.Attempts(attempts), retry.Delay(base), retry.MaxDelay(limit))
	}
}

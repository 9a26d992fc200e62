//go:build cenkalti

package main

import (
	"context"
	"errors"

	"github.com/cenkalti/backoff/v7"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		b := backoff.NewExponentialBackOff()
		b.InitialInterval = base
		b.MaxInterval = limit
		_, err := backoff.Retry(ctx, func() (struct{}, error) {
			err := fn(ctx)
			if errors.Is(err, errPermanent) {
				err = backoff.Permanent(err)
			}
			return struct{}{}, err
		}, backoff.WithMaxTries(attempts), backoff.WithBackOff(b))
		return err
	}
}

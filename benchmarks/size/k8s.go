//go:build k8s

package main

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/util/wait"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		b := wait.Backoff{Steps: attempts, Duration: base, Cap: limit, Factor: 2, Jitter: 0.5}
		return wait.ExponentialBackoffWithContext(ctx, b, func(ctx context.Context) (bool, error) {
			err := fn(ctx)
			if errors.Is(err, errPermanent) {
				return false, err
			}
			return err == nil, nil
		})
	}
}

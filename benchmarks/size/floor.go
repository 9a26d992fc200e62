//go:build floor

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		pause := time.Duration(base)
		for n := 1; ; n++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := fn(ctx)
			if err == nil || n == attempts || errors.Is(err, errPermanent) {
				return err
			}
			timer := time.NewTimer(rand.N(pause))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			}
			pause = min(2*pause, limit)
		}
	}
}

//go:build eapache

package main

import (
	"context"

	"github.com/eapache/go-resiliency/retrier"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		r := retrier.New(retrier.LimitedExponentialBackoff(attempts-1, base, limit), retrier.BlacklistClassifier{errPermanent})
		return r.RunCtx(ctx, fn)
	}
}

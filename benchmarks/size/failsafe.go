//go:build failsafe

package main

import (
	"context"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

func init() {
	call = func(ctx context.Context, fn func(context.Context) error) error {
		policy := retrypolicy.NewBuilder[any]().
			WithMaxAttempts(attempts).
			WithBackoff(base, limit).
			AbortOnErrors(errPermanent).
			Build()
		return failsafe.With(policy).WithContext(ctx).Run(func() error { return fn(ctx) })
	}
}

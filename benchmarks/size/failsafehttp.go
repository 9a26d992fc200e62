//go:build failsafehttp

package main

import (
	"net/http"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
)

func init() {
	policy := failsafehttp.NewRetryPolicyBuilder().
		WithMaxAttempts(attempts).
		WithBackoff(base, limit).
		Build()
	client = &http.Client{Transport: failsafehttp.NewRoundTripper(nil, policy)}
}

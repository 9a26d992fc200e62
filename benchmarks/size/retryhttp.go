//go:build retryhttp

package main

import (
	"net/http"

	"example.com/retry"
	"example.com/retry/retryhttp"
)

func init() {
	policy := retry.Policy(
		retry.WithMaxAttempts(attempts),
		retry.WithBackoff(retry.Exponential{Base: base, Max: limit}))
	client = &http.Client{Transport: &retryhttp.Transport{Policy: policy}}
}

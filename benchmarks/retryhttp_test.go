//go:build !v1

package main

import (
	"net/http"

	"example.com/retry"
	"example.com/retry/retryhttp"
)

func init() {
	httpClients = append(httpClients, httpClient{
		lib: "retryhttp", form: "Transport",
		prepare: func(base http.RoundTripper) send {
			policy := retry.Policy(retry.WithMaxAttempts(httpAttempts), retry.WithBackoff(retry.Constant(0)))
			return sendWith(&http.Client{Transport: &retryhttp.Transport{Base: base, Policy: policy}})
		},
	})
}

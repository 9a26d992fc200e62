package main

import (
	"context"
	"net/http"

	"github.com/hashicorp/go-retryablehttp"
)

// retryableClient takes its own request type, whose body can be read again.
var retryableClient = httpClient{
	lib: "retryablehttp", form: "Client.Do",
	prepare: func(base http.RoundTripper) send {
		client := newRetryable(base)
		return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
			var raw any // a nil []byte would be a body
			if body != nil {
				raw = body
			}
			req, err := retryablehttp.NewRequestWithContext(ctx, method, url, raw)
			if err != nil {
				return nil, err
			}
			return client.Do(req)
		}
	},
}

// retryableStandardClient is for code that needs an *http.Client.
var retryableStandardClient = httpClient{
	lib: "retryablehttp", form: "StandardClient",
	prepare: func(base http.RoundTripper) send { return sendWith(newRetryable(base).StandardClient()) },
}

func newRetryable(base http.RoundTripper) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.HTTPClient.Transport = base
	client.RetryMax = httpAttempts - 1
	client.RetryWaitMin, client.RetryWaitMax = 0, 0
	client.Logger = nil // by default it logs every request
	return client
}

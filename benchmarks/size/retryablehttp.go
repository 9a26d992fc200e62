//go:build retryablehttp

package main

import "github.com/hashicorp/go-retryablehttp"

func init() {
	c := retryablehttp.NewClient()
	c.RetryMax = attempts - 1
	c.RetryWaitMin = base
	c.RetryWaitMax = limit
	client = c.StandardClient()
}

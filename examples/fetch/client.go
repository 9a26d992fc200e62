package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"example.com/retry"
)

const (
	maxAttempts    = 5
	attemptTimeout = 750 * time.Millisecond
	maxBackoff     = 150 * time.Millisecond
	budgetCapacity = 4 // tokens; limits the failed retries of all calls of a run
)

// previousAttempts is the header field with the number of attempts before this
// one. It tells a server how much of its load is retries.
const previousAttempts = "Previous-Attempts"

// A client fetches documents, with retries.
type client struct {
	base   string
	seed   uint64
	logger *slog.Logger
	policy retry.Option
	http   *http.Client
}

// A result is the outcome of one fetch.
type result struct {
	document string
	attempts int
	waited   time.Duration
	body     []byte
	err      error // nil, or a *retry.Error
}

// newClient returns a client of the server at base. All calls share budget, so that a
// server that is down gets a few retries in total, not a few retries for each document.
func newClient(base string, seed uint64, budget *retry.Budget, logger *slog.Logger) *client {
	return &client{
		base:   base,
		seed:   seed,
		logger: logger,
		policy: retry.Policy(
			retry.WithMaxAttempts(maxAttempts),
			retry.WithBackoff(retry.Exponential{Base: 50 * time.Millisecond, Max: maxBackoff}),
			retry.WithAttemptTimeout(attemptTimeout),
			retry.WithBudget(budget),
		),
		http: &http.Client{Transport: &http.Transport{}},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// fetch gets document, with retries.
func (c *client) fetch(ctx context.Context, document string) result {
	r := result{document: document}
	r.body, r.err = retry.DoValue(ctx,
		func(ctx context.Context) ([]byte, error) { return c.get(ctx, document) },
		c.policy,
		retry.WithSource(source(c.seed, document)),
		retry.WithLogger(c.logger.With("doc", document), slog.LevelInfo),
		// A successful call returns no *retry.Error, so record its numbers in a hook.
		retry.WithOnDone(func(_ context.Context, ev retry.Event) {
			r.attempts, r.waited = ev.Attempt, ev.Waited
		}))
	return r
}

// get makes one attempt. It marks the error with what the response says about retrying.
func (c *client) get(ctx context.Context, document string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/"+document, nil)
	if err != nil {
		return nil, retry.Permanent(err)
	}
	req.Header.Set(previousAttempts, strconv.Itoa(retry.PreviousAttempts(ctx)))
	resp, err := c.http.Do(req)
	if err != nil {
		// The text of a url.Error contains the address, which every line would repeat.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("%w after %d bytes", err, len(body))
		}
		return body, nil
	}
	return nil, failure(resp)
}

// failure returns the error for resp. A server error is retried, but not before the
// server permits it. A 4xx status is the client's fault and is not retried. (A client
// should retry 408 and 429, but this server never sends them.)
func failure(resp *http.Response) error {
	note, _ := io.ReadAll(io.LimitReader(resp.Body, 80)) // if the body cannot be read, the status is enough
	err := fmt.Errorf("%d: %s", resp.StatusCode, bytes.TrimSpace(note))
	if resp.StatusCode >= 400 && resp.StatusCode < 500 {
		return retry.Permanent(err)
	}
	// Retry-After and Date come from the server's clock, which may differ from the
	// client's clock. If there is a Date, a date in Retry-After is measured from it.
	now, dateErr := http.ParseTime(resp.Header.Get("Date"))
	if dateErr != nil {
		now = time.Now()
	}
	if wait, ok := retry.ParseRetryAfter(resp.Header.Get("Retry-After"), now); ok {
		return retry.After(err, wait)
	}
	return err
}

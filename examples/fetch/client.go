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
	budgetCapacity = 8 // tokens: the retries that a run may make, all documents together
)

// previousAttempts is the header field with the number of attempts before this
// one, from which a server can tell how much of its load is retries.
const previousAttempts = "Previous-Attempts"

// A client fetches documents, with retries.
type client struct {
	base   string
	seed   uint64
	logger *slog.Logger
	policy retry.Option
	http   *http.Client
}

// A result is what came of one document.
type result struct {
	document string
	attempts int
	waited   time.Duration
	body     []byte
	err      error // nil, or a *retry.Error
}

// newClient returns a client of the server at base. All its fetches share budget,
// so that a server that is down gets a few retries, not a few for each document.
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

// fetch gets document, retrying as long as it makes sense.
func (c *client) fetch(ctx context.Context, document string) result {
	r := result{document: document}
	r.body, r.err = retry.DoValue(ctx,
		func(ctx context.Context) ([]byte, error) { return c.get(ctx, document) },
		c.policy,
		retry.WithSource(source(c.seed, document)),
		retry.WithLogger(c.logger.With("doc", document), slog.LevelInfo),
		// The way to the numbers of a call that succeeds: it returns no *retry.Error.
		retry.WithOnDone(func(_ context.Context, ev retry.Event) {
			r.attempts, r.waited = ev.Attempt, ev.Waited
		}))
	return r
}

// get is one attempt. It marks its error with what the answer says about retrying.
func (c *client) get(ctx context.Context, document string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/"+document, nil)
	if err != nil {
		return nil, retry.Permanent(err)
	}
	req.Header.Set(previousAttempts, strconv.Itoa(retry.PreviousAttempts(ctx)))
	resp, err := c.http.Do(req)
	if err != nil {
		// Without the address, which every line would repeat.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("cut after %d of %d bytes: %w", len(body), resp.ContentLength, err)
		}
		return body, nil
	}
	return nil, failure(resp)
}

// failure returns what is wrong with resp. A server error is worth a retry, no
// sooner than the server says. A 4xx is the client's own mistake and would come
// again; 408 and 429 are the exceptions where a server sends them. This one does
// not.
func failure(resp *http.Response) error {
	note, _ := io.ReadAll(io.LimitReader(resp.Body, 80)) // the status is enough without it
	err := fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(note))
	if resp.StatusCode >= 400 && resp.StatusCode < 500 {
		return retry.Permanent(err)
	}
	// A date is measured from the Date of the same answer: the server's clock
	// set both, and ours may differ. Without a Date, ours has to do.
	now, dateErr := http.ParseTime(resp.Header.Get("Date"))
	if dateErr != nil {
		now = time.Now()
	}
	if wait, ok := retry.ParseRetryAfter(resp.Header.Get("Retry-After"), now); ok {
		return retry.After(err, wait)
	}
	return err
}

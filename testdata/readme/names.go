// Package readme declares the names that the Go snippets of the documentation take for
// granted. TestReadmeSnippets adds the snippets to it.
package readme

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"example.com/retry"
)

type (
	// A User is what loadUser returns.
	User struct{ Name string }

	// A counter is a metric.
	counter int64

	database struct{ ping func(context.Context) error }
)

func (c *counter) Add(n int64)                            { *c += counter(n) }
func (db database) PingContext(ctx context.Context) error { return db.ping(ctx) }

var (
	ctx        = context.Background()
	err        error
	resp       = &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{}}
	errRefused = errors.New("connection refused")
	send       = func(context.Context) error { return errRefused }
	session    = send
	placeOrder = send
	db         = database{send}
	retries    counter
	pause      time.Duration // what tryAgainIn was called with
	balance    = 100
	results    []any // what the last snippet assigned to its variables

	// With README_BROKEN set, the code under test in the section on tests has a bug.
	broken = os.Getenv("README_BROKEN") != ""
)

func loadUser(context.Context) (User, error) { return User{"ada"}, nil }

func tryAgainIn(d time.Duration) error { pause = d; return nil }

func announce(ctx context.Context) error {
	return retry.Do(ctx, func(context.Context) error {
		if broken {
			return nil
		}
		return errRefused
	})
}

// debit recognizes a repeated request, so it is safe to repeat, unless broken is set.
func debit(ctx context.Context, amount int) error {
	debited := false
	return retry.Do(ctx, func(context.Context) error {
		if !debited || broken {
			balance -= amount
		}
		debited = true
		return nil
	})
}

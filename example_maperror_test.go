package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// An apiError is the error of a client that does not know about package retry.
type apiError struct {
	code  string
	delay time.Duration // the delay that the server asked for
}

func (e *apiError) Error() string { return e.code }

// classify tells Do whether and when to retry an error of the client.
func classify(_ context.Context, err error) error {
	if e, ok := errors.AsType[*apiError](err); ok {
		switch e.code {
		case "InvalidArgument", "NotFound":
			return retry.Permanent(err)
		case "ResourceExhausted":
			return retry.After(err, e.delay)
		}
	}
	return err
}

// A Policy classifies the errors of a client for all calls that use the Policy.
func ExampleWithMapError() {
	clock := &retrytest.Clock{}
	storage := retry.Policy(
		retry.WithMapError(classify),
		retry.WithClock(clock), retry.WithJitter(retry.NoJitter))

	results := []error{
		&apiError{code: "Unavailable"},
		&apiError{code: "ResourceExhausted", delay: 10 * time.Second},
		&apiError{code: "NotFound"},
	}
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return results[retry.PreviousAttempts(ctx)] // a call to the client
	}, storage)
	fmt.Println(err)
	fmt.Println(clock.Waits())

	// Output:
	// retry: gave up after 3 attempts (not retryable): NotFound
	// [250ms 15s]
}

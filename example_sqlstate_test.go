package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// sqlError is implemented by the errors of the PostgreSQL drivers pgx and lib/pq.
type sqlError interface {
	error
	SQLState() string
}

// conflict reports whether err is a serialization failure or a deadlock, which
// concurrent transactions cause.
func conflict(err error) bool {
	e, ok := errors.AsType[sqlError](err)
	return ok && (e.SQLState() == "40001" || e.SQLState() == "40P01")
}

// Run a transaction again if it conflicts with a concurrent transaction. Each attempt
// runs the whole transaction, from BEGIN to COMMIT. This code does not have to import a
// driver.
func ExampleWithRetryIf_sqlState() {
	results := []error{
		fmt.Errorf("commit: %w", driverError("40001")),
		fmt.Errorf("update: %w", driverError("40P01")),
		fmt.Errorf("insert: %w", driverError("23505")), // unique violation
	}
	err := retry.Do(context.Background(), func(ctx context.Context) error {
		return results[retry.PreviousAttempts(ctx)]
	},
		retry.WithRetryIf(conflict),
		retry.WithBackoff(retry.Exponential{Base: 5 * time.Millisecond, Max: time.Second}),
		retry.WithClock(&retrytest.Clock{}))
	fmt.Println(err)

	// Output: retry: gave up after 3 attempts (not retryable): insert: SQLSTATE 23505
}

// A driverError stands in for a driver's error.
type driverError string

func (e driverError) Error() string    { return "SQLSTATE " + string(e) }
func (e driverError) SQLState() string { return string(e) }

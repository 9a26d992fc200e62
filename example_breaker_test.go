package retry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// A breaker counts consecutive failures. After the fifth failure, and after each further
// failure, it rejects calls for ten seconds.
type breaker struct {
	now       func() time.Time
	mu        sync.Mutex
	failures  int
	openUntil time.Time
}

func (b *breaker) call(f func() error) error {
	b.mu.Lock()
	open := b.now().Before(b.openUntil)
	b.mu.Unlock()
	if open {
		return retry.Permanent(errors.New("circuit breaker is open"))
	}

	err := f()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if err == nil {
		b.failures = 0
	} else if b.failures >= 5 {
		b.openUntil = b.now().Add(10 * time.Second)
	}
	return err
}

// A circuit breaker inside the function complements a budget: in an outage, the budget
// limits the retries, and the breaker also limits the first attempts.
func ExampleDo_circuitBreaker() {
	clock := &retrytest.Clock{}
	policy := retry.Policy(retry.WithBudget(retry.NewBudget(2, 0.1)), retry.WithClock(clock))
	b := &breaker{now: clock.Now} // a program uses time.Now
	requests := 0
	send := func() error {
		if requests++; requests <= 5 {
			return errors.New("refused")
		}
		return nil
	}
	call := func() error {
		return retry.Do(context.Background(), func(ctx context.Context) error {
			return b.call(send)
		}, policy)
	}

	for range 4 {
		fmt.Println(call())
	}
	clock.Advance(10 * time.Second)
	fmt.Println(call())

	// Output:
	// retry: gave up after 3 attempts (retry budget exhausted): refused
	// retry: gave up after 1 attempt (retry budget exhausted): refused
	// retry: gave up after 1 attempt (retry budget exhausted): refused
	// retry: gave up after 1 attempt (not retryable): circuit breaker is open
	// <nil>
}

package retry

import (
	"context"
	"time"
)

// A Clock tells the time and sleeps. By default, [Do] uses the system clock. In a
// testing/synctest bubble, the system clock is the fake clock of the bubble. [WithClock]
// replaces the system clock with another Clock. For tests, package retrytest has a fake
// Clock. The timeouts of [WithAttemptTimeout] always use the system clock, because
// contexts use the system clock.
//
// If concurrent calls share a Clock, its methods must be safe for concurrent use.
type Clock interface {
	// Now returns the current time. Do compares it with earlier results of Now and
	// with the deadline of ctx.
	Now() time.Time

	// Sleep returns nil after d, or ctx's error as soon as ctx is done. Do calls
	// Sleep even if d is 0, but never passes a negative d. Do does not check how
	// long Sleep took. If Sleep returns an error although ctx is not done, Do
	// stops, and Error.Reason is the error from Sleep.
	Sleep(ctx context.Context, d time.Duration) error
}

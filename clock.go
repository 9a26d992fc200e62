package retry

import (
	"context"
	"time"
)

// A Clock tells [Do] the time and sleeps for it. The default is the system clock,
// which inside a testing/synctest bubble is the bubble's. [WithClock] replaces it; for
// tests, see package retrytest. The timeouts of [WithAttemptTimeout] are those of
// contexts and always use the system clock.
//
// The methods must be safe for concurrent use if calls share the Clock.
type Clock interface {
	// Now returns the current time. It is compared with earlier results and with
	// the deadline of ctx.
	Now() time.Time

	// Sleep returns nil after d, or ctx's error as soon as ctx is done. It is also
	// called for a d of 0, and never for a negative d. Do does not check how long
	// Sleep took. If Sleep returns an error although ctx is not done, the call ends
	// with that error as Error.Reason.
	Sleep(ctx context.Context, d time.Duration) error
}

package retry

import (
	"context"
	"time"
)

// A Clock is all the time that [Do] knows. [WithClock] injects one, as a test
// does to run through a schedule without waiting; the default is the system
// clock, which in a testing/synctest bubble is the bubble's. (Do waits by that one
// itself, so there is no Clock of it.)
//
// Both methods must be safe for concurrent use if calls that share the Clock run
// side by side. A panic in them propagates to the caller of Do. Timeouts of
// single attempts ([WithAttemptTimeout]) are contexts and stay with the system
// clock.
type Clock interface {
	// Now returns the current time. Only differences between its results, and
	// their distance to ctx's deadline, matter.
	Now() time.Time

	// Sleep returns nil after d, which is never negative, or ctx's error as
	// soon as ctx ends. It is called for a d of 0, too. Do believes it: a nil
	// that comes early makes the retry come early. Any other error ends the
	// call and becomes its [Error].Reason.
	Sleep(ctx context.Context, d time.Duration) error
}

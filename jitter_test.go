package retry_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// With a nil *rand.Rand, a Jitter draws from the runtime's generator.
func TestJitterWithoutRand(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[retry.FullJitter(math.MaxInt64, nil)] = true
		seen[retry.EqualJitter(math.MaxInt64, nil)] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d different waits in 200 draws, want 200", len(seen))
	}
}

// The same seed gives the same waits, which are jitter of the ceilings. Another seed
// and the runtime's generator give others.
func TestSource(t *testing.T) {
	waits := func(opt retry.Option) []time.Duration {
		clock := new(retrytest.Clock)
		fn, _ := always(errBoom)
		gaveUp(t, retry.Do(t.Context(), fn, opt, retry.WithClock(clock), retry.WithMaxAttempts(20)), retry.ErrExhausted, 20)
		return clock.Waits()
	}
	first := waits(retry.WithSource(seeded()))
	wantWaits(t, waits(retry.WithSource(seeded())), first...)
	r := rand.New(seeded())
	for i, wait := range first {
		if want := retry.FullJitter(retry.Exponential{}.Delay(i+1), r); wait != want {
			t.Errorf("wait %d = %v, want %v", i+1, wait, want)
		}
	}
	for name, opt := range map[string]retry.Option{"another seed": retry.WithSource(rand.NewPCG(3, 4)), "runtime": nil} {
		if other := waits(opt); other[0] == first[0] && other[1] == first[1] {
			t.Errorf("%s repeats the waits %v", name, first[:2])
		}
	}
}

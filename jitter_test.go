package retry_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// The draw is the high word of ceiling+1 times a random number. It is rejected if the
// low word is less than 2^64 mod ceiling+1, because some values would otherwise be a
// little more likely than others.
func TestJitterDraws(t *testing.T) {
	const third = 0xAAAAAAAAAAAAAAAB // 3 × third is 2<<64 + 1
	for _, test := range []struct {
		name    string
		jitter  retry.Jitter
		ceiling time.Duration
		draws   []uint64
		want    time.Duration
	}{
		{"not rejected", retry.FullJitter, 2, []uint64{5}, 0},
		{"just not rejected", retry.FullJitter, 2, []uint64{third}, 2},
		{"just rejected", retry.FullJitter, 2, []uint64{0, third}, 2},
		{"a Source that is always rejected", retry.FullJitter, 2, make([]uint64, 64), 0},
		{"full, nothing to draw", retry.FullJitter, 0, nil, 0},
		{"equal, nothing to draw", retry.EqualJitter, 0, nil, 0},
		{"none", retry.NoJitter, 5, nil, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			draws := test.draws
			got := test.jitter(test.ceiling, rand.New(sourceFunc(func() uint64 {
				x := draws[0]
				draws = draws[1:]
				return x
			})))
			if got != test.want || len(draws) > 0 {
				t.Errorf("jitter of %d = %d with %d draws left, want %d with none", test.ceiling, got, len(draws), test.want)
			}
		})
	}
}

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

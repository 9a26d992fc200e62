package retry_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// FullJitter and EqualJitter are uniform over whole nanoseconds, both ends included.
func TestJitterRanges(t *testing.T) {
	for _, test := range []struct {
		name       string
		jitter     retry.Jitter
		ceiling    time.Duration
		least, top time.Duration
	}{
		{"full", retry.FullJitter, 4, 0, 4},
		{"full", retry.FullJitter, 1, 0, 1},
		{"full", retry.FullJitter, 0, 0, 0},
		{"full", retry.FullJitter, -1, 0, 0},
		{"full", retry.FullJitter, math.MinInt64, 0, 0},
		{"equal", retry.EqualJitter, 8, 4, 8},
		{"equal", retry.EqualJitter, 9, 4, 9},
		{"equal", retry.EqualJitter, 1, 0, 1},
		{"equal", retry.EqualJitter, 0, 0, 0},
		{"equal", retry.EqualJitter, -8, 0, 0},
		{"equal", retry.EqualJitter, math.MinInt64, 0, 0},
		{"none", retry.NoJitter, 5, 5, 5},
		{"none", retry.NoJitter, 0, 0, 0},
		{"none", retry.NoJitter, -5, 0, 0},
		{"none", retry.NoJitter, math.MaxInt64 - 1, math.MaxInt64 - 1, math.MaxInt64 - 1},
	} {
		t.Run(fmt.Sprintf("%s/%d", test.name, test.ceiling), func(t *testing.T) {
			const draws = 6000
			r := rand.New(seeded())
			seen := map[time.Duration]int{}
			for range draws {
				seen[test.jitter(test.ceiling, r)]++
			}
			values := float64(test.top - test.least + 1)
			if len(seen) != int(values) {
				t.Fatalf("values = %v, want those from %d to %d", seen, test.least, test.top)
			}
			share := draws / values
			for d := test.least; d <= test.top; d++ {
				if sigma := math.Sqrt(share * (1 - 1/values)); math.Abs(float64(seen[d])-share) > 5*sigma {
					t.Errorf("%d was drawn %d times, want %.0f ± %.0f", d, seen[d], share, 5*sigma)
				}
			}
		})
	}
}

// The draw is the high word of ceiling+1 times a random number. It is rejected if the
// low word is less than 2^64 mod ceiling+1, because some values would otherwise be a
// little more likely than others.
func TestJitterDraws(t *testing.T) {
	const ones, third = math.MaxUint64, 0xAAAAAAAAAAAAAAAB // 3 × third is 2<<64 + 1
	for _, test := range []struct {
		name    string
		jitter  retry.Jitter
		ceiling time.Duration
		draws   []uint64
		want    time.Duration
	}{
		{"full, the largest", retry.FullJitter, math.MaxInt64, []uint64{ones}, math.MaxInt64},
		{"full, the least", retry.FullJitter, math.MaxInt64, []uint64{0}, 0},
		{"equal, the largest", retry.EqualJitter, math.MaxInt64, []uint64{ones}, math.MaxInt64},
		{"equal, the least", retry.EqualJitter, math.MaxInt64, []uint64{3}, math.MaxInt64 / 2},
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
		full, equal := retry.FullJitter(math.MaxInt64, nil), retry.EqualJitter(math.MaxInt64, nil)
		if full < 0 || equal < math.MaxInt64/2 {
			t.Errorf("FullJitter(), EqualJitter() = %d, %d, want at least 0, %d", full, equal, time.Duration(math.MaxInt64/2))
		}
		seen[full], seen[equal] = true, true
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

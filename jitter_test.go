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
	retry.FullJitter(0, rand.New(nil)) // panics if it draws
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[retry.FullJitter(math.MaxInt64, nil)] = true
		seen[retry.EqualJitter(math.MaxInt64, nil)] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d different waits in 200 draws, want 200", len(seen))
	}
}

// The same seed gives the same waits, which FullJitter draws. Another seed and the
// runtime's generator give different waits.
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

// ranges are the jitters with the lowest and the highest result for a ceiling.
var ranges = []struct {
	name string
	draw retry.Jitter
	ends func(ceiling int64) (low, high int64)
}{
	{"FullJitter", retry.FullJitter, func(ceiling int64) (low, high int64) { return 0, max(ceiling, 0) }},
	{"EqualJitter", retry.EqualJitter, func(ceiling int64) (low, high int64) { return max(ceiling, 0) / 2, max(ceiling, 0) }},
	{"NoJitter", retry.NoJitter, func(ceiling int64) (low, high int64) { return max(ceiling, 0), max(ceiling, 0) }},
}

// FuzzJitter checks the ends of the range of each jitter.
func FuzzJitter(f *testing.F) {
	for _, ceiling := range []int64{0, 1, 2, 3, 10, int64(time.Second), math.MaxInt64 - 1, math.MaxInt64, -1, math.MinInt64} {
		f.Add(ceiling, uint64(1), uint64(2))
		f.Add(ceiling, uint64(0), uint64(0)) // a Source all of whose numbers may be rejected
	}
	if d := retry.FullJitter(2, rand.New(&cycle{0xAAAAAAAAAAAAAAAB, 0})); d != 2 { // × 3 is 2<<64 + 1, just not rejected
		f.Errorf("FullJitter(2) = %d, want 2", d)
	}
	f.Fuzz(func(t *testing.T, ceiling int64, number, next uint64) {
		for _, j := range ranges {
			low, high := j.ends(ceiling)
			draw := func(src rand.Source) int64 { return int64(j.draw(time.Duration(ceiling), rand.New(src))) }
			if d := draw(&cycle{number, next}); d < low || d > high {
				t.Errorf("%s(%d) = %d, want a result in [%d, %d]", j.name, ceiling, d, low, high)
			}
			if d := int64(j.draw(time.Duration(ceiling), nil)); d < low || d > high {
				t.Errorf("%s(%d, nil) = %d, want a result in [%d, %d]", j.name, ceiling, d, low, high)
			}
			if d := draw(&cycle{math.MaxUint64, math.MaxUint64}); d != high {
				t.Errorf("%s(%d) with the highest random number = %d, want %d", j.name, ceiling, d, high)
			}
			// A 0 may be rejected to avoid bias.
			if d := draw(&cycle{0, 1}); d != low {
				t.Errorf("%s(%d) with the lowest random number = %d, want %d", j.name, ceiling, d, low)
			}
		}
	})
}

// A cycle is a Source that repeats two numbers.
type cycle [2]uint64

func (c *cycle) Uint64() uint64 {
	c[0], c[1] = c[1], c[0]
	return c[1]
}

// TestJitterChiSquare checks that all results are equally likely. If there are more than
// 32, it instead checks each combination of an eighth of the range and the parity. With a
// ceiling of 2^64 / 2.5, the usual shortcuts are most biased: a modulo prefers low results,
// and a multiplication without rejection prefers even or odd results.
func TestJitterChiSquare(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, ceiling := range []int64{1, 2, 3, 6, 9, 31, 1e9, 7378697629483820645, math.MaxInt64} {
		for _, j := range ranges {
			low, high := j.ends(ceiling)
			values := uint64(high-low) + 1
			cells := values
			if values > 32 {
				cells = 16
			}
			const draws = 64_000
			counts := make([]float64, cells)
			for range draws {
				d := uint64(int64(j.draw(time.Duration(ceiling), r)) - low)
				if values > 32 {
					d = d/((values+7)/8)*2 + d%2
				}
				counts[d]++
			}
			chi2, want := 0.0, draws/float64(cells)
			for _, count := range counts {
				chi2 += (count - want) * (count - want) / want
			}
			// The variance is twice the degrees of freedom. The bound is 6 sigma, because
			// the tail is longer than the tail of a normal distribution.
			if k := float64(cells - 1); chi2 > k+6*math.Sqrt(2*k) {
				t.Errorf("%s(%d): chi-square = %.1f, want about %v; counts %v", j.name, ceiling, chi2, k, counts)
			}
		}
	}
}

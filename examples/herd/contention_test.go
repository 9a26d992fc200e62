package main

import (
	"math"
	"testing"
	"time"

	"example.com/retry"
)

// ratio returns the ratio of two means, and its standard error.
func ratio(a, b sample) (r, se float64) {
	r = a.mean() / b.mean()
	return r, r * math.Hypot(a.se()/a.mean(), b.se()/b.mean())
}

func TestContention(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	// The ratios do not depend on the scale of time, unless the code rounds the delays
	// to more than a nanosecond.
	faster := theContention
	faster.hopMean /= 1000
	faster.hopSD /= 1000
	faster.backoff.Base /= 1000
	faster.backoff.Max /= 1000

	for _, world := range []struct {
		name string
		contention
	}{
		{"as in the article", theContention},
		{"a thousand times faster", faster},
	} {
		world.clients, world.runs = []int{100}, 40
		efforts := world.run(1, func(float64) {})
		calls := func(way int) sample { return efforts[way][0].calls }
		took := func(way int) sample { return efforts[way][0].took }
		for _, tt := range []struct {
			what string
			of   func(way int) sample
			way  int
			to   int
			// The result of 1000 runs of another program, which follows the program of the
			// article and shares no code with this one.
			want float64
			// The bound is fixed, so that a bug cannot widen it. It is at least 4 standard
			// errors.
			within float64
		}{
			{"calls, full jitter to no backoff", calls, fullJitter, noBackoff, 0.3612, 0.005},
			{"calls, full jitter to no jitter", calls, fullJitter, noJitter, 0.4714, 0.011},
			{"calls, equal jitter to full jitter", calls, equalJitter, fullJitter, 1.0158, 0.009},
			{"calls, full jitter from twice the base to no backoff", calls, fullJitterFromTwice, noBackoff, 0.3286, 0.005},
			{"time, full jitter to no jitter", took, fullJitter, noJitter, 0.0794, 0.008},
			{"time, equal jitter to no jitter", took, equalJitter, noJitter, 0.1068, 0.010},
			{"time, no backoff to full jitter", took, noBackoff, fullJitter, 0.4167, 0.034},
		} {
			got, se := ratio(tt.of(tt.way), tt.of(tt.to))
			t.Logf("%s: %s: %.4f ± %.4f", world.name, tt.what, got, se)
			if math.Abs(got-tt.want) > tt.within {
				t.Errorf("%s: %s: %.4f ± %.4f, want %.4f", world.name, tt.what, got, se, tt.want)
			}
			if 4*se > tt.within {
				t.Errorf("%s: %s: standard error %.4f, want at most a quarter of %.4f", world.name, tt.what, se, tt.within)
			}
		}
	}
}

// Alone, a writer needs one call and four hops.
func TestContentionOfOne(t *testing.T) {
	c := theContention
	c.hopSD = 0
	for _, way := range c.ways() {
		calls, took := c.once(1, 0, way, 1)
		if calls != 1 || took != 4*c.hopMean {
			t.Errorf("%s: %d calls in %v, want 1 in %v", way.name, calls, took, 4*c.hopMean)
		}
	}
}

// If two writers start together, one succeeds, and the other conflicts once.
func TestContentionOfTwo(t *testing.T) {
	c := theContention
	c.hopSD = 0
	c.backoff = retry.Exponential{Base: time.Millisecond, Max: time.Millisecond}
	calls, took := c.once(1, 0, c.ways()[noJitter], 2)
	if calls != 3 || took != 8*c.hopMean+time.Millisecond {
		t.Errorf("%d calls in %v, want 3 in %v", calls, took, 8*c.hopMean+time.Millisecond)
	}
}

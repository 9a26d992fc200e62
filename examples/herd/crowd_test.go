package main

import (
	"math"
	"testing"
	"time"
)

func TestCrowd(t *testing.T) {
	c := theCrowd
	c.runs = 5
	rushes := c.run(1, func(float64) {})
	var requests, worst, took [3]sample
	for m, name := range c.manners() {
		for run, r := range rushes[m] {
			requests[m] = append(requests[m], float64(r.requests.total()))
			worst[m] = append(worst[m], float64(r.worst()))
			took[m] = append(took[m], r.took.Seconds())
			if got := r.served.total(); got != c.clients {
				t.Errorf("%s, run %d: %d clients served, want %d", name.name, run, got, c.clients)
			}
			if n := r.requests.sum(window{100 * time.Millisecond, c.retryAfter}); m != oracle && n != 0 {
				t.Errorf("%s, run %d: %d clients return sooner than the server asked, want none", name.name, run, n)
			}
		}
	}

	// 900 clients return after 2 s, within the first ceiling of the backoff (250 ms) or
	// within half of the delay (1 s).
	for _, tt := range []struct {
		manner  int
		ceiling float64
	}{
		{backoffJitter, 0.25},
		{fullSpread, 1},
	} {
		part := 0.1 / tt.ceiling
		mean, sd := 900*part, math.Sqrt(900*part*(1-part))
		// The worst of ten intervals is rarely below the mean.
		if got := worst[tt.manner].mean(); got < mean-4*sd/math.Sqrt(5) || got > mean+4*sd {
			t.Errorf("%s: at most %.0f requests in 100 ms, want %.0f ± %.0f", c.manners()[tt.manner].name, got, mean, 4*sd)
		}
	}
	if got := requests[fullSpread].mean() / requests[backoffJitter].mean(); got > 0.9 {
		t.Errorf("jitter of this package needs %.2f of the requests, want at most 0.9", got)
	}
	if got := took[fullSpread].mean() / took[backoffJitter].mean(); got > 0.8 {
		t.Errorf("jitter of this package needs %.2f of the time, want at most 0.8", got)
	}

	// The oracle wastes nothing: 100 clients are served at once, and 900 return once.
	if requests, worst, took := requests[oracle].mean(), worst[oracle].mean(), took[oracle].mean(); requests != 1900 || worst != 10 || took != 9 {
		t.Errorf("oracle: %v requests, %v in 100 ms, %v s; want 1900, 10, 9", requests, worst, took)
	}
}

func TestLimiter(t *testing.T) {
	w := new(world)
	l := limiter{world: w, interval: 250 * time.Millisecond}
	for _, tt := range []struct {
		at   time.Duration
		want int // of 10 requests
	}{
		{0, 4},
		{100 * time.Millisecond, 0},
		{500 * time.Millisecond, 2},
		{time.Minute, 4}, // no more than the requests of a second
	} {
		w.start(tt.at, func() {
			got := 0
			for range 10 {
				if l.admit() {
					got++
				}
			}
			if got != tt.want {
				t.Errorf("admit() at %v: %d requests, want %d", tt.at, got, tt.want)
			}
		})
	}
	w.start(2*time.Minute, func() {
		for _, want := range []time.Duration{250, 500, 750} {
			if got := l.nextTurn(); got != want*time.Millisecond {
				t.Errorf("nextTurn() = %v, want %v", got, want*time.Millisecond)
			}
		}
	})
	w.run()
}

package main

import (
	"math"
	"testing"
	"time"
)

func TestMetastable(t *testing.T) {
	m := theMetastable
	m.runs, m.until = 2, 5*time.Minute
	courses := m.run(1, func(float64) {})
	without, with, budgeted := courses[0], courses[1], courses[2]
	lastMinute := window{m.until - time.Minute, m.until}

	var back, load sample
	for run := range m.runs {
		after, ok := without[run].backAfter(m)
		if !ok {
			t.Fatalf("run %d: never back without retries", run)
		}
		back = append(back, after.Seconds())

		load = append(load, float64(with[run].load.sum(lastMinute))/60)
		if after, ok := with[run].backAfter(m); ok {
			t.Errorf("run %d: back after %v with retries, want never", run, after)
		}
		if n := with[run].answered.sum(lastMinute); n != 0 {
			t.Errorf("run %d: %d calls answered in the last minute with retries, want none", run, n)
		}

		// The same calls, and 10 retries more: half a second's worth of the 20
		// requests a second by which the queue shrinks. The rest is for the
		// whole seconds in which backAfter counts.
		afterBudget, ok := budgeted[run].backAfter(m)
		if late := afterBudget - after; !ok || late < 0 || late > 5*time.Second {
			t.Errorf("run %d: back after %v with a budget (%v), want about %v", run, afterBudget, ok, after)
		}
	}

	// In the outage 2800 calls pile up, and 20 a second go until what is left takes
	// no longer than the timeout. Their number has a standard deviation of
	// sqrt(280 * 135), each 20 of which are a second.
	want := (2800 - 300) / 20.0
	se := math.Sqrt(280*135) / 20 / math.Sqrt(float64(m.runs))
	if got := back.mean(); math.Abs(got-want) > 4*se {
		t.Errorf("back after %.0f s without retries, want about %.0f", got, want)
	}
	// Four attempts for each call.
	want = 4 * m.rate
	se = 4 * math.Sqrt(m.rate*60) / 60 / math.Sqrt(float64(m.runs))
	if got := load.mean(); math.Abs(got-want) > 4*se {
		t.Errorf("load in the last minute is %.0f/s with retries, want about %.0f", got, want)
	}
}

// Without an outage no call fails, so that there is nothing to retry: all that
// fails above fails because of it.
func TestMetastableNeedsATrigger(t *testing.T) {
	m := theMetastable
	m.down = window{}
	m.until = time.Minute
	for _, plan := range metastablePlans {
		c := m.once(1, 0, plan)
		if made := c.made.sum(window{0, m.until}); c.failed != 0 || c.load.sum(window{0, 2 * m.until}) != made {
			t.Errorf("%s: %d of %d calls failed, want none", plan.name, c.failed, made)
		}
	}
}

func TestBackAfter(t *testing.T) {
	m := metastable{down: window{5 * time.Second, 10 * time.Second}, until: 40 * time.Second}
	c := course{}
	for second := range 40 {
		c.made = append(c.made, 10)
		answered := 8 // of 10: not back
		if second >= 13 {
			answered = 9
		}
		c.answered = append(c.answered, answered)
	}
	if after, ok := c.backAfter(m); after != 3*time.Second || !ok {
		t.Errorf("back after %v (%v), want 3s", after, ok)
	}
	// Nine seconds are too few.
	m.until = 22 * time.Second
	if after, ok := c.backAfter(m); ok {
		t.Errorf("back after %v, want never", after)
	}
}

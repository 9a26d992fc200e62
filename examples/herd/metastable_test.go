package main

import (
	"math"
	"testing"
	"time"
)

func TestMetastable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	m := theMetastable
	m.runs, m.until = 2, 5*time.Minute
	courses := m.run(1, func(float64) {})
	without, with, budgeted := courses[0], courses[1], courses[2]
	lastMinute := window{m.until - time.Minute, m.until}

	var recovery, load sample
	for run := range m.runs {
		after, ok := without[run].recovery(m)
		if !ok {
			t.Fatalf("run %d: no recovery without retries", run)
		}
		recovery = append(recovery, after.Seconds())

		load = append(load, float64(with[run].load.sum(lastMinute))/60)
		if after, ok := with[run].recovery(m); ok {
			t.Errorf("run %d: recovery after %v with retries, want none", run, after)
		}
		if n := with[run].answered.sum(lastMinute); n != 0 {
			t.Errorf("run %d: %d calls answered in the last minute with retries, want none", run, n)
		}

		// With a budget, the same calls are made, plus 10 retries. The queue shrinks by
		// 20 requests per second, so the retries delay the recovery by half a second.
		// The rest of the 5 s allows for the whole seconds that recovery returns.
		late, ok := budgeted[run].recovery(m)
		if !ok || late < after || late > after+5*time.Second {
			t.Errorf("run %d: recovery after %v (%v) with a budget, want about %v", run, late, ok, after)
		}
	}

	// During the stall, 2800 calls pile up. The queue then shrinks by 20 requests
	// per second until it takes no longer than the timeout. The number of calls
	// until then has a standard deviation of sqrt(280 * 135).
	want := (2800 - 300) / 20.0
	se := math.Sqrt(280*135) / 20 / math.Sqrt(float64(m.runs))
	if got := recovery.mean(); math.Abs(got-want) > 4*se {
		t.Errorf("recovery after %.0f s without retries, want about %.0f", got, want)
	}
	// With retries, every call is sent four times.
	want = 4 * m.rate
	se = 4 * math.Sqrt(m.rate*60) / 60 / math.Sqrt(float64(m.runs))
	if got := load.mean(); math.Abs(got-want) > 4*se {
		t.Errorf("load in the last minute is %.0f/s with retries, want about %.0f", got, want)
	}
}

// Without a stall no call fails, so the stall is the cause of all failures in
// TestMetastable.
func TestMetastableNeedsAStall(t *testing.T) {
	m := theMetastable
	m.slow = window{}
	m.until = time.Minute
	for _, plan := range metastablePlans {
		c := m.once(1, 0, plan)
		if made, load := c.made.total(), c.load.total(); c.failed != 0 || load != made {
			t.Errorf("%s: %d of %d calls failed, %d requests; want no failure and no retry", plan.name, c.failed, made, load)
		}
	}
}

func TestRecovery(t *testing.T) {
	m := metastable{slow: window{5 * time.Second, 10 * time.Second}, until: 40 * time.Second}
	c := course{}
	for second := range 40 {
		c.load.n = append(c.load.n, 10)
		answered := 8 // of 10 is not enough
		if second >= 13 {
			answered = 9
		}
		c.answered.n = append(c.answered.n, answered)
	}
	if after, ok := c.recovery(m); after != 3*time.Second || !ok {
		t.Errorf("recovery() = %v, %v, want 3s, true", after, ok)
	}
	// Nine seconds are too few.
	m.until = 22 * time.Second
	if after, ok := c.recovery(m); ok {
		t.Errorf("recovery() = %v, true, want false", after)
	}
}

// The results are the same as in the paper. The calls are evenly spaced, so
// nothing depends on chance.
func TestTrigger(t *testing.T) {
	for i, c := range theTrigger.cases {
		c.even = true
		course := c.once(1, 0, c.plan)
		lastMinute := window{c.until - time.Minute, c.until}
		answered, load := course.answered.sum(lastMinute), course.load.sum(lastMinute)
		calls := int(60 * c.rate)
		_, recovered := course.recovery(c.metastable)
		if i == triggerA {
			if recovered || answered != 0 || load < 5*calls-5 || load > 5*calls+5 {
				t.Errorf("%s: recovered: %v; in the last minute %d calls answered, %d requests; want no recovery, none, and %d",
					c.name, recovered, answered, load, 5*calls)
			}
			continue
		}
		if !recovered || answered < calls-1 || answered > calls+1 || load < calls-1 || load > calls+1 {
			t.Errorf("%s: recovered: %v; in the last minute %d calls answered, %d requests; want recovery and %d of each",
				c.name, recovered, answered, load, calls)
		}
	}
}

// Without a slowdown no call fails, so the slowdown is the cause of all failures in
// TestTrigger.
func TestTriggerNeedsASlowdown(t *testing.T) {
	c := theTrigger.cases[triggerA]
	c.slow = window{}
	c.until = time.Minute
	course := c.once(1, 0, c.plan)
	if made, load := course.made.total(), course.load.total(); course.failed != 0 || load != made {
		t.Errorf("%d of %d calls failed, %d requests; want no failure and no retry", course.failed, made, load)
	}
}

package main

import (
	"math"
	"testing"
	"time"
)

func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	o := theOutage
	burdens := o.run(1, func(float64) {})
	const made = 100 * 10 * 60 // calls in the outage

	for i, b := range burdens {
		for second, multiple := range b.bySecond() {
			at := time.Duration(second) * time.Second
			// The three waits of the default policy add up to at most 1.75 s.
			if quiet := at < o.down.from || at >= o.down.to+2*time.Second; quiet && multiple != 1 {
				t.Errorf("%s: load in second %d is %v times the calls, want 1: the service is up", plans[i].name, second, multiple)
			}
		}
		if got := b.made.sum(o.down); got != made {
			t.Errorf("%s: %d calls in the outage, want %d", plans[i].name, got, made)
		}
		if got, want := b.answered.sum(window{0, o.until + time.Minute})+b.failed, 100*10*180; got != want {
			t.Errorf("%s: %d calls ended, want %d", plans[i].name, got, want)
		}
	}

	// All tokens are spent in the first seconds, and there are no successes to
	// deposit more, so the numbers are exact.
	for _, tt := range []struct{ plan, load int }{
		{noRetries, made},
		{budgetEach, made + 100*10},
		{budgetShared, made + 10},
	} {
		if got := burdens[tt.plan].load.sum(o.down); got != tt.load {
			t.Errorf("%s: %d requests in the outage, want %d", plans[tt.plan].name, got, tt.load)
		}
	}

	// On average, the three retries of a call are made 0.125, 0.375, and 0.875 s after
	// the call. At 1000 calls per second, 125, 375, and 875 of them are therefore made
	// after the outage. These numbers count independent events, so the standard error
	// of their sum is at most its square root.
	b := burdens[retries]
	late := 1000 * (0.125 + 0.375 + 0.875)
	if got, want := float64(b.load.sum(o.down)), 4*made-late; math.Abs(got-want) > 4*math.Sqrt(late) {
		t.Errorf("%s: %.0f requests in the outage, want about %.0f", plans[retries].name, got, want)
	}
	saved := 1000 * 0.875
	if got, want := float64(b.failed), made-saved; math.Abs(got-want) > 4*math.Sqrt(saved) {
		t.Errorf("%s: %.0f calls failed, want about %.0f", plans[retries].name, got, want)
	}
}

// Every budget is spent during the outage and none is refilled, so the load is
// exactly what the rule allows.
func TestSizing(t *testing.T) {
	s := theSizing
	const calls = 6000 // during the outage
	for c, byClients := range s.run(1, func(float64) {}) {
		for n, b := range byClients {
			capacity, clients := s.capacities[c], s.clients[n]
			if got, want := b.load.sum(s.down), calls+capacity*clients; got != want {
				t.Errorf("%d clients, capacity %d: %d requests during the outage, want %d", clients, capacity, got, want)
			}
			if got, want := s.rule(clients, capacity), b.in(s.down); math.Abs(got-want) > 1e-9 {
				t.Errorf("rule(%d, %d) = %v, want %v", clients, capacity, got, want)
			}
		}
	}
}

package main

import (
	"math/rand/v2"
	"time"

	"example.com/retry"
)

// outage is a service that many clients call at a steady pace, and that is down
// for a while.
type outage struct {
	clients int
	pace    time.Duration // from one call of a client to its next
	down    window
	until   time.Duration
}

var theOutage = outage{
	clients: 100,
	pace:    100 * time.Millisecond,
	down:    window{60 * time.Second, 120 * time.Second},
	until:   180 * time.Second,
}

// A burden is what the service bears under one plan.
type burden struct {
	load perSecond // attempts
	*outcome
}

// in returns the load in w as a multiple of the calls made.
func (b burden) in(w window) float64 {
	return float64(b.load.sum(w)) / float64(b.made.sum(w))
}

// bySecond returns the multiple for each second in which calls were made.
func (b burden) bySecond() []float64 {
	multiples := make([]float64, len(b.made))
	for second := range multiples {
		t := time.Duration(second) * time.Second
		multiples[second] = b.in(window{t, t + time.Second})
	}
	return multiples
}

// run returns the burden of each plan.
func (o outage) run(seed uint64, done func(part float64)) []burden {
	burdens := make([]burden, len(plans))
	spread(len(plans), func(i int) { burdens[i] = o.once(seed, plans[i]) }, done)
	return burdens
}

func (o outage) once(seed uint64, as plan) burden {
	world := new(world)
	server := &service{world: world, down: o.down}
	outcome := new(outcome)
	common := retry.Policy(
		retry.WithSource(source(seed, "outage", "jitter")),
		retry.WithClock(world),
	)
	shared := newBudget()
	phase := rand.New(source(seed, "outage", "phase"))
	for range o.clients {
		client := &caller{
			world:   world,
			attempt: server.call,
			policy:  retry.Policy(common, as.option(shared)),
			pause:   func() time.Duration { return o.pace },
			until:   o.until,
			outcome: outcome,
		}
		world.start(time.Duration(phase.Int64N(int64(o.pace))), client.run)
	}
	world.run()
	return burden{server.load, outcome}
}

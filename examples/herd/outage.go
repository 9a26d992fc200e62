package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

func (o outage) report(seed uint64, done func(part float64)) report {
	burdens := o.run(seed, done)
	rows := make([][]string, len(plans))
	panels := make([]panel, len(plans))
	for i, b := range burdens {
		multiples := b.bySecond()
		rows[i] = []string{
			plans[i].name,
			fmt.Sprintf("%.4f", b.in(o.down)),
			fmt.Sprintf("%.2f", slices.Max(multiples)),
			fmt.Sprint(b.failed),
		}
		points := make([]point, len(multiples))
		for second, multiple := range multiples {
			points[second] = point{float64(second) + 0.5, multiple}
		}
		panels[i] = panel{
			title: plans[i].name,
			x:     axis{"seconds", o.until.Seconds(), 20},
			y:     axis{"attempts for each call made", 5, 1},
			lines: []line{{points: points}},
			down:  o.down,
		}
	}
	made := burdens[retries].made.sum(o.down)
	return report{
		title: fmt.Sprintf("Outage: %d clients, %.0f calls a second each, service down for %.0f s",
			o.clients, time.Second.Seconds()/o.pace.Seconds(), (o.down.to - o.down.from).Seconds()),
		caption: fmt.Sprintf("Load on the service, second by second. While it is down (shaded), 3 retries multiply the load by %.2f, "+
			"and save only %.1f%% of the calls. A budget for each client, 10 and 0.1 for each success, keeps the load to %.2f, "+
			"and one that all share to %.4f.",
			burdens[retries].in(o.down), 100*float64(made-burdens[retries].failed)/float64(made),
			burdens[budgetEach].in(o.down), burdens[budgetShared].in(o.down)),
		table: table{
			head: [][]string{
				{"", "load in", "in the worst", "calls"},
				{"", "the outage", "second", "failed"},
			},
			rows: rows,
		},
		figure: figure{columns: 1, height: 90, panels: panels},
	}
}

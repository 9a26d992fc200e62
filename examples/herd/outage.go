package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/retry"
)

// outage is a simulation of a service that clients call at a steady pace, and that
// is down for a while.
type outage struct {
	clients int
	pace    time.Duration // from one call of a client to the next
	down    window
	until   time.Duration
}

var theOutage = outage{
	clients: 100,
	pace:    100 * time.Millisecond,
	down:    window{60 * time.Second, 120 * time.Second},
	until:   180 * time.Second,
}

// A burden is the load on the service under one plan.
type burden struct {
	load counter // requests
	*outcome
}

// in returns the load in w as a multiple of the calls made.
func (b burden) in(w window) float64 {
	return float64(b.load.sum(w)) / float64(b.made.sum(w))
}

// bySecond returns the multiple for each second in which calls were made.
func (b burden) bySecond() []float64 {
	multiples := make([]float64, len(b.made.n))
	for second := range multiples {
		t := time.Duration(second) * time.Second
		multiples[second] = b.in(window{t, t + time.Second})
	}
	return multiples
}

func (b burden) line(color string) line {
	l := line{color: color}
	for second, multiple := range b.bySecond() {
		l.points = append(l.points, point{float64(second) + 0.5, multiple})
	}
	return l
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
	pause := func() time.Duration { return o.pace }
	for range o.clients {
		policy := retry.Policy(common, as.option(shared))
		call := func() { outcome.call(world, server.call, policy) }
		world.start(time.Duration(phase.Int64N(int64(o.pace))), func() { world.repeat(o.until, pause, call) })
	}
	world.run()
	return burden{server.load, outcome}
}

func (o outage) report(seed uint64, done func(part float64)) report {
	burdens := o.run(seed, done)
	t := table{head: [][]string{
		{"", "load in", "in the worst", "calls"},
		{"", "the outage", "second", "failed"},
	}}
	for i, b := range burdens {
		t.rows = append(t.rows, []string{
			plans[i].name,
			fmt.Sprintf("%.4f", b.in(o.down)),
			fmt.Sprintf("%.2f", slices.Max(b.bySecond())),
			fmt.Sprint(b.failed),
		})
	}
	load := panel{
		title: "Requests per call",
		x:     axis{"seconds", 0, o.until.Seconds(), 20},
		y:     axis{end: 5, tick: 1},
		band:  band{"service down", o.down},
	}
	// The first is on top.
	const shared, each, with, without = 0, 1, 2, 3
	load.lines = []line{
		shared:  burdens[budgetShared].line("blue"),
		each:    burdens[budgetEach].line("green"),
		with:    burdens[retries].line("red"),
		without: burdens[noRetries].line("gray"),
	}
	load.label(with, "3 retries", point{83, 4.2})
	load.label(each, "3 retries, a budget for each client", point{62, 1.8})
	load.labelFrom(shared, "3 retries, one shared budget", point{66, 0.3}, point{66, 1})
	load.labelFrom(without, "no retries", point{20, 0.3}, point{20, 1})

	made := burdens[retries].made.sum(o.down)
	saved := 100 * float64(made-burdens[retries].failed) / float64(made)
	return report{
		title: "In an outage, retries multiply the load by four unless a budget stops them",
		setup: fmt.Sprintf("%d clients make %.0f calls per second each, and the service is down for %.0f s.",
			o.clients, time.Second.Seconds()/o.pace.Seconds(), (o.down.to - o.down.from).Seconds()),
		tables: []table{t},
		caption: fmt.Sprintf("The load is the number of requests per call. During the outage, 3 retries multiply the load by %.2f and save only %.1f%% of "+
			"the calls. A budget of 10 tokens plus 0.1 per success keeps the load at %.2f times normal if each client has its own, and at "+
			"%.4f times if all share one.",
			burdens[retries].in(o.down), saved, burdens[budgetEach].in(o.down), burdens[budgetShared].in(o.down)),
		figure: figure{panels: []panel{load}},
	}
}

// sizing is the simulation of an outage that shows how large a budget may be. The
// total number of calls is the same for any number of clients.
type sizing struct {
	pace       time.Duration // from one call of any client to the next
	clients    []int
	capacities []int // of the budget of each client
	down       window
	until      time.Duration
}

var theSizing = sizing{
	pace:       10 * time.Millisecond,
	clients:    []int{10, 100, 1000},
	capacities: []int{10, 1},
	down:       window{20 * time.Second, 80 * time.Second},
	until:      100 * time.Second,
}

// rule returns the maximum load that the documentation of Budget promises.
func (s sizing) rule(clients, capacity int) float64 {
	calls := float64(s.down.to-s.down.from) / float64(s.pace)
	return 1 + float64(capacity*clients)/calls
}

// run returns the burdens by capacity and number of clients.
func (s sizing) run(seed uint64, done func(part float64)) [][]burden {
	burdens := make([][]burden, len(s.capacities))
	for i := range burdens {
		burdens[i] = make([]burden, len(s.clients))
	}
	spread(len(s.capacities)*len(s.clients), func(i int) {
		c, n := i/len(s.clients), i%len(s.clients)
		o := outage{s.clients[n], s.pace * time.Duration(s.clients[n]), s.down, s.until}
		burdens[c][n] = o.once(seed, plan{option: func(*retry.Budget) retry.Option {
			return retry.Policy(retry.WithMaxAttempts(4), retry.WithBudget(retry.NewBudget(s.capacities[c], 0.1)))
		}})
	}, done)
	return burdens
}

func (s sizing) report(seed uint64, done func(part float64)) report {
	burdens := s.run(seed, done)
	t := table{head: [][]string{
		{"capacity of", "", "load in", "", "in the worst"},
		{"each budget", "clients", "the outage", "rule", "second"},
	}}
	for c, capacity := range s.capacities {
		for n, clients := range s.clients {
			t.rows = append(t.rows, []string{
				fmt.Sprint(capacity),
				fmt.Sprint(clients),
				fmt.Sprintf("%.3f", burdens[c][n].in(s.down)),
				fmt.Sprintf("%.3f", s.rule(clients, capacity)),
				fmt.Sprintf("%.2f", slices.Max(burdens[c][n].bySecond())),
			})
		}
	}
	load := panel{
		title: fmt.Sprintf("Requests per call, with a budget of capacity %d for each client", s.capacities[0]),
		x:     axis{"seconds", 0, s.until.Seconds(), 10},
		y:     axis{end: 5, tick: 1},
		band:  band{"service down", s.down},
	}
	for n, color := range []string{"gray", "blue", "red"} {
		load.lines = append(load.lines, burdens[0][n].line(color))
	}
	load.labelFrom(0, "10 clients", point{10, 2.4}, point{20.3, 1.95})
	load.label(1, "100 clients", point{24.5, 3})
	load.label(2, "1000 clients", point{51.3, 3.6})
	return report{
		title: "Budgets add up: 1000 clients can quadruple the load for half a minute",
		setup: fmt.Sprintf("Clients make %.0f calls per second in total, and the service is down for %.0f s. Each client has its own budget "+
			"and makes at most 3 retries per call.", time.Second.Seconds()/s.pace.Seconds(), (s.down.to - s.down.from).Seconds()),
		tables: []table{t},
		caption: "The load is the number of requests per call. The rule is 1 + capacity × clients ÷ calls during the outage. If many clients make " +
			"few calls each, the capacity of each budget must be small.",
		figure: figure{panels: []panel{load}},
	}
}

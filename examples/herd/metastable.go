package main

import (
	"math/rand/v2"
	"time"

	"example.com/retry"
)

// metastable is a failure that outlasts its cause, after Bronson, Aghayev,
// Charapko and Zhu, "Metastable Failures in Distributed Systems", HotOS 2021: a
// server with just enough capacity falls behind once, and from then on retries
// keep it busy with answers that nobody waits for any more.
type metastable struct {
	rate     float64 // calls a second, at random
	capacity int     // requests a second
	timeout  time.Duration
	down     window
	until    time.Duration
	runs     int
}

var theMetastable = metastable{
	rate:     280,
	capacity: 300,
	timeout:  time.Second,
	down:     window{60 * time.Second, 70 * time.Second},
	until:    10 * time.Minute,
	runs:     10,
}

// The plans that are compared. With a single caller, a budget of its own and a
// shared one are the same.
var metastablePlans = []plan{plans[noRetries], plans[retries], plans[budgetShared]}

// A course is how one run went.
type course struct {
	load perSecond // attempts
	outcome
}

// backAfter returns how long after the end of down nine of ten calls were
// answered again, for ten seconds; false if it never came to that.
func (c course) backAfter(m metastable) (time.Duration, bool) {
	const enough = 10 * time.Second
	for from := m.down.to; from+enough <= m.until; from += time.Second {
		w := window{from, from + enough}
		if 10*c.answered.sum(w) >= 9*c.made.sum(w) {
			return from - m.down.to, true
		}
	}
	return 0, false
}

// run returns the courses by plan, in the order of metastablePlans, and run.
func (m metastable) run(seed uint64, done func(part float64)) [][]course {
	courses := make([][]course, len(metastablePlans))
	for i := range courses {
		courses[i] = make([]course, m.runs)
	}
	spread(len(courses)*m.runs, func(i int) {
		p, run := i/m.runs, i%m.runs
		courses[p][run] = m.once(seed, run, metastablePlans[p])
	}, done)
	return courses
}

// once is one run. Its calls come at the same times under every plan.
func (m metastable) once(seed uint64, run int, as plan) course {
	world := new(world)
	server := &queue{world: world, work: time.Second / time.Duration(m.capacity), down: m.down}
	arrivals := rand.New(source(seed, "metastable", run, "arrivals"))
	client := &caller{
		world:   world,
		attempt: func() error { return server.call(m.timeout) },
		policy: retry.Policy(
			retry.WithSource(source(seed, "metastable", run, "jitter")),
			retry.WithClock(world),
			as.option(newBudget()),
		),
		pause:   func() time.Duration { return time.Duration(arrivals.ExpFloat64() / m.rate * float64(time.Second)) },
		until:   m.until,
		outcome: new(outcome),
	}
	world.start(client.pause(), client.run)
	world.run()
	return course{server.load, *client.outcome}
}

package main

import (
	"fmt"
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

func (m metastable) report(seed uint64, done func(part float64)) report {
	courses := m.run(seed, done)
	rows := make([][]string, len(courses))
	panels := make([]panel, len(courses))
	for i, runs := range courses {
		rows[i] = append([]string{metastablePlans[i].name}, m.figures(runs)...)
		panels[i] = panel{
			title: metastablePlans[i].name,
			x:     axis{"seconds", m.until.Seconds(), 60},
			y:     axis{"goodput, calls a second", 400, 100},
			lines: []line{{points: m.goodput(runs[0])}},
			down:  m.down,
		}
	}
	down := (m.down.to - m.down.from).Seconds()
	return report{
		title: fmt.Sprintf("Metastable failure: %.0f calls a second, capacity %d, down once for %.0f s", m.rate, m.capacity, down),
		caption: fmt.Sprintf("Calls answered within their timeout of %.0f s, in the first of %d runs. After a standstill of %.0f s (shaded) the "+
			"queue takes longer than that, and all calls time out. Without retries it shrinks, and the service is back. 3 retries "+
			"make it grow for good: the server is busy with requests that nobody waits for any more. With a budget of 10, and "+
			"0.1 for each success, it is back as soon as without retries.",
			m.timeout.Seconds(), m.runs, down),
		table: table{
			head: [][]string{
				{"", "runs that", "seconds after", "goodput in the", "load in the"},
				{"", "came back", "the outage", "last minute", "last minute"},
			},
			rows: rows,
		},
		figure: figure{columns: 1, height: 90, panels: panels},
	}
}

// figures returns the cells of a row.
func (m metastable) figures(runs []course) []string {
	var back, goodput, load sample
	lastMinute := window{m.until - time.Minute, m.until}
	for _, c := range runs {
		if after, ok := c.backAfter(m); ok {
			back = append(back, after.Seconds())
		}
		goodput = append(goodput, float64(c.answered.sum(lastMinute))/60)
		load = append(load, float64(c.load.sum(lastMinute))/60)
	}
	after := "never"
	if len(back) > 0 {
		after = fmt.Sprintf("%.0f ±%.0f", back.mean(), back.se())
	}
	return []string{
		fmt.Sprintf("%d of %d", len(back), len(runs)),
		after,
		fmt.Sprintf("%.0f/s", goodput.mean()),
		fmt.Sprintf("%.0f/s", load.mean()),
	}
}

// goodput returns the calls answered, as means of two seconds: single ones are
// too ragged to look at.
func (m metastable) goodput(c course) []point {
	const bin = 2 * time.Second
	var points []point
	for t := time.Duration(0); t < m.until; t += bin {
		points = append(points, point{(t + bin/2).Seconds(), float64(c.answered.sum(window{t, t + bin})) / bin.Seconds()})
	}
	return points
}

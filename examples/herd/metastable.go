package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"example.com/retry"
)

// metastable is a simulation of a failure that outlasts its cause, after Bronson,
// Aghayev, Charapko and Zhu, "Metastable Failures in Distributed Systems", HotOS
// 2021. A server falls behind once. From then on, retries keep it busy with
// responses that arrive after their clients have timed out.
type metastable struct {
	rate     float64 // calls per second
	capacity int     // requests per second
	timeout  time.Duration
	slow     window
	speed    float64 // during slow, as a fraction of the capacity
	even     bool    // whether calls are evenly spaced
	until    time.Duration
	runs     int
}

var theMetastable = metastable{
	rate:     280,
	capacity: 300,
	timeout:  time.Second,
	slow:     window{60 * time.Second, 70 * time.Second},
	until:    10 * time.Minute,
	runs:     10,
}

// The plans to compare. There is a single client, so its own budget and a shared
// budget are the same.
var metastablePlans = []plan{
	plans[noRetries],
	plans[retries],
	{"3 retries, a budget", plans[budgetShared].option},
}

// A course is the result of one run.
type course struct {
	load counter // requests
	outcome
}

// recovery returns the time from the end of the slow window to the first ten seconds in
// which at least nine of ten requests are answered in time. It returns false if the
// server never recovers.
func (c course) recovery(m metastable) (time.Duration, bool) {
	const enough = 10 * time.Second
	for from := m.slow.to; from+enough <= m.until; from += time.Second {
		w := window{from, from + enough}
		if 10*c.answered.sum(w) >= 9*c.load.sum(w) {
			return from - m.slow.to, true
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

// once makes one run. The calls are made at the same times under every plan.
func (m metastable) once(seed uint64, run int, as plan) course {
	world := new(world)
	server := &queue{world: world, work: time.Second / time.Duration(m.capacity), slow: m.slow, speed: m.speed}
	arrivals := rand.New(source(seed, "metastable", run, "arrivals"))
	pause := func() time.Duration {
		mean := float64(time.Second) / m.rate
		if m.even {
			return time.Duration(mean)
		}
		return time.Duration(arrivals.ExpFloat64() * mean)
	}
	policy := retry.Policy(
		retry.WithSource(source(seed, "metastable", run, "jitter")),
		retry.WithClock(world),
		as.option(newBudget()),
	)
	outcome := new(outcome)
	call := func() {
		outcome.call(world, func() error { return server.call(m.timeout) }, policy)
	}
	world.start(pause(), func() { world.repeat(m.until, pause, call) })
	world.run()
	return course{server.load, *outcome}
}

func (m metastable) report(seed uint64, done func(part float64)) report {
	courses := m.run(seed, done)
	t := table{head: [][]string{
		{"", "runs that", "recovery", "goodput in the", "load in the"},
		{"", "recovered", "time (s)", "last minute", "last minute"},
	}}
	for i, runs := range courses {
		t.rows = append(t.rows, append([]string{metastablePlans[i].name}, m.cells(runs)...))
	}

	slow := (m.slow.to - m.slow.from).Seconds()
	load := panel{
		title: "Requests per second",
		x:     axis{"seconds", 0, m.until.Seconds(), 60},
		y:     axis{end: 1400, tick: 200},
		band:  band{fmt.Sprintf("stall of %.0f s", slow), m.slow},
	}
	goodput := load
	goodput.title, goodput.y = "Calls answered in time, per second", axis{end: 400, tick: 100}
	const budgeted, with, without = 0, 1, 2 // the first is on top
	whole := window{0, m.until}
	for _, p := range []struct {
		plan  int
		color string
	}{budgeted: {2, "green"}, with: {1, "red"}, without: {0, "gray"}} {
		first := courses[p.plan][0]
		// Lines with a point for each second would be too ragged to read.
		load.lines = append(load.lines, line{p.color, first.load.points(whole, 2*time.Second)})
		goodput.lines = append(goodput.lines, line{p.color, first.answered.points(whole, 2*time.Second)})
	}
	load.label(with, "3 retries", point{300, 980})
	load.label(budgeted, "3 retries, a budget", point{230, 360})
	load.label(without, "no retries", point{300, 180})
	goodput.label(with, "3 retries", point{300, 12})
	goodput.label(budgeted, "3 retries, a budget", point{270, 330})
	goodput.label(without, "no retries", point{300, 210})

	return report{
		title: fmt.Sprintf("After a stall of %.0f s, retries keep the server down; a budget lets it recover", slow),
		setup: fmt.Sprintf("A server that can handle %d requests per second receives %.0f calls per second. It keeps working on requests whose "+
			"clients have already timed out (after %.0f s). It stalls once, for %.0f s.", m.capacity, m.rate, m.timeout.Seconds(), slow),
		tables: []table{t},
		caption: fmt.Sprintf("After the stall, queueing takes longer than the timeout of %.0f s, so every request times out. Without retries, the "+
			"queue drains and the server recovers. With 3 retries, every call is sent four times, and the queue never drains. With a budget of "+
			"10 tokens plus 0.1 per success, the server recovers as fast as without retries. %d runs; means ± standard error.",
			m.timeout.Seconds(), m.runs),
		figure: figure{panels: []panel{load, goodput}},
	}
}

// cells returns what the table says about runs: how many recovered, after what
// time, and the goodput and the load in the last minute.
func (m metastable) cells(runs []course) []string {
	var recovery, goodput, load sample
	lastMinute := window{m.until - time.Minute, m.until}
	for _, c := range runs {
		if after, ok := c.recovery(m); ok {
			recovery = append(recovery, after.Seconds())
		}
		goodput = append(goodput, float64(c.answered.sum(lastMinute))/60)
		load = append(load, float64(c.load.sum(lastMinute))/60)
	}
	after := "never"
	switch len(recovery) {
	case 0:
	case 1:
		after = fmt.Sprintf("%.0f", recovery[0])
	default:
		after = meanAndError("%.0f", recovery)
	}
	return []string{
		fmt.Sprintf("%d of %d", len(recovery), len(runs)),
		after,
		fmt.Sprintf("%.0f/s", goodput.mean()),
		fmt.Sprintf("%.0f/s", load.mean()),
	}
}

// trigger is the retry experiment of Huang et al., "Metastable Failures in the
// Wild", OSDI 2022: how long and how much a server must slow down until retries
// keep it down.
type trigger struct{ cases []triggerCase }

type triggerCase struct {
	name string
	plan
	metastable
}

const (
	triggerA = iota
	triggerB
	triggerC
	triggerD
	triggerABudget
)

var theTrigger = trigger{[]triggerCase{
	triggerA:       {"A: speed 20% for 10 s", resends, slowdown(300, 0.20, 10*time.Second)},
	triggerB:       {"B: speed 22.5% for 10 s", resends, slowdown(300, 0.225, 10*time.Second)},
	triggerC:       {"C: speed 20% for 9 s", resends, slowdown(300, 0.20, 9*time.Second)},
	triggerD:       {"D: as A, 25% fewer calls", resends, slowdown(225, 0.20, 10*time.Second)},
	triggerABudget: {"A, with a budget", resendsWithBudget, slowdown(300, 0.20, 10*time.Second)},
}}

// slowdown returns the server of the experiment. Without retries, 300 calls per second
// use 37.5% of its capacity.
func slowdown(rate, speed float64, d time.Duration) metastable {
	const warmup = time.Minute
	return metastable{
		rate:     rate,
		capacity: 800,
		timeout:  3 * time.Second,
		slow:     window{warmup, warmup + d},
		speed:    speed,
		until:    4 * time.Minute,
		runs:     10,
	}
}

// The clients of the experiment resend a request immediately, up to 4 times.
var (
	resends = plan{option: func(*retry.Budget) retry.Option {
		return retry.Policy(
			retry.WithMaxAttempts(5),
			retry.WithBackoff(retry.Constant(0)),
			retry.WithJitter(retry.NoJitter),
		)
	}}
	resendsWithBudget = plan{option: func(shared *retry.Budget) retry.Option {
		return retry.Policy(resends.option(nil), retry.WithBudget(shared))
	}}
)

// run returns the courses by case and run. In the first run of each case, the calls
// are evenly spaced; in the others, they are made at random times.
func (tr trigger) run(seed uint64, done func(part float64)) [][]course {
	courses := make([][]course, len(tr.cases))
	runs := 1 + tr.cases[0].runs
	for i := range courses {
		courses[i] = make([]course, runs)
	}
	spread(len(tr.cases)*runs, func(i int) {
		c, run := tr.cases[i/runs], i%runs
		c.even = run == 0
		courses[i/runs][run] = c.once(seed, run, c.plan)
	}, done)
	return courses
}

func (tr trigger) report(seed uint64, done func(part float64)) report {
	courses := tr.run(seed, done)
	t := table{head: [][]string{
		{"", "recovery", "goodput in", "load in the", "random runs"},
		{"", "time (s)", "last minute", "last minute", "recovered"},
	}}
	names, random := make([]string, len(tr.cases)), make([]string, len(tr.cases))
	for i, c := range tr.cases {
		names[i] = c.name
		random[i] = c.cells(courses[i][1:])[0]
		t.rows = append(t.rows, append(append([]string{c.name}, c.cells(courses[i][:1])[1:]...), random[i]))
	}

	a := tr.cases[triggerA]
	shown := window{a.slow.from - 10*time.Second, a.slow.from + time.Minute}
	load := panel{
		title: "Requests per second",
		x:     axis{"seconds", shown.from.Seconds(), shown.to.Seconds(), 10},
		y:     axis{end: 1800, tick: 300},
		band:  band{"server slow", a.slow},
	}
	goodput := load
	goodput.title, goodput.y = "Calls answered in time, per second", axis{end: 1000, tick: 200}
	colors := []string{triggerA: "red", triggerB: "violet", triggerC: "blue", triggerD: "gray", triggerABudget: "green"}
	for i, color := range colors {
		first := courses[i][0]
		load.lines = append(load.lines, line{color, first.load.points(shown, time.Second)})
		goodput.lines = append(goodput.lines, line{color, first.answered.points(shown, time.Second)})
	}
	load.label(triggerA, "A", point{95, 1540})
	load.labelFrom(triggerB, "B", point{75, 610}, point{70.8, 560})
	load.labelFrom(triggerC, "C", point{62, 850}, point{69.3, 740})
	load.label(triggerD, "D", point{55, 100})
	load.label(triggerABudget, "A, with a budget", point{85, 360})
	goodput.label(triggerA, "A", point{100, 20})
	goodput.labelFrom(triggerB, "B", point{80, 700}, point{74.6, 650})
	goodput.labelFrom(triggerC, "C", point{78, 880}, point{73, 775})
	goodput.label(triggerD, "D", point{55, 100})
	goodput.labelFrom(triggerABudget, "A, with a budget", point{82, 450}, point{73.2, 390})

	return report{
		title: "Retries keep the server down after trigger A unless there is a budget",
		setup: fmt.Sprintf("A server that can handle %d requests per second receives %.0f calls per second and slows down once. It keeps working on "+
			"requests whose clients have already timed out (after %.0f s). The clients resend immediately, up to 4 times. The calls are evenly "+
			"spaced, except in the random runs.",
			a.capacity, a.rate, a.timeout.Seconds()),
		tables: []table{t},
		caption: fmt.Sprintf("After trigger A, the server never recovers. It recovers after the slightly weaker triggers B and C, and after the same trigger at "+
			"a lower rate of calls (D). "+
			"With a budget of 10 tokens plus 0.1 per success, the server also recovers from trigger A. With calls at random times, trigger A is "+
			"so close to the limit that the server recovers in %s runs.", random[triggerA]),
		figure: figure{note: strings.Join(names[:triggerABudget], ". ") + ".", panels: []panel{load, goodput}},
	}
}

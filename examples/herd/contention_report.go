package main

import (
	"fmt"
	"slices"
)

// articleSize is the size of the herd that the article speaks of.
const articleSize = 100

func (c contention) report(seed uint64, done func(part float64)) report {
	efforts := c.run(seed, done)
	n := slices.Index(c.clients, articleSize)
	none, expo, full, twice := efforts[noBackoff][n], efforts[noJitter][n], efforts[fullJitter][n], efforts[fullJitterFromTwice][n]
	return report{
		title: "Contention: clients write the same value at once, and back off on a conflict",
		caption: fmt.Sprintf("With %d clients full jitter makes %.2f of the calls of no backoff, and %.2f of the calls "+
			"of exponential backoff without jitter in %.3f of its time: clients that wait equally long meet again. "+
			"Means of %d runs, in the table ± standard error; base %v, cap %v. The program of the article begins at twice the base; "+
			"with that, full jitter makes %.2f of the calls of no backoff.",
			articleSize, full.calls.mean()/none.calls.mean(), full.calls.mean()/expo.calls.mean(), full.took.mean()/expo.took.mean(),
			c.runs, c.backoff.Base, c.backoff.Max, twice.calls.mean()/none.calls.mean()),
		table: c.table(efforts),
		figure: figure{columns: 2, height: 260, panels: []panel{
			c.panel("write calls", axis{"calls", 10000, 2000}, efforts, func(e effort) sample { return e.calls }),
			c.panel("time until the last client is done", axis{"seconds", 120, 20}, efforts, func(e effort) sample { return e.took }),
		}},
	}
}

func (c contention) table(efforts [][]effort) table {
	t := table{head: [][]string{{""}, {"clients"}}}
	for _, w := range c.ways() {
		t.rows = append(t.rows, []string{w.name})
	}
	columns := func(title, format string, of func(effort) sample) {
		for _, clients := range []int{10, articleSize, 200} {
			t.head[0] = append(t.head[0], title)
			t.head[1] = append(t.head[1], fmt.Sprint(clients))
			for w := range t.rows {
				s := of(efforts[w][slices.Index(c.clients, clients)])
				t.rows[w] = append(t.rows[w], fmt.Sprintf(format, s.mean(), s.se()))
			}
		}
	}
	columns("calls", "%.1f ±%.1f", func(e effort) sample { return e.calls })
	columns("seconds", "%.2f ±%.2f", func(e effort) sample { return e.took })
	return t
}

func (c contention) panel(title string, y axis, efforts [][]effort, of func(effort) sample) panel {
	p := panel{title: title, x: axis{"clients", 200, 50}, y: y}
	for w, way := range c.ways()[:fullJitterFromTwice] {
		l := line{name: way.name}
		for n, clients := range c.clients {
			l.points = append(l.points, point{float64(clients), of(efforts[w][n]).mean()})
		}
		p.lines = append(p.lines, l)
	}
	return p
}

package main

import (
	"fmt"
	"time"
)

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

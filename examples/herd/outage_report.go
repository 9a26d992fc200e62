package main

import (
	"fmt"
	"slices"
	"time"
)

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

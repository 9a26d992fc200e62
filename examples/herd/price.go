package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"example.com/retry"
)

// price is a simulation of what a budget costs while requests fail independently of
// each other, after Brooker, "Fixing retries with token buckets and circuit
// breakers", 2022.
type price struct {
	clients int
	pace    time.Duration // from one call of a client to the next
	warmup  time.Duration // until the budgets have settled
	until   time.Duration
	percent []int // of the requests that fail
}

var thePrice = price{
	clients: 100,
	pace:    100 * time.Millisecond,
	warmup:  20 * time.Second,
	until:   60 * time.Second,
	percent: []int{0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100},
}

// The plans to compare.
const (
	freeRetries = iota
	budgetReturns
	budgetKeeps
	neverRetry
)

var pricePlans = []struct {
	plan
	spends bool // whether a successful retry also spends its token
}{
	freeRetries:   {plans[retries], false},
	budgetReturns: {plan{"3 retries, a budget per client", plans[budgetShared].option}, false},
	budgetKeeps:   {plan{"the same, but tokens stay spent", plans[budgetShared].option}, true},
	neverRetry:    {plans[noRetries], false},
}

// A bill counts the calls under one plan, their requests, and their successes.
type bill struct{ calls, requests, successes int }

func (b bill) load() float64    { return float64(b.requests) / float64(b.calls) }
func (b bill) success() float64 { return float64(b.successes) / float64(b.calls) }

// run returns the bills by plan and percentage.
func (p price) run(seed uint64, done func(part float64)) [][]bill {
	bills := make([][]bill, len(pricePlans))
	for i := range bills {
		bills[i] = make([]bill, len(p.percent))
	}
	spread(len(bills)*len(p.percent), func(i int) {
		as, n := i%len(bills), i/len(bills)
		bills[as][n] = p.once(seed, as, p.percent[n])
	}, done)
	return bills
}

var errFailed = errors.New("request failed")

func (p price) once(seed uint64, as, percent int) bill {
	world := new(world)
	plan := pricePlans[as]
	random := func(of string) rand.Source { return source(seed, "price", plan.name, percent, of) }
	fate, phase := rand.New(random("fate")), rand.New(random("phase"))
	common := retry.Policy(retry.WithSource(random("jitter")), retry.WithClock(world))
	pause := func() time.Duration { return p.pace }
	var b bill
	for range p.clients {
		budget := newBudget()
		policy := retry.Policy(common, plan.option(budget))
		call := func() {
			settled := world.now >= p.warmup
			requests := 0
			err := retry.Do(context.Background(), func(context.Context) error {
				requests++
				if fate.IntN(100) < percent {
					return errFailed
				}
				return nil
			}, policy)
			if err == nil && requests > 1 && plan.spends {
				spend(budget)
			}
			if settled {
				b.add(requests, err == nil)
			}
		}
		world.start(time.Duration(phase.Int64N(int64(p.pace))), func() { world.repeat(p.until, pause, call) })
	}
	world.run()
	return b
}

func (b *bill) add(requests int, success bool) {
	b.calls++
	b.requests += requests
	if success {
		b.successes++
	}
}

// spend takes a token from b by making a call whose only retry fails.
func spend(b *retry.Budget) {
	retry.Do(context.Background(), func(context.Context) error { return errFailed },
		retry.WithMaxAttempts(2), retry.WithBackoff(retry.Constant(0)), retry.WithBudget(b))
}

func (p price) report(seed uint64, done func(part float64)) report {
	bills := p.run(seed, done)
	of := func(name string, value func(bill) float64, format string) table {
		t := table{head: [][]string{{name}}}
		for i, plan := range pricePlans {
			t.rows = append(t.rows, []string{plan.name})
			for _, percent := range []int{5, 10, 20, 30, 50, 100} {
				if i == 0 {
					t.head[0] = append(t.head[0], fmt.Sprintf("%d%%", percent))
				}
				t.rows[i] = append(t.rows[i], fmt.Sprintf(format, value(bills[i][slices.Index(p.percent, percent)])))
			}
		}
		return t
	}
	at20 := func(plan int) bill { return bills[plan][slices.Index(p.percent, 20)] }
	worst := 0.0
	for _, b := range bills[budgetReturns] {
		worst = max(worst, b.load())
	}
	percentage := func(b bill) float64 { return 100 * b.success() }

	load := panel{title: "Requests per call", x: axis{"requests that fail (%)", 0, 100, 20}, y: axis{end: 4, tick: 1}}
	success := panel{title: "Calls that succeed (%)", x: load.x, y: axis{end: 100, tick: 20}}
	colors := []string{freeRetries: "red", budgetReturns: "green", budgetKeeps: "blue", neverRetry: "gray"}
	for i, color := range colors {
		l, s := line{color: color}, line{color: color}
		for n, percent := range p.percent {
			l.points = append(l.points, point{float64(percent), bills[i][n].load()})
			s.points = append(s.points, point{float64(percent), percentage(bills[i][n])})
		}
		load.lines, success.lines = append(load.lines, l), append(success.lines, s)
	}
	load.label(freeRetries, "3 retries", point{40, 2.5})
	load.label(budgetReturns, "with a budget", point{50, 1.2})
	load.labelFrom(budgetKeeps, "tokens stay spent", point{10, 0.6}, point{14, 1.1})
	load.labelFrom(neverRetry, "no retries", point{60, 0.6}, point{64, 1})
	success.label(freeRetries, "3 retries", point{72, 82})
	success.label(budgetReturns, "with a budget", point{40, 72})
	success.labelFrom(budgetKeeps, "tokens stay spent", point{6, 45}, point{26, 79})
	success.labelFrom(neverRetry, "no retries", point{42, 25}, point{50, 50})

	return report{
		title: "A budget limits the load at any rate of failures, and costs little at low rates",
		setup: fmt.Sprintf("%d clients make %.0f calls per second each. Each request fails with the same probability, independently of the others. "+
			"A budget has 10 tokens plus 0.1 per success, and a retry that succeeds returns its token. For comparison, in one case a retry that "+
			"succeeds does not return its token. The columns are the percentages of requests that fail.", p.clients, time.Second.Seconds()/p.pace.Seconds()),
		tables: []table{
			of("requests per call", bill.load, "%.2f"),
			of("calls that succeed (%)", percentage, "%.1f"),
		},
		caption: fmt.Sprintf("Without a budget, the load rises to %.2f times normal when all requests fail. With a budget, it is at most %.2f times "+
			"normal. If 20%% of the requests fail, %.1f%% of the calls succeed with a budget, and %.1f%% if tokens stay spent.",
			bills[freeRetries][len(p.percent)-1].load(), worst, percentage(at20(budgetReturns)), percentage(at20(budgetKeeps))),
		figure: figure{panels: []panel{load, success}},
	}
}

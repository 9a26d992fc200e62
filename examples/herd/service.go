package main

import (
	"context"
	"errors"
	"math"
	"time"

	"example.com/retry"
)

// perSecond counts what happens in each second of a world.
type perSecond []int

func (p *perSecond) count(at time.Duration) {
	second := int(at / time.Second)
	for len(*p) <= second {
		*p = append(*p, 0)
	}
	(*p)[second]++
}

// sum counts what happened in w, which begins and ends with full seconds.
func (p perSecond) sum(w window) int {
	n := 0
	for second := w.from; second < w.to && int(second/time.Second) < len(p); second += time.Second {
		n += p[second/time.Second]
	}
	return n
}

// A sample has one value from each run.
type sample []float64

func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// se is the standard error of the mean.
func (s sample) se() float64 {
	mean, squares := s.mean(), 0.0
	for _, v := range s {
		squares += (v - mean) * (v - mean)
	}
	n := float64(len(s))
	return math.Sqrt(squares / (n - 1) / n)
}

// A caller is a client that makes calls at a pace of its own, whether the earlier
// ones have been answered or not.
type caller struct {
	world   *world
	attempt func() error
	policy  retry.Option
	pause   func() time.Duration // from one call to the next
	until   time.Duration        // when it stops
	*outcome
}

// An outcome is what becomes of calls.
type outcome struct {
	made, answered perSecond
	failed         int
}

func (c *caller) run() {
	for c.world.now < c.until {
		c.world.start(0, c.call)
		c.world.wait(c.pause())
	}
}

func (c *caller) call() {
	c.made.count(c.world.now)
	err := retry.Do(context.Background(), func(context.Context) error { return c.attempt() }, c.policy)
	if err == nil {
		c.answered.count(c.world.now)
	} else {
		c.failed++
	}
}

// A plan is how callers retry, apart from the default policy of delay.
type plan struct {
	name string
	// option makes the option of one caller; shared is a budget for all.
	option func(shared *retry.Budget) retry.Option
}

const (
	noRetries = iota
	retries
	budgetEach
	budgetShared
)

var plans = []plan{
	noRetries: {"no retries", func(*retry.Budget) retry.Option {
		return retry.WithMaxAttempts(1)
	}},
	retries: {"3 retries", func(*retry.Budget) retry.Option {
		return retry.WithMaxAttempts(4)
	}},
	budgetEach: {"3 retries, a budget for each client", func(*retry.Budget) retry.Option {
		return retry.Policy(retry.WithMaxAttempts(4), retry.WithBudget(newBudget()))
	}},
	budgetShared: {"3 retries, one budget", func(shared *retry.Budget) retry.Option {
		return retry.Policy(retry.WithMaxAttempts(4), retry.WithBudget(shared))
	}},
}

func newBudget() *retry.Budget { return retry.NewBudget(10, 0.1) }

// A window is a part of a world's time: from is in it, to is not.
type window struct{ from, to time.Duration }

func (w window) includes(t time.Duration) bool { return w.from <= t && t < w.to }

// A service is a server that answers at once, while it is down with an error.
type service struct {
	world *world
	down  window
	load  perSecond // attempts that reached it
}

var errDown = errors.New("service is down")

func (s *service) call() error {
	s.load.count(s.world.now)
	if s.down.includes(s.world.now) {
		return errDown
	}
	return nil
}

// A queue is a server that works on one request after the other, in the order in
// which they came. While it is down they pile up. It does the work of every one,
// even if its client has given up meanwhile.
type queue struct {
	world *world
	work  time.Duration // for one request
	down  window
	free  time.Duration // when all requests so far will have been answered
	load  perSecond     // requests that came
}

var errTimeout = errors.New("timeout")

// call is a request whose client waits for the answer no longer than timeout. No
// request ever leaves the queue, so the time of the answer is known at once.
func (q *queue) call(timeout time.Duration) error {
	q.load.count(q.world.now)
	begin := max(q.free, q.world.now)
	if q.down.includes(begin) {
		begin = q.down.to
	}
	q.free = begin + q.work
	answer := q.free - q.world.now
	q.world.wait(min(answer, timeout))
	if answer > timeout {
		return errTimeout
	}
	return nil
}

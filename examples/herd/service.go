package main

import (
	"context"
	"errors"
	"math"
	"time"

	"example.com/retry"
)

// A window is an interval of a world's time. It includes from and excludes to.
type window struct{ from, to time.Duration }

func (w window) includes(t time.Duration) bool { return w.from <= t && t < w.to }

// A counter counts events by time.
type counter struct {
	bin time.Duration // zero means a second
	n   []int         // events in each bin
}

func (c *counter) width() time.Duration {
	if c.bin == 0 {
		return time.Second
	}
	return c.bin
}

func (c *counter) count(at time.Duration) {
	i := int(at / c.width())
	for len(c.n) <= i {
		c.n = append(c.n, 0)
	}
	c.n[i]++
}

// sum returns the number of events in w, which must consist of whole bins.
func (c *counter) sum(w window) int {
	sum := 0
	for i := int(w.from / c.width()); i < int(w.to/c.width()) && i < len(c.n); i++ {
		sum += c.n[i]
	}
	return sum
}

// total returns the number of all events.
func (c *counter) total() int { return c.sum(window{0, time.Duration(len(c.n)) * c.width()}) }

// points returns the mean number of events per bin for each interval of w. An interval
// must consist of whole bins.
func (c *counter) points(w window, interval time.Duration) []point {
	var points []point
	for t := w.from; t < w.to; t += interval {
		bins := float64(interval / c.width())
		points = append(points, point{(t + interval/2).Seconds(), float64(c.sum(window{t, t + interval})) / bins})
	}
	return points
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

// se returns the standard error of the mean.
func (s sample) se() float64 {
	mean, squares := s.mean(), 0.0
	for _, v := range s {
		squares += (v - mean) * (v - mean)
	}
	n := float64(len(s))
	return math.Sqrt(squares / (n - 1) / n)
}

// An outcome counts calls.
type outcome struct {
	made, answered counter
	failed         int
}

// call makes one call of retry.Do and counts it.
func (o *outcome) call(w *world, attempt func() error, policy retry.Option) {
	o.made.count(w.now)
	err := retry.Do(context.Background(), func(context.Context) error { return attempt() }, policy)
	if err == nil {
		o.answered.count(w.now)
	} else {
		o.failed++
	}
}

// A plan describes how clients retry.
type plan struct {
	name string
	// option returns the option of one client. All clients can share the budget.
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
	budgetShared: {"3 retries, one shared budget", func(shared *retry.Budget) retry.Option {
		return retry.Policy(retry.WithMaxAttempts(4), retry.WithBudget(shared))
	}},
}

func newBudget() *retry.Budget { return retry.NewBudget(10, 0.1) }

// A service is a server that answers immediately. While it is down, it answers with an
// error.
type service struct {
	world *world
	down  window
	load  counter // requests
}

var errDown = errors.New("service is down")

func (s *service) call() error {
	s.load.count(s.world.now)
	if s.down.includes(s.world.now) {
		return errDown
	}
	return nil
}

// A queue is a server that works on one request at a time, in the order of arrival. It
// completes every request, even if the client has given up.
type queue struct {
	world *world
	work  time.Duration // for one request
	slow  window
	speed float64       // during slow, as a fraction of the usual speed; 0 means a stall
	free  time.Duration // when the requests so far will have been answered
	load  counter       // requests
}

var errTimeout = errors.New("timeout")

// call makes a request whose client waits at most timeout for the answer. Because no
// request leaves the queue early, the time of the answer is known immediately.
func (q *queue) call(timeout time.Duration) error {
	q.load.count(q.world.now)
	q.free = q.end(max(q.free, q.world.now))
	answer := q.free - q.world.now
	q.world.wait(min(answer, timeout))
	if answer > timeout {
		return errTimeout
	}
	return nil
}

// end returns the time at which the server completes a request that it can begin at
// begin. If the server begins a request before the slow window, the request takes the
// usual time.
func (q *queue) end(begin time.Duration) time.Duration {
	if !q.slow.includes(begin) {
		return begin + q.work
	}
	if q.speed == 0 {
		return q.slow.to + q.work
	}
	return begin + time.Duration(float64(q.work)/q.speed)
}

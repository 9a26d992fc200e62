package main

import (
	"errors"
	"time"
)

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

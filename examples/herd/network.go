package main

import (
	"math/rand/v2"
	"time"
)

// A network delays each message on its way by |Normal(mean, sd)|.
type network struct {
	world    *world
	rand     *rand.Rand
	mean, sd time.Duration
}

// hop takes the running process across, one way.
func (n *network) hop() {
	delay := n.mean + time.Duration(n.rand.NormFloat64()*float64(n.sd))
	n.world.wait(delay.Abs())
}

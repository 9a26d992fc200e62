package main

import (
	"context"
	"time"

	"example.com/retry"
)

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

package main

import (
	"errors"
	"time"
)

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

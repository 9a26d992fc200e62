package main

import (
	"math/rand/v2"
	"time"

	"example.com/retry"
)

// contention is the simulation of Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015: clients start together, each reads the version of a
// value and writes with it, and on a conflict backs off and reads again.
type contention struct {
	hopMean, hopSD time.Duration
	backoff        retry.Exponential
	clients        []int // the sizes of the herd
	runs           int   // for each way and size
}

// The times are those of the article. But its program doubles the base before the
// first backoff already, whereas the first ceiling of an Exponential is Base
// itself: what is 5 ms there is 10 ms here. Hence the last of the ways.
var theContention = contention{
	hopMean: 10 * time.Millisecond,
	hopSD:   2 * time.Millisecond,
	backoff: retry.Exponential{Base: 5 * time.Millisecond, Max: 2 * time.Second},
	clients: []int{10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200},
	runs:    100,
}

// A way is how the writers back off.
type way struct {
	name    string
	backoff retry.Backoff
	jitter  retry.Jitter
}

const (
	noBackoff = iota
	noJitter
	equalJitter
	fullJitter
	fullJitterFromTwice
)

func (c contention) ways() []way {
	twice := c.backoff
	twice.Base *= 2
	return []way{
		noBackoff:           {"no backoff", retry.Constant(0), retry.NoJitter},
		noJitter:            {"exponential, no jitter", c.backoff, retry.NoJitter},
		equalJitter:         {"equal jitter", c.backoff, retry.EqualJitter},
		fullJitter:          {"full jitter", c.backoff, retry.FullJitter},
		fullJitterFromTwice: {"full jitter, base " + twice.Base.String(), twice, retry.FullJitter},
	}
}

// An effort is what one size of the herd needs to get all its writes done, one
// value of each for every run.
type effort struct {
	calls sample // writes, the conflicts among them
	took  sample // seconds until the last writer is done
}

// run returns the efforts by way and size.
func (c contention) run(seed uint64, done func(part float64)) [][]effort {
	ways := c.ways()
	efforts := make([][]effort, len(ways))
	for w := range efforts {
		efforts[w] = make([]effort, len(c.clients))
		for n := range efforts[w] {
			efforts[w][n] = effort{make(sample, c.runs), make(sample, c.runs)}
		}
	}
	spread(len(ways)*len(c.clients)*c.runs, func(i int) {
		run, w, n := i%c.runs, i/c.runs%len(ways), i/c.runs/len(ways)
		calls, took := c.once(seed, run, ways[w], c.clients[n])
		efforts[w][n].calls[run], efforts[w][n].took[run] = float64(calls), took.Seconds()
	}, done)
	return efforts
}

func (c contention) once(seed uint64, run int, by way, clients int) (calls int, took time.Duration) {
	random := func(of string) rand.Source { return source(seed, "contention", by.name, clients, run, of) }
	world := new(world)
	store := new(store)
	client := writer{
		net:   &network{world, rand.New(random("network")), c.hopMean, c.hopSD},
		store: store,
		policy: retry.Policy(
			retry.WithMaxAttempts(retry.Unlimited),
			retry.WithBackoff(by.backoff),
			retry.WithJitter(by.jitter),
			retry.WithSource(random("jitter")),
			retry.WithClock(world),
		),
	}
	for range clients {
		world.start(0, client.run)
	}
	world.run()
	return store.writes, world.now
}

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

// A writer is a client that changes the value of a store once, however often it
// has to try.
type writer struct {
	net    *network
	store  *store
	policy retry.Option
}

func (w *writer) run() {
	err := retry.Do(context.Background(), func(context.Context) error {
		w.net.hop()
		version := w.store.read()
		w.net.hop()

		w.net.hop()
		err := w.store.write(version)
		w.net.hop()
		return err
	}, w.policy)
	if err != nil {
		panic(err) // it tries until it succeeds
	}
}

// A store is a server that holds one value under optimistic concurrency: a write
// names the version that its writer has read, and conflicts if there is a newer
// one.
type store struct {
	version int
	writes  int // calls, the conflicts among them
}

var errConflict = errors.New("conflict: the version read is not the latest")

func (s *store) read() (version int) { return s.version }

func (s *store) write(version int) error {
	s.writes++
	if version != s.version {
		return errConflict
	}
	s.version++
	return nil
}

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

// articleSize is the size of the herd that the article speaks of.
const articleSize = 100

func (c contention) report(seed uint64, done func(part float64)) report {
	efforts := c.run(seed, done)
	n := slices.Index(c.clients, articleSize)
	none, expo, full, twice := efforts[noBackoff][n], efforts[noJitter][n], efforts[fullJitter][n], efforts[fullJitterFromTwice][n]
	return report{
		title: "Contention: clients write the same value at once, and back off on a conflict",
		caption: fmt.Sprintf("With %d clients full jitter makes %.2f of the calls of no backoff, and %.2f of the calls "+
			"of exponential backoff without jitter in %.3f of its time: clients that wait equally long meet again. "+
			"Means of %d runs, in the table ± standard error; base %v, cap %v. The program of the article begins at twice the base; "+
			"with that, full jitter makes %.2f of the calls of no backoff.",
			articleSize, full.calls.mean()/none.calls.mean(), full.calls.mean()/expo.calls.mean(), full.took.mean()/expo.took.mean(),
			c.runs, c.backoff.Base, c.backoff.Max, twice.calls.mean()/none.calls.mean()),
		table: c.table(efforts),
		figure: figure{columns: 2, height: 260, panels: []panel{
			c.panel("write calls", axis{"calls", 10000, 2000}, efforts, func(e effort) sample { return e.calls }),
			c.panel("time until the last client is done", axis{"seconds", 120, 20}, efforts, func(e effort) sample { return e.took }),
		}},
	}
}

func (c contention) table(efforts [][]effort) table {
	t := table{head: [][]string{{""}, {"clients"}}}
	for _, w := range c.ways() {
		t.rows = append(t.rows, []string{w.name})
	}
	columns := func(title, format string, of func(effort) sample) {
		for _, clients := range []int{10, articleSize, 200} {
			t.head[0] = append(t.head[0], title)
			t.head[1] = append(t.head[1], fmt.Sprint(clients))
			for w := range t.rows {
				s := of(efforts[w][slices.Index(c.clients, clients)])
				t.rows[w] = append(t.rows[w], fmt.Sprintf(format, s.mean(), s.se()))
			}
		}
	}
	columns("calls", "%.1f ±%.1f", func(e effort) sample { return e.calls })
	columns("seconds", "%.2f ±%.2f", func(e effort) sample { return e.took })
	return t
}

func (c contention) panel(title string, y axis, efforts [][]effort, of func(effort) sample) panel {
	p := panel{title: title, x: axis{"clients", 200, 50}, y: y}
	for w, way := range c.ways()[:fullJitterFromTwice] {
		l := line{name: way.name}
		for n, clients := range c.clients {
			l.points = append(l.points, point{float64(clients), of(efforts[w][n]).mean()})
		}
		p.lines = append(p.lines, l)
	}
	return p
}

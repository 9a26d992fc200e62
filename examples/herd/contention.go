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
// Architecture Blog, 2015. Clients start at the same time. Each client reads the
// version of a value and writes with it. After a conflict, the client backs off and
// reads again.
type contention struct {
	hopMean, hopSD time.Duration
	backoff        retry.Exponential
	clients        []int // the sizes of the herd
	runs           int   // for each way and size
}

// The times are taken from the article. However, the article's program doubles the base
// before the first backoff, whereas the first ceiling of an Exponential is Base. A base
// of 5 ms in the article therefore corresponds to a Base of 10 ms, which the last way
// uses.
var theContention = contention{
	hopMean: 10 * time.Millisecond,
	hopSD:   2 * time.Millisecond,
	backoff: retry.Exponential{Base: 5 * time.Millisecond, Max: 2 * time.Second},
	clients: []int{10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200},
	runs:    100,
}

// A way describes how the writers back off.
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

// An effort is what a herd of one size needs until all its writes succeed. Its
// samples have one value for each run.
type effort struct {
	calls sample // writes, including conflicts
	took  sample // seconds until the last client finishes
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

// A writer is a client that changes the value of a store once. It retries until it
// succeeds.
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
		panic(err) // there is no limit on the attempts
	}
}

// A store is a server that holds one value under optimistic concurrency control. A
// write names the version that its client has read, and conflicts if there is a
// newer version.
type store struct {
	version int
	writes  int // including conflicts
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

// A network delays each message by |Normal(mean, sd)|.
type network struct {
	world    *world
	rand     *rand.Rand
	mean, sd time.Duration
}

// hop sends the running process across the network, one way.
func (n *network) hop() {
	delay := n.mean + time.Duration(n.rand.NormFloat64()*float64(n.sd))
	n.world.wait(delay.Abs())
}

// articleSize is the size of the herd that the article discusses.
const articleSize = 100

func (c contention) report(seed uint64, done func(part float64)) report {
	efforts := c.run(seed, done)
	n := slices.Index(c.clients, articleSize)
	none, expo, full, twice := efforts[noBackoff][n], efforts[noJitter][n], efforts[fullJitter][n], efforts[fullJitterFromTwice][n]
	fewer := func(a, b sample) float64 { return 100 * (1 - a.mean()/b.mean()) }
	calls := func(e effort) sample { return e.calls }
	took := func(e effort) sample { return e.took }

	load := c.panel("Write calls", axis{end: 10000, tick: 2000}, efforts, calls)
	load.label(noBackoff, "no backoff", point{98, 5000})
	load.label(noJitter, "no jitter", point{150, 3000})
	load.label(fullJitter, "full jitter", point{118, 350})
	load.label(equalJitter, "equal jitter", point{158, 700})
	finish := c.panel("Time until the last client finishes (s)", axis{end: 120, tick: 20}, efforts, took)
	finish.label(noJitter, "no jitter", point{70, 70})
	finish.labelFrom(equalJitter, "equal jitter", point{60, 24}, point{62, 5})
	finish.labelFrom(fullJitter, "full jitter", point{107, 24}, point{112, 5})
	finish.labelFrom(noBackoff, "no backoff", point{150, 24}, point{157, 3})

	return report{
		title: "Without jitter, clients that collided collide again",
		setup: fmt.Sprintf("Clients update the same value at the same time. A client whose write conflicts backs off (base %v, cap %v), "+
			"reads the value again, and retries.", c.backoff.Base, c.backoff.Max),
		tables: []table{
			c.table("write calls", "%.1f", efforts, calls),
			c.table("time until all finish (s)", "%.2f", efforts, took),
		},
		caption: fmt.Sprintf("With %d clients, full jitter needs %.0f%% fewer calls than no backoff. Compared with exponential backoff without jitter, "+
			"it needs %.0f%% fewer calls and finishes %.0f times sooner. Clients without backoff finish soonest, but only because the simulated "+
			"server has unlimited capacity. The article's program starts at twice the base delay, as in the last row; full jitter then needs "+
			"%.0f%% fewer calls than no backoff. Means of %d runs ± standard error.",
			articleSize, fewer(full.calls, none.calls), fewer(full.calls, expo.calls), expo.took.mean()/full.took.mean(),
			fewer(twice.calls, none.calls), c.runs),
		figure: figure{panels: []panel{load, finish}},
	}
}

// table has a column for each of three sizes.
func (c contention) table(of, format string, efforts [][]effort, value func(effort) sample) table {
	t := table{head: [][]string{{of}}}
	for _, w := range c.ways() {
		t.rows = append(t.rows, []string{w.name})
	}
	for _, clients := range []int{10, articleSize, 200} {
		t.head[0] = append(t.head[0], fmt.Sprintf("%d clients", clients))
		for w := range t.rows {
			s := value(efforts[w][slices.Index(c.clients, clients)])
			t.rows[w] = append(t.rows[w], meanAndError(format, s))
		}
	}
	return t
}

// panel has a line for each way except the last, which is not in the article.
func (c contention) panel(title string, y axis, efforts [][]effort, value func(effort) sample) panel {
	p := panel{title: title, x: axis{"clients", 0, 200, 50}, y: y}
	colors := []string{noBackoff: "gray", noJitter: "red", equalJitter: "blue", fullJitter: "green"}
	for w, color := range colors {
		l := line{color: color}
		for n, clients := range c.clients {
			l.points = append(l.points, point{float64(clients), value(efforts[w][n]).mean()})
		}
		p.lines = append(p.lines, l)
	}
	return p
}

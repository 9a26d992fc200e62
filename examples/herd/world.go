package main

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"example.com/retry"
)

// A world is the simulated time of one simulation. Everything in it runs as processes,
// which are plain functions that sleep. Exactly one process runs at any time. When all
// processes sleep, time jumps to the next waking. A world therefore needs no locks, does
// not wait in real time, and is deterministic.
//
// A world is the Clock of the calls in it.
type world struct {
	now      time.Duration // since the beginning
	running  *process
	sleeping sleepers
	sleeps   int // so far
	idle     []*process
}

var _ retry.Clock = (*world)(nil)

// A process is a coroutine. A process whose body has returned is idle and runs the
// next body, because a new coroutine costs more than a short body.
type process struct {
	body   func()
	wakes  time.Duration
	order  int                     // processes that wake at the same time run in the order in which they fell asleep
	resume func() (struct{}, bool) // runs the process up to its next sleep
	pause  func(struct{}) bool
	stop   func() // ends an idle process
}

// start makes body a process that begins after d.
func (w *world) start(d time.Duration, body func()) {
	if len(w.idle) == 0 {
		w.idle = append(w.idle, w.newProcess())
	}
	last := len(w.idle) - 1
	p := w.idle[last]
	w.idle = w.idle[:last]
	p.body = body
	w.sleep(p, d)
}

// repeat starts call again after each pause, whether or not the earlier calls have
// returned. repeat returns at until.
func (w *world) repeat(until time.Duration, pause func() time.Duration, call func()) {
	for w.now < until {
		w.start(0, call)
		w.wait(pause())
	}
}

func (w *world) newProcess() *process {
	p := new(process)
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.pause = yield
		for more := true; more; more = yield(struct{}{}) {
			p.body()
			w.idle = append(w.idle, p)
		}
	})
	return p
}

// run lets time pass until every process has returned.
func (w *world) run() {
	for len(w.sleeping) > 0 {
		w.running = heap.Pop(&w.sleeping).(*process)
		w.now = w.running.wakes
		w.running.resume()
	}
	for _, p := range w.idle {
		p.stop()
	}
	w.idle = nil
}

// wait puts the running process to sleep for d.
func (w *world) wait(d time.Duration) {
	p := w.running
	w.sleep(p, d)
	p.pause(struct{}{})
}

func (w *world) sleep(p *process, d time.Duration) {
	w.sleeps++
	p.wakes, p.order = w.now+d, w.sleeps
	heap.Push(&w.sleeping, p)
}

// Now returns the current time of the world.
func (w *world) Now() time.Time { return time.Unix(0, 0).Add(w.now) }

// Sleep implements [retry.Clock]. It ignores ctx, because no ctx ends in these
// simulations.
func (w *world) Sleep(_ context.Context, d time.Duration) error {
	w.wait(d)
	return nil
}

// sleepers is a heap, ordered by the time of waking.
type sleepers []*process

func (s sleepers) Len() int      { return len(s) }
func (s sleepers) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s sleepers) Less(i, j int) bool {
	if s[i].wakes != s[j].wakes {
		return s[i].wakes < s[j].wakes
	}
	return s[i].order < s[j].order
}
func (s *sleepers) Push(p any) { *s = append(*s, p.(*process)) }
func (s *sleepers) Pop() any {
	old := *s
	last := len(old) - 1
	p := old[last]
	old[last] = nil // let the garbage collector free a finished process
	*s = old[:last]
	return p
}

// source returns the randomness of one part of one run. Each part has its own
// source, derived from the seed and the part's name. Runs can therefore be made in
// any order and concurrently, and a change to one part does not affect the others.
func source(seed uint64, part ...any) rand.Source {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendln(nil, append([]any{seed}, part...)...)))
}

// spread calls job(0) to job(n-1) on all processors, in any order. After each call, it
// calls done with the part of the calls that have returned.
func spread(n int, job func(i int), done func(part float64)) {
	var next, returned atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				job(int(i))
				done(float64(returned.Add(1)) / float64(n))
			}
		})
	}
	workers.Wait()
}

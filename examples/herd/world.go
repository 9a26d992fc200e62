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

// A world is the time of one simulation. What happens in it is written as
// processes: plain functions that sleep. Exactly one runs at any time, and while
// all sleep, time jumps to the next one's waking. So a world needs no lock, takes no
// real time to wait, and always does the same.
//
// It is the Clock of the calls in it.
type world struct {
	now      time.Duration // since the beginning
	running  *process
	sleeping sleepers
	sleeps   int // so far
	idle     []*process
}

var _ retry.Clock = (*world)(nil)

// A process is a coroutine: resume runs it up to its next sleep. One whose body
// has returned is idle and gets the next: a new one costs more than a short body.
type process struct {
	body   func()
	wakes  time.Duration
	order  int // of those that wake at the same time, the first to fall asleep goes first
	resume func() (struct{}, bool)
	pause  func(struct{}) bool
	stop   func() // for an idle one
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

// Sleep is wait, for Do. No ctx ends in these simulations.
func (w *world) Sleep(_ context.Context, d time.Duration) error {
	w.wait(d)
	return nil
}

// sleepers is a heap by time of waking.
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
	old[last] = nil // let a finished process go
	*s = old[:last]
	return p
}

// source returns the randomness of one part of one run. Each has its own, derived
// from the seed and the part's name, so that runs may be made in any order and
// side by side, and that a change to one part leaves the others alone.
func source(seed uint64, part ...any) rand.Source {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendln(nil, append([]any{seed}, part...)...)))
}

// spread calls job(0) to job(n-1) on all processors, in no certain order, and
// after each tells done which part of them has returned.
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

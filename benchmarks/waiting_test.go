package main

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkWaiting measures the memory of a call that waits, and the time from
// the end of ctx until all calls have returned. The figures are meaningful only in a
// process that has done nothing before, because the runtime keeps the memory of ended
// goroutines, and starts new goroutines with the average stack size of earlier ones.
func BenchmarkWaiting(b *testing.B) {
	n := min(100_000, crowdSize(availableMemory()))
	if testing.Short() {
		n = 1000
	}
	each(b, waiting, func(b *testing.B, f form) {
		var bytes, took float64
		for b.Loop() {
			c := newCrowd(b, f, n)
			before := inUse()
			c.gather(b)
			bytes += inUse() - before
			took += float64(c.cancel(b))
		}
		calls := float64(n) * float64(b.N)
		b.ReportMetric(bytes/calls, "B/waiting-call")
		b.ReportMetric(took/calls, "ns/canceled-call")
		b.ReportMetric(0, "ns/op") // not shown, because it means nothing here
	})
}

// BenchmarkMillion measures a million waiting calls in one process, or as many as the
// memory permits. It fails unless every call returns ctx's error, no goroutine and no
// timer is left, and the memory returns to its earlier size.
func BenchmarkMillion(b *testing.B) {
	n := crowdSize(availableMemory())
	if testing.Short() {
		n = 10_000
	}
	each(b, million, func(b *testing.B, f form) {
		for b.Loop() {
			// The first crowd counts timers with a complete memory profile. The profile
			// takes time and memory, so a second crowd provides the figures.
			runtime.MemProfileRate = 1
			c := newCrowd(b, f, n)
			noTimers := timers()
			c.gather(b)
			timersWaiting := timers() - noTimers
			c.cancel(b)
			timersLeft := timers() - noTimers
			runtime.MemProfileRate = 0

			// The runtime has already allocated the memory that it keeps for ended goroutines.
			c = newCrowd(b, f, n)
			before := inUse()
			c.gather(b)
			during := inUse()
			took := c.cancel(b)
			after := inUse()

			if timersWaiting != n || timersLeft != 0 {
				b.Errorf("%d timers while %d calls waited and %d afterwards, want %d and 0", timersWaiting, n, timersLeft, n)
			}
			// A library that keeps any object of a call exceeds 32 bytes per call.
			// The other 4 MiB allow for the runtime, which grows now and then.
			if left := after - before; left > float64(32*n+4<<20) {
				b.Errorf("%.0f bytes of %.0f are left, want at most 32 per call and 4 MiB", left, during-before)
			}
			b.ReportMetric(float64(n), "calls")
			b.ReportMetric(float64(timersWaiting), "timers-waiting")
			b.ReportMetric(float64(timersLeft), "timers-left")
			b.ReportMetric(float64(runtime.NumGoroutine()-c.goroutines), "goroutines-left")
			b.ReportMetric(before, "B-before")
			b.ReportMetric(during, "B-waiting")
			b.ReportMetric(after, "B-after")
			b.ReportMetric(float64(took)/float64(n), "ns/canceled-call")
		}
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkLateness makes calls that wait once, for 50ms, and measures how much longer
// than 50ms they take.
func BenchmarkLateness(b *testing.B) {
	const pause = 50 * time.Millisecond
	callers, waits := 1000, 10
	if testing.Short() {
		waits = 1
	}
	each(b, late, func(b *testing.B, f form) {
		ctx := b.Context()
		call := f.prepare(ctx, pause)
		var lateness []time.Duration
		for b.Loop() {
			all := make([]time.Duration, callers*waits)
			var group sync.WaitGroup
			for i := range callers {
				group.Go(func() {
					// Independent calls do not start at the same time.
					time.Sleep(pause * time.Duration(i) / time.Duration(callers))
					s := f.lib.script(1, errTemporary)
					for j := range waits {
						s.calls = 0
						start := time.Now()
						if err := call(ctx, s); err != nil || s.calls != 2 {
							b.Errorf("%d calls, %v", s.calls, err)
						}
						all[i*waits+j] = time.Since(start) - pause
					}
				})
			}
			group.Wait()
			lateness = append(lateness, all...)
		}
		slices.Sort(lateness)
		b.ReportMetric(float64(lateness[len(lateness)*50/100]), "ns-p50")
		b.ReportMetric(float64(lateness[len(lateness)*99/100]), "ns-p99")
		b.ReportMetric(0, "ns/op")
	})
}

// A crowd is many calls of a form that wait after their first attempt.
type crowd struct {
	ctx        context.Context
	end        context.CancelFunc
	call       op
	scripts    []*script
	errs       []error // what each call returned
	goroutines int     // before the first call
	returned   sync.WaitGroup
}

// newCrowd allocates everything that the calls do not allocate themselves.
func newCrowd(b *testing.B, f form, n int) *crowd {
	c := &crowd{scripts: make([]*script, n), errs: make([]error, n)}
	c.ctx, c.end = context.WithCancel(b.Context())
	c.call = f.prepare(c.ctx, time.Hour)
	for i := range c.scripts {
		c.scripts[i] = f.lib.script(preparedAttempts, errTemporary)
	}
	return c
}

// gather starts the calls and returns when all of them wait.
func (c *crowd) gather(b *testing.B) {
	c.goroutines = runtime.NumGoroutine()
	c.returned.Add(len(c.scripts))
	for i, s := range c.scripts {
		// WaitGroup.Go would add its frame to every stack.
		go func() {
			c.errs[i] = c.call(c.ctx, s)
			c.returned.Done()
		}()
	}
	waiting := []metrics.Sample{{Name: "/sched/goroutines/waiting:goroutines"}}
	await(b, "calls to wait", func() bool {
		metrics.Read(waiting)
		return waiting[0].Value.Uint64() >= uint64(len(c.scripts))
	})
}

// cancel ends the ctx of the calls and returns how long it took until they had
// all returned, for the right reason and without a goroutine left.
func (c *crowd) cancel(b *testing.B) time.Duration {
	start := time.Now()
	c.end()
	c.returned.Wait()
	took := time.Since(start)
	for i, s := range c.scripts {
		if s.calls != 1 || !errors.Is(c.errs[i], context.Canceled) {
			b.Fatalf("%d attempts, %v; want 1, %v", s.calls, c.errs[i], context.Canceled)
		}
	}
	clear(c.errs) // the errors refer to memory that the library allocated
	await(b, "goroutines to end", func() bool { return runtime.NumGoroutine() <= c.goroutines })
	return took
}

// await returns when done returns true, and fails if that takes a minute.
func await(b *testing.B, what string, done func() bool) {
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			b.Fatal("waited for a minute for ", what)
		}
	}
}

// inUse returns the bytes in use by the heap and by stacks.
func inUse() float64 {
	var m runtime.MemStats
	collect()
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}

// timers returns how many of the timers made since MemProfileRate was set to 1
// are still in memory.
func timers() (n int) {
	collect()
	var records []runtime.MemProfileRecord
	for size, ok := runtime.MemProfile(nil, false); !ok; {
		records = make([]runtime.MemProfileRecord, size+50)
		size, ok = runtime.MemProfile(records, false)
		records = records[:min(size, len(records))]
	}
	for _, r := range records {
		frames := runtime.CallersFrames(r.Stack())
		frame, more := frames.Next()
		for more && (strings.HasPrefix(frame.Function, "runtime.mallocgc") || frame.Function == "runtime.newobject") {
			frame, more = frames.Next()
		}
		if frame.Function == "time.newTimer" {
			n += int(r.InUseObjects())
		}
	}
	return n
}

// collect frees all garbage. It needs two collections, because the second one empties
// caches, and because the memory profile is two collections behind.
func collect() {
	for range 2 {
		runtime.GC()
	}
}

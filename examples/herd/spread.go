package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

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

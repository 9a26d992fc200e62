package league

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// A scenario is a simulated service and its callers.
type scenario struct {
	name, title string
	text        string
	oracle      string // what the oracle knows
	columns     []string
	policy      policy
	unguarded   bool   // whether the forms with a budget or a breaker are left out, because no service fails
	alone       bool   // whether a run needs the process to itself
	lesson      string // what the table shows

	// run returns a value for each column. client returns the function with which one
	// client makes its calls. For the oracle, it returns its argument. If full is false,
	// the run is small.
	run func(w *world, client func(oracle call) call, full bool) []float64
}

// standard is the policy of the scenarios that need no special one.
var standard = policy{attempts: 5, base: 100 * time.Millisecond, max: 5 * time.Second}

// once is an oracle that makes one attempt.
func once(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

func size[T any](full bool, large, small T) T {
	if full {
		return large
	}
	return small
}

// contention is the simulation of Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015.
func contention(w *world, client func(call) call, full bool) []float64 {
	ctx, cancel := hour()
	defer cancel()
	var store sync.Mutex
	version, writes := 0, 0
	turn := make(chan bool, 1) // a goroutine that waits for a Mutex would stop the clock
	inTurn := func(ctx context.Context, fn func(context.Context) error) error {
		turn <- true
		defer func() { <-turn }()
		return fn(ctx)
	}
	var acc account
	clients := size(full, 100, 20)
	for range clients {
		do := client(inTurn)
		w.calls.Go(func() {
			err := do(ctx, func(context.Context) error {
				w.hop()
				store.Lock()
				read := version
				store.Unlock()
				w.hop()
				w.hop()
				store.Lock()
				writes++
				conflict := version != read
				if !conflict {
					version++
				}
				store.Unlock()
				w.hop()
				if conflict {
					return errConflict
				}
				return nil
			})
			acc.settle(w, 0, 0, err)
		})
	}
	w.calls.Wait()
	return []float64{float64(writes) / float64(clients), acc.badPercent(), acc.last.Seconds()}
}

const patience = 10 * time.Second // after which an answer is late

// outage is a service that refuses every request for a while.
func outage(w *world, client func(call) call, full bool) []float64 {
	ctx, cancel := hour()
	defer cancel()
	from := size(full, 30*time.Second, 5*time.Second)
	to := from + size(full, 60*time.Second, 10*time.Second)
	until := to + size(full, 30*time.Second, 10*time.Second)
	down := func() bool { return from <= w.now() && w.now() < to }
	const clients = 10
	var dos [clients]call
	for i := range dos {
		dos[i] = client(func(ctx context.Context, fn func(context.Context) error) error {
			if down() {
				return errDown
			}
			return fn(ctx)
		})
	}
	load, made := tally{width: time.Second}, tally{width: time.Second}
	var during, after account
	w.arrive(100, until, func(n int) {
		begun := w.now()
		made.add(begun)
		err := dos[n%clients](ctx, func(context.Context) error {
			load.add(w.now())
			if down() {
				time.Sleep(time.Millisecond)
				return errDown
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		switch {
		case begun >= to:
			after.settle(w, begun, patience, err)
		case begun >= from:
			during.settle(w, begun, patience, err)
		}
	})
	w.calls.Wait()
	return []float64{
		load.between(from, to) / made.between(from, to),
		load.worst(),
		during.badPercent(),
		after.badPercent(),
		max(after.lastBad-to, 0).Seconds(),
	}
}

// metastable is the retry experiment of Huang et al., "Metastable Failures in the
// Wild", OSDI 2022: a queue that serves requests whose clients have given up, and whose
// capacity falls to a fifth for a while.
func metastable(w *world, client func(call) call, full bool) []float64 {
	ctx, cancel := hour()
	defer cancel()
	const (
		capacity = 100.0
		rate     = .375 * capacity
		timeout  = 3 * time.Second
		clients  = 5
	)
	from := size(full, 20*time.Second, 10*time.Second)
	to := from + 15*time.Second
	until := to + size(full, 120*time.Second, 60*time.Second)
	var mu sync.Mutex
	var free time.Duration // when all requests so far will have been answered
	wait := func() time.Duration { return max(free-w.now(), 0) }
	var dos [clients]call
	for i := range dos {
		dos[i] = client(func(ctx context.Context, fn func(context.Context) error) error {
			mu.Lock()
			busy := wait() > timeout-time.Second
			mu.Unlock()
			if busy {
				return errTimeout
			}
			return fn(ctx)
		})
	}
	load, made, good := tally{width: time.Second}, tally{width: time.Second}, tally{width: time.Second}
	w.arrive(rate, until, func(n int) {
		begun := w.now()
		made.add(begun)
		err := dos[n%clients](ctx, func(context.Context) error {
			if w.now() >= until {
				return nil // The run is over, and the calls in flight must end.
			}
			load.add(w.now())
			mu.Lock()
			work := time.Duration(float64(time.Second) / capacity)
			if begin := w.now() + wait(); from <= begin && begin < to {
				work *= 5
			}
			answer := wait() + work
			free = w.now() + answer
			mu.Unlock()
			time.Sleep(min(answer, timeout))
			if answer > timeout {
				return errTimeout
			}
			return nil
		})
		if err == nil && w.now()-begun <= patience {
			good.add(begun)
		}
	})
	w.calls.Wait()
	back := math.Inf(1)
	const enough = 5 * time.Second
	for t := to; t+enough+patience <= until; t += time.Second {
		if good.between(t, t+enough) >= .9*made.between(t, t+enough) {
			back = (t - to).Seconds()
			break
		}
	}
	late := to + (until-to)/2
	return []float64{
		load.between(from, to) / made.between(from, to),
		back,
		load.between(late, until-patience) / made.between(late, until-patience),
		100 - percent(good.between(late, until-patience), made.between(late, until-patience)),
	}
}

var brownouts = []float64{.01, .1, .3, .5}

// brownout is a service that fails a share of all requests, at random.
func brownout(w *world, client func(call) call, _ bool) []float64 {
	var values []float64
	for _, p := range brownouts {
		ctx, cancel := hour()
		begin := w.now()
		const clients = 10
		var dos [clients]call
		for i := range dos {
			dos[i] = client(func(ctx context.Context, fn func(context.Context) error) error {
				for {
					if err := fn(ctx); err == nil {
						return nil
					}
				}
			})
		}
		load := tally{width: time.Second}
		var acc account
		w.arrive(100, begin+time.Minute, func(n int) {
			begun := w.now()
			acc.settle(w, begun, 0, dos[n%clients](ctx, func(context.Context) error {
				load.add(w.now())
				time.Sleep(10 * time.Millisecond)
				if w.chance(p) {
					return errDown
				}
				return nil
			}))
		})
		w.calls.Wait()
		cancel()
		values = append(values, float64(load.total)/acc.made, acc.badPercent())
	}
	return values
}

// crowd is many clients that call at the same time. The server admits 100 requests per
// second and asks the other clients to return after 2 s.
func crowd(w *world, client func(call) call, deadline time.Duration) (acc *account, returns *tally, sooner float64) {
	all, cancel := hour()
	defer cancel()
	const asked = 2 * time.Second
	const clients = 1000
	begin := w.now()
	acc, returns = new(account), &tally{width: 100 * time.Millisecond}
	limit := rateLimit{every: 10 * time.Millisecond, burst: 10}
	var mu sync.Mutex
	for n := range clients {
		do := client(func(ctx context.Context, fn func(context.Context) error) error {
			time.Sleep(time.Duration(n) * limit.every)
			return fn(ctx)
		})
		w.calls.Go(func() {
			ctx := all
			if deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, deadline)
				defer cancel()
			}
			var mayReturn time.Duration
			first := true
			err := do(ctx, func(attempt context.Context) error {
				acc.attempt(ctx)
				if attempt.Err() != nil {
					return attempt.Err()
				}
				mu.Lock()
				defer mu.Unlock()
				now := w.now()
				if !first {
					returns.add(now - begin)
				}
				first = false
				if now < mayReturn {
					sooner++
				}
				if limit.admits(now) {
					return nil
				}
				mayReturn = now + asked
				return &fault{text: "too many requests", code: codes.ResourceExhausted, after: asked}
			})
			acc.settle(w, begin, deadline, err)
		})
	}
	w.calls.Wait()
	acc.last -= begin
	return acc, returns, sooner
}

// A rateLimit admits one request in each interval, and up to burst requests at once.
type rateLimit struct {
	every time.Duration
	burst int
	next  time.Duration // when the next request is due
}

func (r *rateLimit) admits(now time.Duration) bool {
	r.next = max(r.next, now-time.Duration(r.burst-1)*r.every)
	if r.next > now {
		return false
	}
	r.next += r.every
	return true
}

func throttled(w *world, client func(call) call, _ bool) []float64 {
	acc, returns, sooner := crowd(w, client, 0)
	return []float64{
		1 + float64(returns.total)/acc.made, sooner / acc.made, returns.worst(), acc.badPercent(), acc.last.Seconds(),
	}
}

func throttledDeadline(w *world, client func(call) call, _ bool) []float64 {
	acc, returns, sooner := crowd(w, client, 12*time.Second)
	return []float64{
		1 + float64(returns.total)/acc.made, sooner / acc.made, acc.badPercent(), acc.ended / acc.made, acc.meanHeld(),
	}
}

// sure is the key of a ctx in which a request of hanging does not hang.
type sure struct{}

// hanging is a dependency that never answers half of all requests. The callers have 3 s.
func hanging(w *world, client func(call) call, full bool) []float64 {
	all, cancel := hour()
	defer cancel()
	const deadline = 3 * time.Second
	do := client(func(ctx context.Context, fn func(context.Context) error) error {
		return fn(context.WithValue(ctx, sure{}, true))
	})
	load := tally{width: time.Second}
	var acc account
	w.arrive(20, size(full, 60*time.Second, 20*time.Second), func(int) {
		ctx, cancel := context.WithTimeout(all, deadline)
		defer cancel()
		begun := w.now()
		err := do(ctx, func(attempt context.Context) error {
			acc.attempt(ctx)
			if ctx.Err() != nil {
				return errTimeout
			}
			load.add(w.now())
			if attempt.Value(sure{}) == nil && w.chance(.5) {
				<-attempt.Done()
				return errTimeout
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		acc.settle(w, begun, deadline, err)
	})
	w.calls.Wait()
	return []float64{
		float64(load.total) / acc.made, acc.badPercent(), acc.meanHeld(),
		percent(acc.ended, acc.made), percent(acc.named, acc.bad),
	}
}

// layered is a program whose three layers all retry, above a dependency that refuses
// every request.
func layered(w *world, client func(call) call, full bool) []float64 {
	var values []float64
	for _, limits := range [][3]time.Duration{
		{},
		{10 * time.Second},
		{10 * time.Second, 3 * time.Second, time.Second},
	} {
		ctx, cancel := hour()
		var layers [3]call
		for i := range layers {
			layers[i] = client(once)
		}
		load := tally{width: time.Second}
		var acc account
		dependency := func(ctx context.Context) error {
			if ctx.Err() != nil {
				return errTimeout
			}
			load.add(w.now())
			time.Sleep(10 * time.Millisecond)
			return errDown
		}
		for range size(full, 50, 10) {
			fn := dependency
			for i := len(layers) - 1; i >= 0; i-- {
				fn = layer(layers[i], limits[i], fn)
			}
			begun := w.now()
			w.calls.Go(func() { acc.settle(w, begun, 0, fn(ctx)) })
		}
		w.calls.Wait()
		cancel()
		values = append(values, float64(load.total)/acc.made, acc.meanHeld())
	}
	return values
}

// layer retries fn. If limit is not 0, it is the timeout of the whole call.
func layer(do call, limit time.Duration, fn func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		return do(ctx, fn)
	}
}

// canceled is many calls that wait, and whose ctx is canceled at the moment at which
// their timers fire. On one processor, ctx is not canceled between a library's check of
// ctx and the attempt that follows.
func canceled(w *world, client func(call) call, full bool) []float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const wait = time.Second // as in the policy
	do := client(once)
	begun := w.now()
	var acc account
	for range size(full, 100, 10) { // in each iteration, a hundred calls share a ctx
		ctx, cancel := hour()
		w.calls.Go(func() {
			time.Sleep(wait)
			cancel()
		})
		for range 100 {
			w.calls.Go(func() {
				err := do(ctx, func(context.Context) error {
					acc.attempt(ctx)
					return errDown
				})
				acc.settle(w, begun, wait, err)
			})
		}
	}
	w.calls.Wait()
	return []float64{
		percent(acc.ended, acc.made), max(acc.last-begun-wait, 0).Seconds(),
		percent(acc.canceled, acc.made), percent(acc.named, acc.made),
	}
}

// faulty is a service with four kinds of answers: success, a temporary fault that callers
// list, a temporary fault that nobody thought of, and a permanent fault that nobody
// thought of. The service does not say which faults are temporary.
func faulty(w *world, client func(call) call, full bool) []float64 {
	ctx, cancel := hour()
	defer cancel()
	unlisted, permanent := errors.New("unexpected EOF"), errors.New("bad request")
	do := client(func(ctx context.Context, fn func(context.Context) error) error {
		for {
			if err := fn(ctx); err == nil || err == permanent {
				return err
			}
		}
	})
	load := tally{width: time.Second}
	var hopeful, hopeless account
	wasted := 0
	w.arrive(50, size(full, 60*time.Second, 10*time.Second), func(int) {
		begun := w.now()
		var first error
		switch {
		case w.chance(.1):
			first = errDown
		case w.chance(.1):
			first = unlisted
		case w.chance(.1):
			first = permanent
		}
		n := 0
		err := do(ctx, func(context.Context) error {
			load.add(w.now())
			time.Sleep(10 * time.Millisecond)
			if n++; n == 1 || first == permanent {
				return first
			}
			return nil
		})
		if first == permanent {
			hopeless.settle(w, begun, 0, err)
			hopeless.mu.Lock()
			wasted += n - 1
			hopeless.mu.Unlock()
		} else {
			hopeful.settle(w, begun, 0, err)
		}
	})
	w.calls.Wait()
	return []float64{
		float64(load.total) / (hopeful.made + hopeless.made),
		float64(wasted) / hopeless.made, hopeless.meanHeld(), hopeful.badPercent(),
	}
}

package league

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// A world is one run of a scenario. It lives in a synctest bubble.
type world struct {
	start time.Time
	calls sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
}

func newWorld(seed uint64) *world {
	return &world{start: time.Now(), random: rand.New(rand.NewPCG(seed, 0))}
}

// hour returns a ctx that has no deadline but is canceled after an hour, so that calls
// without a limit also end.
func hour() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(time.Hour, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// tick lets a short, random time pass. Some libraries seed their jitter with the time,
// which would otherwise be the same for clients that are made one after the other.
func (w *world) tick() {
	w.mu.Lock()
	d := w.random.IntN(1000)
	w.mu.Unlock()
	time.Sleep(time.Duration(d))
}

func (w *world) now() time.Duration { return time.Since(w.start) }

func (w *world) chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.Float64() < p
}

// hop waits while a message crosses the network, for 10 ms ± 2 ms, as in the simulation of
// contention in the AWS Architecture Blog.
func (w *world) hop() {
	w.mu.Lock()
	d := 10 + 2*w.random.NormFloat64()
	w.mu.Unlock()
	time.Sleep(time.Duration(max(d, 0) * float64(time.Millisecond)))
}

// arrive starts calls at random times until the given time. The mean number of calls per
// second is rate.
func (w *world) arrive(rate float64, until time.Duration, call func(n int)) {
	for n := 0; ; n++ {
		w.mu.Lock()
		gap := w.random.ExpFloat64() / rate
		w.mu.Unlock()
		time.Sleep(time.Duration(gap * float64(time.Second)))
		if w.now() >= until {
			return
		}
		w.calls.Go(func() { call(n) })
	}
}

// A tally counts events by the time at which they happen.
type tally struct {
	mu    sync.Mutex
	width time.Duration // of a bin
	bins  []int
	total int
}

func (t *tally) add(at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bin := int(at / t.width)
	for len(t.bins) <= bin {
		t.bins = append(t.bins, 0)
	}
	t.bins[bin]++
	t.total++
}

// between returns the number of events in [from, to). Both must be multiples of the width.
func (t *tally) between(from, to time.Duration) float64 {
	sum := 0
	for bin := int(from / t.width); bin < min(int(to/t.width), len(t.bins)); bin++ {
		sum += t.bins[bin]
	}
	return float64(sum)
}

// worst returns the largest bin.
func (t *tally) worst() float64 {
	most := 0
	for _, n := range t.bins {
		most = max(most, n)
	}
	return float64(most)
}

// An account counts the results of calls.
type account struct {
	mu              sync.Mutex
	made, bad       float64
	named, canceled float64 // the calls whose error contains the fault, or matches Canceled
	held, last      time.Duration
	lastBad         time.Duration // when the last bad call began
	ended           float64       // attempts that began after ctx had ended
}

// settle records a call that began at from. The call is bad if it failed, or took longer
// than patience and patience is not 0.
func (a *account) settle(w *world, from, patience time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	took := w.now() - from
	a.made++
	a.held += took
	a.last = max(a.last, w.now())
	if err != nil || patience > 0 && took > patience {
		a.bad++
		a.lastBad = max(a.lastBad, from)
	}
	if known(err) {
		a.named++
	}
	if errors.Is(err, context.Canceled) {
		a.canceled++
	}
}

// attempt counts an attempt if it begins after ctx has ended.
func (a *account) attempt(ctx context.Context) {
	if ctx.Err() != nil {
		a.mu.Lock()
		a.ended++
		a.mu.Unlock()
	}
}

func (a *account) badPercent() float64 { return percent(a.bad, a.made) }

func (a *account) meanHeld() float64 { return a.held.Seconds() / a.made }

// percent returns part as a percentage of whole. If whole is 0, the result is NaN, for
// which the report has a dash.
func percent(part, whole float64) float64 { return 100 * part / whole }

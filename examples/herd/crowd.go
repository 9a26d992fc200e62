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

// crowd is a simulation of clients that all call a server at the same instant. The
// server admits a limited number of requests per second and tells all other clients
// to return after the same delay.
type crowd struct {
	clients    int
	rate       int // requests that the server admits per second
	retryAfter time.Duration
	runs       int
	shown      time.Duration // in the figure
}

var theCrowd = crowd{
	clients:    1000,
	rate:       100,
	retryAfter: 2 * time.Second,
	runs:       20,
	shown:      20 * time.Second,
}

// A limiter is a server that admits rate requests per second. Like a token bucket, it can
// admit the requests of one second in a burst.
type limiter struct {
	world    *world
	interval time.Duration // between two requests
	used     time.Duration // when a server without a limit on bursts would be free
	turn     time.Duration // when the last client that got a turn returns
	requests counter
}

// admit reports whether the server serves a request now.
func (l *limiter) admit() bool {
	now := l.world.now
	l.requests.count(now)
	used := max(l.used, now) + l.interval
	if used > now+time.Second {
		return false
	}
	l.used = used
	return true
}

// nextTurn assigns a turn to the next client and returns the time until then.
func (l *limiter) nextTurn() time.Duration {
	l.turn = max(l.turn, l.world.now) + l.interval
	return l.turn - l.world.now
}

// A manner describes how rejected clients return.
type manner struct {
	name   string
	reject func(*limiter) error
	jitter retry.Jitter
}

const (
	backoffJitter = iota
	fullSpread
	oracle
)

func (c crowd) manners() []manner {
	err := errors.New("429 Too Many Requests")
	return []manner{
		// The Jitter waits for the delay that the server asked for. If the error
		// asked for it, the package would widen the jitter.
		backoffJitter: {"jitter of the backoff alone",
			func(*limiter) error { return err },
			func(ceiling time.Duration, r *rand.Rand) time.Duration {
				return c.retryAfter + retry.FullJitter(ceiling, r)
			}},
		fullSpread: {"jitter of this package",
			func(*limiter) error { return retry.After(err, c.retryAfter) },
			retry.FullJitter},
		oracle: {"oracle: different delays",
			func(l *limiter) error { return retry.After(err, l.nextTurn()) },
			func(time.Duration, *rand.Rand) time.Duration { return 0 }},
	}
}

// A rush is the result of one run.
type rush struct {
	requests, served counter // per 100 ms
	took             time.Duration
}

// worst returns the largest number of requests in 100 ms, except for the first 100 ms.
func (r rush) worst() int { return slices.Max(r.requests.n[1:]) }

// servedBy returns the number of clients that have been served over time, up to until.
func (r rush) servedBy(until time.Duration) []point {
	var points []point
	for t := time.Duration(0); t <= until; t += r.served.bin {
		points = append(points, point{t.Seconds(), float64(r.served.sum(window{0, t}))})
	}
	return points
}

// run returns the rushes by manner and run.
func (c crowd) run(seed uint64, done func(part float64)) [][]rush {
	manners := c.manners()
	rushes := make([][]rush, len(manners))
	for i := range rushes {
		rushes[i] = make([]rush, c.runs)
	}
	spread(len(manners)*c.runs, func(i int) {
		m, run := i/c.runs, i%c.runs
		rushes[m][run] = c.once(seed, run, manners[m])
	}, done)
	return rushes
}

func (c crowd) once(seed uint64, run int, m manner) rush {
	const bin = 100 * time.Millisecond
	world := new(world)
	server := &limiter{world: world, interval: time.Second / time.Duration(c.rate), requests: counter{bin: bin}}
	served := counter{bin: bin}
	policy := retry.Policy(
		retry.WithMaxAttempts(retry.Unlimited),
		retry.WithJitter(m.jitter),
		retry.WithSource(source(seed, "crowd", run, m.name)),
		retry.WithClock(world),
	)
	for range c.clients {
		world.start(0, func() {
			err := retry.Do(context.Background(), func(context.Context) error {
				if !server.admit() {
					return m.reject(server)
				}
				return nil
			}, policy)
			if err != nil {
				panic(err) // there is no limit on the attempts
			}
			served.count(world.now)
		})
	}
	world.run()
	return rush{server.requests, served, world.now}
}

func (c crowd) report(seed uint64, done func(part float64)) report {
	rushes := c.run(seed, done)
	t := table{head: [][]string{
		{"", "requests", "most in", "time until all"},
		{"", "in all", "100 ms", "are served (s)"},
	}}
	load := panel{title: "Requests per 100 ms", x: axis{"seconds", 0, c.shown.Seconds(), 5}, y: axis{end: 400, tick: 100}}
	goodput := panel{title: "Clients served", x: load.x, y: axis{end: float64(c.clients), tick: float64(c.clients) / 5}}
	colors := []string{backoffJitter: "red", fullSpread: "green", oracle: "gray"}
	requests, took := make([]sample, len(rushes)), make([]sample, len(rushes))
	for i, m := range c.manners() {
		var worst sample
		for _, r := range rushes[i] {
			requests[i] = append(requests[i], float64(r.requests.total()))
			worst = append(worst, float64(r.worst()))
			took[i] = append(took[i], r.took.Seconds())
		}
		t.rows = append(t.rows, []string{m.name,
			meanAndError("%.0f", requests[i]), meanAndError("%.0f", worst), meanAndError("%.2f", took[i])})

		first := rushes[i][0]
		load.lines = append(load.lines, line{colors[i], first.requests.points(window{100 * time.Millisecond, c.shown}, 100*time.Millisecond)})
		goodput.lines = append(goodput.lines, line{colors[i], first.servedBy(c.shown)})
	}
	load.label(backoffJitter, "jitter of the backoff alone", point{2.6, 372})
	load.label(fullSpread, "jitter of this package", point{5.2, 105})
	load.label(oracle, "oracle", point{0.3, 22})
	goodput.label(backoffJitter, "jitter of the backoff alone", point{9.7, 590})
	goodput.labelFrom(fullSpread, "jitter of this package", point{10.3, 740}, point{8.7, 832})
	goodput.label(oracle, "oracle", point{5.2, 800})
	return report{
		title: "Retry-After sends a crowd back together unless the jitter is wide",
		setup: fmt.Sprintf("%d clients call at the same instant. The server admits %d requests per second and tells all other clients to "+
			"return after %.0f s. The jitter of the backoff alone spreads the first returns over 250 ms; this package spreads them over half of the delay. "+
			"For comparison, an oracle tells each client when the server will admit it.",
			c.clients, c.rate, c.retryAfter.Seconds()),
		tables: []table{t},
		caption: fmt.Sprintf("With the jitter of this package, the server receives %.0f%% fewer requests than with the jitter of the backoff alone, "+
			"and the last client is served %.1f s sooner. Means of %d runs ± standard error. The most requests in 100 ms exclude the first "+
			"100 ms, in which all clients call.",
			100*(1-requests[fullSpread].mean()/requests[backoffJitter].mean()), took[backoffJitter].mean()-took[fullSpread].mean(), c.runs),
		figure: figure{note: fmt.Sprintf("The first %d requests, at 0 s, are not shown.", c.clients), panels: []panel{load, goodput}},
	}
}

package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestWorldWakesInOrder(t *testing.T) {
	w := new(world)
	var got []string
	say := func(name string, after ...time.Duration) func() {
		return func() {
			for _, d := range after {
				if err := w.Sleep(context.Background(), d); err != nil {
					t.Error(err)
				}
				got = append(got, name+" "+w.now.String())
			}
		}
	}
	w.start(0, say("a", 3, 3))
	w.start(0, say("b", 1, 2, 0))
	w.start(2, func() { w.start(1, say("c", 0)) })
	w.run()

	want := []string{"b 1ns", "a 3ns", "b 3ns", "b 3ns", "c 3ns", "a 6ns"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if since := w.Now().Sub(new(world).Now()); since != 6 {
		t.Errorf("Now is %v after the beginning, want 6ns", since)
	}
}

func TestHop(t *testing.T) {
	w := new(world)
	n := network{w, rand.New(source(1, "hop")), 10 * time.Millisecond, 2 * time.Millisecond}
	hops := make(sample, 10_000)
	w.start(0, func() {
		for i := range hops {
			before := w.now
			n.hop()
			hops[i] = (w.now - before).Seconds() * 1000
		}
	})
	w.run()
	if got := hops.mean(); math.Abs(got-10) > 4*0.02 {
		t.Errorf("mean hop is %v ms, want 10", got)
	}
	// The standard error of a standard deviation is sd / sqrt(2 n).
	if got := hops.se() * 100; math.Abs(got-2) > 4*0.0142 {
		t.Errorf("standard deviation of hops is %v ms, want 2", got)
	}

	// No delay is negative, even if the mean is 0.
	n.mean = 0
	w.start(0, func() {
		for range 100 {
			n.hop()
		}
	})
	before := w.now
	w.run()
	// The mean of |Normal(0, 2)| is 1.6, its standard deviation 1.2.
	if got := (w.now - before).Seconds() * 1000; math.Abs(got-160) > 4*12 {
		t.Errorf("100 hops of mean 0 take %v ms, want about 160", got)
	}
}

func TestQueue(t *testing.T) {
	w := new(world)
	q := queue{world: w, work: 10, slow: window{100, 200}}
	var got []time.Duration
	request := func(at, timeout time.Duration, want error) {
		w.start(at, func() {
			if err := q.call(timeout); err != want {
				t.Errorf("request at %v: %v, want %v", at, err, want)
			}
			got = append(got, w.now)
		})
	}
	request(0, 50, nil)
	request(0, 15, errTimeout) // the server still works on it, until 20
	request(0, 30, nil)
	request(99, 50, nil) // begun before the stall
	request(100, 50, errTimeout)
	request(105, 115, nil) // queued behind the request that timed out
	request(500, 10, nil)
	w.run()
	if want := []time.Duration{10, 15, 30, 109, 150, 220, 510}; !slices.Equal(got, want) {
		t.Errorf("answers and timeouts at %v, want %v", got, want)
	}
}

func TestSlowQueue(t *testing.T) {
	w := new(world)
	q := queue{world: w, work: 10, slow: window{100, 200}, speed: 0.25}
	for _, tt := range []struct{ at, want time.Duration }{
		{95, 105}, // begun before the slowdown
		{110, 150},
		{120, 190},
		{130, 230}, // begun at 190
		{140, 240},
	} {
		w.start(tt.at, func() {
			if err := q.call(time.Second); err != nil || w.now != tt.want {
				t.Errorf("request at %v: answer %v at %v, want nil at %v", tt.at, err, w.now, tt.want)
			}
		})
	}
	w.run()
}

func TestCounter(t *testing.T) {
	var c counter
	for _, at := range []time.Duration{0, time.Second - 1, time.Second, 5 * time.Second} {
		c.count(at)
	}
	if want := []int{2, 1, 0, 0, 0, 1}; !slices.Equal(c.n, want) {
		t.Errorf("n = %v, want %v", c.n, want)
	}
	if got := c.sum(window{time.Second, time.Minute}); got != 2 {
		t.Errorf("sum() = %d, want 2", got)
	}
	if got := c.sum(window{0, 5 * time.Second}); got != 3 {
		t.Errorf("sum() = %d, want 3", got)
	}
	if got := c.total(); got != 4 {
		t.Errorf("total() = %d, want 4", got)
	}
	if got, want := c.points(window{0, 6 * time.Second}, 2*time.Second), []point{{1, 1.5}, {3, 0}, {5, 0.5}}; !slices.Equal(got, want) {
		t.Errorf("points() = %v, want %v", got, want)
	}

	c = counter{bin: 100 * time.Millisecond}
	c.count(250 * time.Millisecond)
	if want := []int{0, 0, 1}; !slices.Equal(c.n, want) {
		t.Errorf("n = %v, want %v", c.n, want)
	}
	if got := c.sum(window{200 * time.Millisecond, time.Second}); got != 1 {
		t.Errorf("sum() = %d, want 1", got)
	}
}

func TestSample(t *testing.T) {
	s := sample{1, 2, 3, 4}
	if mean, se := s.mean(), s.se(); mean != 2.5 || math.Abs(se-math.Sqrt(5.0/3/4)) > 1e-12 {
		t.Errorf("mean %v ± %v, want 2.5 ± %v", mean, se, math.Sqrt(5.0/3/4))
	}
}

func TestService(t *testing.T) {
	w := new(world)
	s := service{world: w, down: window{2 * time.Second, 3 * time.Second}}
	for _, tt := range []struct {
		at   time.Duration
		want error
	}{
		{2*time.Second - 1, nil},
		{2 * time.Second, errDown},
		{3*time.Second - 1, errDown},
		{3 * time.Second, nil},
	} {
		w.start(tt.at, func() {
			if err := s.call(); err != tt.want {
				t.Errorf("call at %v: %v, want %v", tt.at, err, tt.want)
			}
		})
	}
	w.run()
	if want := []int{0, 1, 2, 1}; !slices.Equal(s.load.n, want) {
		t.Errorf("load = %v, want %v", s.load.n, want)
	}
}

package retry_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"example.com/retry"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestJitterRangesReachBothEnds(t *testing.T) {
	for _, test := range []struct {
		name     string
		jitter   retry.Jitter
		ceiling  time.Duration
		low, top time.Duration
	}{
		{"full", retry.FullJitter, 4, 0, 4},
		{"full", retry.FullJitter, 1, 0, 1},
		{"full", retry.FullJitter, 0, 0, 0},
		{"full", retry.FullJitter, -1, 0, 0},
		{"full", retry.FullJitter, math.MinInt64, 0, 0},
		{"equal", retry.EqualJitter, 8, 4, 8},
		{"equal, odd", retry.EqualJitter, 9, 4, 9},
		{"equal", retry.EqualJitter, 1, 0, 1},
		{"equal", retry.EqualJitter, 0, 0, 0},
		{"equal", retry.EqualJitter, -8, 0, 0},
		{"equal", retry.EqualJitter, math.MinInt64, 0, 0},
		{"none", retry.NoJitter, 5, 5, 5},
		{"none", retry.NoJitter, 0, 0, 0},
		{"none", retry.NoJitter, -5, 0, 0},
		{"none", retry.NoJitter, math.MaxInt64, math.MaxInt64, math.MaxInt64},
	} {
		r := seeded()
		seen := map[time.Duration]int{}
		const draws = 6000
		for range draws {
			seen[test.jitter(test.ceiling, r)]++
		}
		values := int(test.top - test.low + 1)
		if len(seen) != values {
			t.Errorf("%s jitter of %d: got values %v, want all from %d to %d", test.name, test.ceiling, seen, test.low, test.top)
		}
		// Each value is binomial: 6 sigma around its share.
		share := float64(draws) / float64(values)
		tolerance := 6 * math.Sqrt(share*(1-1/float64(values)))
		for d := test.low; d <= test.top; d++ {
			if math.Abs(float64(seen[d])-share) > tolerance {
				t.Errorf("%s jitter of %d: got %d %d times in %d draws, want %.0f ± %.0f",
					test.name, test.ceiling, d, seen[d], draws, share, tolerance)
			}
			if d == math.MaxInt64 {
				break
			}
		}
	}
}

// A Source that answers with all ones or zeros leads to the ends of the range.
func TestJitterAtTheLargestCeiling(t *testing.T) {
	ones, zeros := rand.New(constSource(math.MaxUint64)), rand.New(constSource(0))
	for _, test := range []struct {
		name   string
		jitter retry.Jitter
		r      *rand.Rand
		want   time.Duration
	}{
		{"full, ones", retry.FullJitter, ones, math.MaxInt64},
		{"full, zeros", retry.FullJitter, zeros, 0},
		{"equal, ones", retry.EqualJitter, ones, math.MaxInt64},
		{"equal, zeros", retry.EqualJitter, zeros, math.MaxInt64 / 2},
	} {
		if got := test.jitter(math.MaxInt64, test.r); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

// Without rejection some values would be a little more likely than others. Of three,
// the draw is the high word of 3x, rejected where the low word is below 2^64 mod 3.
func TestJitterRejectsExactly(t *testing.T) {
	const third = 0xAAAAAAAAAAAAAAAB // 3x is 2<<64 + 1
	for _, test := range []struct {
		draws []uint64
		want  time.Duration
	}{
		{[]uint64{third, 5}, 2},    // a low word of 1 is just not rejected
		{[]uint64{0, third, 5}, 2}, // one of 0 is
		{[]uint64{5, third}, 0},
	} {
		src := listSource(test.draws)
		if got := retry.FullJitter(2, rand.New(&src)); got != test.want {
			t.Errorf("draws %x: got %d, want %d", test.draws, got, test.want)
		}
	}
}

// A ceiling of 0 leaves the Source, and so the waits that follow, alone.
func TestJitterOfZeroDrawsNothing(t *testing.T) {
	r := rand.New(panicSource{})
	for name, jitter := range map[string]retry.Jitter{"full": retry.FullJitter, "equal": retry.EqualJitter, "none": retry.NoJitter} {
		if got := jitter(0, r); got != 0 {
			t.Errorf("%s jitter of 0 is %d", name, got)
		}
	}
}

type listSource []uint64

func (s *listSource) Uint64() uint64 {
	x := (*s)[0]
	*s = (*s)[1:]
	return x
}

type constSource uint64

func (s constSource) Uint64() uint64 { return uint64(s) }

func TestJitterWithNilRand(t *testing.T) {
	for range 100 {
		if got := retry.FullJitter(10, nil); got < 0 || got > 10 {
			t.Errorf("FullJitter(10, nil) = %d, want from 0 to 10", got)
		}
		if got := retry.EqualJitter(10, nil); got < 5 || got > 10 {
			t.Errorf("EqualJitter(10, nil) = %d, want from 5 to 10", got)
		}
	}
}

// waitsWith returns the waits of one exhausted call.
func waitsWith(t *testing.T, opts ...retry.Option) []time.Duration {
	t.Helper()
	clock := newFakeClock()
	fn, _ := always(errBoom)
	err := retry.Do(t.Context(), fn, append(opts, retry.WithClock(clock), retry.WithMaxAttempts(20))...)
	gaveUp(t, err, retry.ErrExhausted, 20)
	return clock.waits
}

func TestSameSeedSameWaits(t *testing.T) {
	first := waitsWith(t, retry.WithSource(rand.NewPCG(1, 2)))
	wantWaits(t, waitsWith(t, retry.WithSource(rand.NewPCG(1, 2))), first...)
	// They are full jitter of the default ceilings, drawn from that seed.
	r := seeded()
	for i, wait := range first {
		if want := retry.FullJitter(retry.Exponential{}.Delay(i+1), r); wait != want {
			t.Errorf("got wait %d of %v, want %v", i+1, wait, want)
		}
	}
	other := waitsWith(t, retry.WithSource(rand.NewPCG(3, 4)))
	if other[0] == first[0] && other[1] == first[1] {
		t.Errorf("another seed repeats the waits %v", first[:2])
	}
}

func TestDefaultSourceVaries(t *testing.T) {
	a, b := waitsWith(t), waitsWith(t)
	if a[0] == b[0] && a[1] == b[1] {
		t.Errorf("two calls without a Source both wait %v", a[:2])
	}
	for i, wait := range a {
		if top := (retry.Exponential{}).Delay(i + 1); wait < 0 || wait > top {
			t.Errorf("got wait %d of %v, want from 0 to %v", i+1, wait, top)
		}
	}
}

// One Policy and one Source, the Source even in options made separately: the race
// detector sees whether its draws are serialised.
func TestPolicyAndSourceShared(t *testing.T) {
	src := rand.NewPCG(1, 2)
	policy := retry.Policy(retry.WithSource(src), retry.WithClock(noSleep{}), retry.WithMaxAttempts(4))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			opts := []retry.Option{policy}
			if i%2 == 0 {
				opts = append(opts, retry.WithSource(src))
			}
			fn, calls := always(errBoom)
			err := retry.Do(t.Context(), fn, opts...)
			if !errors.Is(err, retry.ErrExhausted) {
				t.Errorf("got %v, want ErrExhausted", err)
			}
			wantCalls(t, calls, 4)
		})
	}
	wg.Wait()
}

// A Source that panics leaves no lock behind.
func TestSourcePanics(t *testing.T) {
	fn, _ := always(errBoom)
	func() {
		defer func() {
			if p := recover(); p != "no entropy" {
				t.Errorf("recovered %v, want the Source's own panic", p)
			}
		}()
		_ = retry.Do(t.Context(), fn, retry.WithSource(panicSource{}), retry.WithClock(noSleep{}))
	}()
	err := retry.Do(t.Context(), fn, retry.WithSource(seededSource()), retry.WithClock(noSleep{}))
	gaveUp(t, err, retry.ErrExhausted, 5)
}

type panicSource struct{}

func (panicSource) Uint64() uint64 { panic("no entropy") }

func seededSource() rand.Source { return rand.NewPCG(1, 2) }

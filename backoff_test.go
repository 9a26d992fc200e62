package retry_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"example.com/retry"
)

func TestExponentialDefaultSchedule(t *testing.T) {
	const ms = time.Millisecond
	want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 8000 * ms}
	for i, want := range want {
		if got := (retry.Exponential{}).Delay(i + 1); got != want {
			t.Errorf("Exponential{}.Delay(%d) = %v, want %v", i+1, got, want)
		}
	}
}

func TestExponentialDelay(t *testing.T) {
	const ms, sec = time.Millisecond, time.Second
	for _, test := range []struct {
		e    retry.Exponential
		n    int
		want time.Duration
	}{
		{retry.Exponential{}, 0, 250 * ms},
		{retry.Exponential{}, -1, 250 * ms},
		{retry.Exponential{}, math.MinInt, 250 * ms},
		{retry.Exponential{}, math.MaxInt, 8 * sec},
		{retry.Exponential{Base: sec}, 1, sec},
		{retry.Exponential{Base: sec}, 3, 4 * sec},
		{retry.Exponential{Base: sec}, 4, 8 * sec},
		{retry.Exponential{Base: sec}, 5, 8 * sec},
		{retry.Exponential{Base: 9 * sec}, 1, 8 * sec}, // Base above Max
		{retry.Exponential{Base: 1, Max: 7}, 3, 4},     // the largest power below Max
		{retry.Exponential{Base: 1, Max: 8}, 4, 8},     // exactly Max
		{retry.Exponential{Base: 1, Max: 8}, 5, 8},     // above Max
		{retry.Exponential{Base: 3, Max: 8}, 2, 6},
		{retry.Exponential{Base: 3, Max: 8}, 3, 8},
		{retry.Exponential{Max: ms}, 1, ms},
		// The end of the range, where a shift would wrap round.
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 63, 1 << 62},
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 64, math.MaxInt64},
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 65, math.MaxInt64},
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 129, math.MaxInt64},
		{retry.Exponential{Base: math.MaxInt64, Max: math.MaxInt64}, 2, math.MaxInt64},
		// Other factors.
		{retry.Exponential{Base: 100 * ms, Factor: 1}, 1, 100 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1}, 1000, 100 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1.5}, 2, 150 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1.5}, 3, 225 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1.5}, 100, 8 * sec},
		{retry.Exponential{Base: 100 * ms, Factor: 3}, 4, 2700 * ms},
		{retry.Exponential{Base: 1000, Max: 9000, Factor: 3}, 3, 9000},
		{retry.Exponential{Base: 1000, Max: 8999, Factor: 3}, 3, 8999},
		{retry.Exponential{Base: 1000, Max: 9001, Factor: 3}, 3, 9000},
		{retry.Exponential{Base: 1, Max: math.MaxInt64, Factor: 3}, 40, 4052555153018976256},
		{retry.Exponential{Base: 1, Max: math.MaxInt64, Factor: 3}, 41, math.MaxInt64},
		{retry.Exponential{Base: 1, Max: math.MaxInt64, Factor: math.MaxFloat64}, math.MaxInt, math.MaxInt64},
		// A Base that float64 would round down.
		{retry.Exponential{Base: 1<<60 + 127, Max: math.MaxInt64, Factor: math.Nextafter(1, 2)}, 1, 1<<60 + 127},
		{retry.Exponential{Base: 1<<62 + 255, Max: math.MaxInt64, Factor: math.Nextafter(1, 2)}, 2, 1<<62 + 1024},
	} {
		if got := test.e.Delay(test.n); got != test.want {
			t.Errorf("%+v.Delay(%d) = %d, want %d", test.e, test.n, got, test.want)
		}
	}
}

// A factor within rounding distance of 1 is where a power by repeated squaring,
// or math.Pow, falls now and then.
func TestExponentialNeverFalls(t *testing.T) {
	for _, e := range []retry.Exponential{
		{Base: 1 << 61, Max: math.MaxInt64, Factor: 1 + 0x1p-52},
		{Base: 1 << 61, Max: math.MaxInt64, Factor: 1 + 0x3p-51},
		{Base: 1 << 61, Max: math.MaxInt64, Factor: 1 + 0x5p-45},
		{Base: 1 << 55, Max: math.MaxInt64, Factor: 1.0000001},
		{Base: 1<<60 + 127, Max: math.MaxInt64, Factor: 1 + 0x1p-52},
		{Base: 250 * time.Millisecond, Max: math.MaxInt64, Factor: 1.01},
	} {
		last := time.Duration(0)
		for n := 1; n < 1<<16; n++ {
			d := e.Delay(n)
			if d < last {
				t.Fatalf("%+v: Delay(%d) = %d, less than Delay(%d) = %d", e, n, d, n-1, last)
			}
			last = d
		}
		for shift := range strconv.IntSize - 2 {
			n := 1 << (shift + 1)
			below, at := e.Delay(n-1), e.Delay(n)
			if at < below {
				t.Fatalf("%+v: Delay(%d) = %d, less than Delay(%d) = %d", e, n, at, n-1, below)
			}
		}
	}
}

// Do refuses these; a direct call stays within bounds.
func TestExponentialInvalidFieldsAreHarmless(t *testing.T) {
	for _, e := range []retry.Exponential{
		{Base: -1}, {Base: -1, Factor: 3}, {Max: -1}, {Max: -1, Factor: 3},
		{Factor: -1}, {Factor: 0.5}, {Factor: math.NaN()}, {Factor: math.Inf(1)}, {Factor: math.Inf(-1)},
		{Base: -1, Factor: math.Inf(1)},
	} {
		for _, n := range []int{1, 2, 3, 100} {
			if got := e.Delay(n); got < 0 || got > 8*time.Second {
				t.Errorf("%+v.Delay(%d) = %v, want from 0 to 8s", e, n, got)
			}
		}
	}
}

func TestConstant(t *testing.T) {
	for _, n := range []int{1, 2, math.MaxInt} {
		if got := retry.Constant(time.Second).Delay(n); got != time.Second {
			t.Errorf("Constant(1s).Delay(%d) = %v, want 1s", n, got)
		}
	}
}

func TestBackoffGetsTheFailedAttempt(t *testing.T) {
	clock := newFakeClock()
	fn, _ := always(errBoom)
	double := retry.BackoffFunc(func(n int) time.Duration { return time.Duration(n) * 2 })
	err := retry.Do(t.Context(), fn, retry.WithMaxAttempts(4), retry.WithBackoff(double),
		retry.WithJitter(retry.NoJitter), retry.WithClock(clock))
	gaveUp(t, err, retry.ErrExhausted, 4)
	wantWaits(t, clock.waits, 2, 4, 6)
}

// What a Backoff or a Jitter answers is clamped, never wrapped round.
func TestNonsenseFromBackoffAndJitter(t *testing.T) {
	var ceilings []time.Duration
	for _, test := range []struct {
		name     string
		delay    time.Duration
		jitter   func(ceiling time.Duration) time.Duration
		pushback time.Duration
		want     time.Duration
		ceiling  time.Duration
	}{
		{"negative delay", -1, nil, 0, 0, 0},
		{"least delay", math.MinInt64, nil, 0, 0, 0},
		{"negative delay and pushback", -time.Hour, nil, 7, 7, 0},
		{"largest delay", math.MaxInt64, nil, 0, math.MaxInt64, math.MaxInt64},
		{"largest delay and pushback", math.MaxInt64, nil, 1, math.MaxInt64, math.MaxInt64},
		{"one below the largest and pushback", math.MaxInt64 - 1, nil, 1, math.MaxInt64, math.MaxInt64 - 1},
		{"pushback alone at the largest", 0, nil, math.MaxInt64, math.MaxInt64, 0},
		{"negative pushback", 5, nil, math.MinInt64, 5, 5},
		{"negative jitter", 5, func(time.Duration) time.Duration { return -1 }, 0, 0, 5},
		{"negative jitter and pushback", 5, func(time.Duration) time.Duration { return math.MinInt64 }, 7, 7, 5},
		{"jitter above its ceiling", 5, func(c time.Duration) time.Duration { return c + 1 }, 0, 6, 5},
	} {
		clock := newFakeClock()
		ceilings = nil
		fn, _ := script(retry.After(errBoom, test.pushback))
		var event retry.Event
		err := retry.Do(t.Context(), fn,
			retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { return test.delay })),
			retry.WithJitter(func(ceiling time.Duration, _ *rand.Rand) time.Duration {
				ceilings = append(ceilings, ceiling)
				if test.jitter != nil {
					return test.jitter(ceiling)
				}
				return ceiling
			}),
			retry.WithOnRetry(func(_ context.Context, ev retry.Event) { event = ev }),
			retry.WithClock(clock))
		if err != nil {
			t.Errorf("%s: got %v, want success", test.name, err)
		}
		wantWaits(t, clock.waits, test.want)
		wantWaits(t, ceilings, test.ceiling)
		if event.Wait != test.want {
			t.Errorf("%s: got Event.Wait %v, want %v", test.name, event.Wait, test.want)
		}
	}
}

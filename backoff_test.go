package retry_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"example.com/retry"
)

func TestExponential(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, test := range []struct {
		e    retry.Exponential
		n    int
		want time.Duration
	}{
		{retry.Exponential{}, 1, 250 * ms},
		{retry.Exponential{}, 2, 500 * ms},
		{retry.Exponential{}, 3, s},
		{retry.Exponential{}, 4, 2 * s},
		{retry.Exponential{}, 5, 4 * s},
		{retry.Exponential{}, 6, 8 * s},
		{retry.Exponential{}, 7, 8 * s},
		{retry.Exponential{}, math.MaxInt, 8 * s},
		// An n below 1 counts as 1.
		{retry.Exponential{}, 0, 250 * ms},
		{retry.Exponential{}, -1, 250 * ms},
		{retry.Exponential{}, math.MinInt, 250 * ms},
		// Base, Max, and both.
		{retry.Exponential{Base: s}, 3, 4 * s},
		{retry.Exponential{Base: s}, 4, 8 * s},
		{retry.Exponential{Base: 9 * s}, 1, 8 * s},
		{retry.Exponential{Max: ms}, 1, ms},
		{retry.Exponential{Base: 1, Max: 7}, 3, 4}, // the largest power below Max
		{retry.Exponential{Base: 1, Max: 8}, 4, 8}, // exactly Max
		{retry.Exponential{Base: 1, Max: 8}, 5, 8},
		{retry.Exponential{Base: 3, Max: 8}, 2, 6},
		{retry.Exponential{Base: 3, Max: 8}, 3, 8},
		// The end of the range, where a shift would wrap.
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 63, 1 << 62},
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 64, math.MaxInt64},
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 65, math.MaxInt64},
		{retry.Exponential{Base: 1, Max: math.MaxInt64}, 129, math.MaxInt64},
		{retry.Exponential{Base: math.MaxInt64, Max: math.MaxInt64}, 2, math.MaxInt64},
		// Other factors.
		{retry.Exponential{Base: 100 * ms, Factor: 1}, 1, 100 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1}, 1000, 100 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1.5}, 3, 225 * ms},
		{retry.Exponential{Base: 100 * ms, Factor: 1.5}, 100, 8 * s},
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
		t.Run(fmt.Sprintf("%+v/%d", test.e, test.n), func(t *testing.T) {
			if got := test.e.Delay(test.n); got != test.want {
				t.Errorf("Delay(%d) = %d, want %d", test.n, got, test.want)
			}
		})
	}
}

// The ceiling never falls as n grows. With a factor within rounding distance of 1, a
// power by repeated squaring, or math.Pow, falls now and then.
func TestExponentialNeverFalls(t *testing.T) {
	for _, e := range []retry.Exponential{
		{Base: 1 << 61, Max: math.MaxInt64, Factor: 1 + 0x1p-52},
		{Base: 1 << 61, Max: math.MaxInt64, Factor: 1 + 0x3p-51},
		{Base: 1 << 61, Max: math.MaxInt64, Factor: 1 + 0x5p-45},
		{Base: 1 << 55, Max: math.MaxInt64, Factor: 1.0000001},
		{Base: 1<<60 + 127, Max: math.MaxInt64, Factor: 1 + 0x1p-52},
		{Base: 250 * time.Millisecond, Max: math.MaxInt64, Factor: 1.01},
	} {
		t.Run(fmt.Sprintf("%+v", e), func(t *testing.T) {
			rises := func(n int) {
				if below, at := e.Delay(n-1), e.Delay(n); at < below || below < 0 {
					t.Fatalf("Delay(%d) = %d, want at least Delay(%d) = %d", n, at, n-1, below)
				}
			}
			for n := 2; n < 1<<16; n++ {
				rises(n)
			}
			for shift := range strconv.IntSize - 2 {
				rises(1<<(shift+1) + 1) // where the highest square first counts
			}
		})
	}
}

// Do rejects invalid fields. If Delay is called without Do, the result stays in bounds.
func TestExponentialWithInvalidFields(t *testing.T) {
	for _, e := range []retry.Exponential{
		{Base: -1}, {Base: -1, Factor: 3}, {Max: -1}, {Max: -1, Factor: 3},
		{Factor: -1}, {Factor: 0.5}, {Factor: math.NaN()}, {Factor: math.Inf(1)}, {Factor: math.Inf(-1)},
		{Base: -1, Factor: math.Inf(1)},
	} {
		t.Run(fmt.Sprintf("%+v", e), func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 100} {
				if got := e.Delay(n); got < 0 || got > 8*time.Second {
					t.Errorf("Delay(%d) = %v, want from 0 to 8s", n, got)
				}
			}
		})
	}
}

func TestConstant(t *testing.T) {
	for _, n := range []int{1, 2, math.MaxInt} {
		if got := retry.Constant(time.Second).Delay(n); got != time.Second {
			t.Errorf("Constant(1s).Delay(%d) = %v, want 1s", n, got)
		}
	}
}

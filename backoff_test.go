package retry_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
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
		{retry.Exponential{}, 5, 4 * s},
		{retry.Exponential{}, 6, 8 * s},
		{retry.Exponential{}, 7, 8 * s},
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

// The ceiling never falls as n grows. If the factor is very close to 1, a power that is
// computed by repeated squaring, or by math.Pow, sometimes falls.
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
				rises(1<<(shift+1) + 1) // the first n that needs one more square
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

// FuzzExponential compares Delay with exact arithmetic.
func FuzzExponential(f *testing.F) {
	f.Add(int64(0), int64(0), 0.0, 1, 2)
	f.Add(int64(0), int64(0), 0.0, 6, math.MaxInt)
	f.Add(int64(1), int64(math.MaxInt64), 2.0, 63, 64)
	f.Add(int64(3), int64(math.MaxInt64), 2.0, 62, 63)
	f.Add(int64(math.MaxInt64), int64(1), 3.0, 1, math.MinInt)
	f.Add(int64(1<<53+1), int64(math.MaxInt64), 1.5, 1, 2)
	f.Add(int64(1), int64(math.MaxInt64), math.Nextafter(1, 2), math.MaxInt>>11, math.MaxInt>>5)
	f.Add(int64(1<<40), int64(math.MaxInt64), 1+0x1p-26, 1<<29, 1<<29+1<<20)
	f.Add(int64(1), int64(math.MaxInt64), math.MaxFloat64, 2, 3)
	f.Add(int64(1), int64(math.MaxInt64), 8.0, 21, 22)   // 1<<63, which a Duration cannot hold
	f.Add(int64(1), int64(math.MaxInt64-1), 8.0, 21, 22) // as a float64, this Max is also 1<<63
	random := rand.New(rand.NewPCG(3, 4))
	size := func() int64 { return int64(random.Uint64() >> (1 + random.IntN(63))) }
	for range 500 {
		f.Add(size(), size(), 1+math.Ldexp(random.Float64(), 3-random.IntN(57)), int(size()), int(size()))
		f.Add(size(), size(), 2.0, random.IntN(80), random.IntN(80))
	}
	f.Fuzz(func(t *testing.T, base, limit int64, factor float64, n, m int) {
		if base < 0 || limit < 0 || factor != 0 && !(factor >= 1) || math.IsInf(factor, 1) {
			t.Skip("invalid")
		}
		e := retry.Exponential{Base: time.Duration(base), Max: time.Duration(limit), Factor: factor}
		n, m = min(n, m), max(n, m)
		if e.Delay(n) > e.Delay(m) {
			t.Errorf("%+v.Delay(%d) = %d, want at most Delay(%d) = %d", e, n, e.Delay(n), m, e.Delay(m))
		}
		for _, n := range []int{n, m} {
			d := int64(e.Delay(n))
			want, slack := exactDelay(e, n)
			if d < 0 || new(big.Int).Sub(big.NewInt(d), want).CmpAbs(slack) > 0 {
				t.Errorf("%+v.Delay(%d) = %d, want %v ± %v", e, n, d, want, slack)
			}
		}
	})
}

// exactDelay returns min(Max, Base × Factor^(n-1)) in whole nanoseconds, and by how much
// float64 arithmetic may differ. Delay is exact if the factor is 1 or 2, or is not used.
func exactDelay(e retry.Exponential, n int) (want, slack *big.Int) {
	if e.Base == 0 {
		e.Base = 250 * time.Millisecond
	}
	if e.Max == 0 {
		e.Max = 8 * time.Second
	}
	if e.Factor == 0 {
		e.Factor = 2
	}
	number := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	product, square, limit := number(0).SetInt64(int64(e.Base)), number(e.Factor), number(0).SetInt64(int64(e.Max))
	for k := max(n, 1) - 1; k > 0; k >>= 1 {
		if k&1 == 1 {
			product.Mul(product, square)
		}
		square.Mul(square, square)
	}
	if product.Cmp(limit) > 0 { // the product may be infinite
		product = limit
	}
	want, _ = product.Int(nil)
	if n <= 1 || e.Factor == 1 || e.Factor == 2 {
		return want, new(big.Int)
	}
	// Each of n factors is rounded once. If the factor is so close to 1 that n roundings
	// add up to more than 1e-6, the first squares are nearly exact.
	slack, _ = number(0).Mul(number(min(float64(n)*0x1p-51, 1e-6)), product).Int(nil)
	return want, slack.Add(slack, big.NewInt(1))
}

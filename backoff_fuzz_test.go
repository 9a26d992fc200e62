package retry_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"example.com/retry"
)

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
	f.Add(int64(1), int64(math.MaxInt64-1), 8.0, 21, 22) // as a float64, this Max is 1<<63, too
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

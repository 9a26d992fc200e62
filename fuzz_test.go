package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/retry"
)

func FuzzExponential(f *testing.F) {
	f.Add(int64(0), int64(0), 0.0, 1, 2)
	f.Add(int64(0), int64(0), 0.0, 6, math.MaxInt)
	f.Add(int64(1), int64(math.MaxInt64), 2.0, 63, 64)
	f.Add(int64(3), int64(math.MaxInt64), 2.0, 62, 63)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), 2.0, 1, math.MaxInt)
	f.Add(int64(math.MaxInt64), int64(1), 3.0, 1, math.MinInt)
	f.Add(int64(time.Second), int64(time.Hour), 1.0, 1, math.MaxInt)
	f.Add(int64(1<<53+1), int64(math.MaxInt64), 1.5, 1, 2)
	f.Add(int64(time.Millisecond), int64(time.Hour), 1.1, 100, 101)
	f.Add(int64(1), int64(math.MaxInt64), math.Nextafter(1, 2), math.MaxInt>>11, math.MaxInt>>5)
	f.Add(int64(1<<40), int64(math.MaxInt64), 1+0x1p-26, 1<<29, 1<<29+1<<20)
	f.Add(int64(1), int64(math.MaxInt64), math.MaxFloat64, 2, 3)
	f.Add(int64(1), int64(math.MaxInt64), 8.0, 21, 22)   // 1<<63, of which a Duration is negative
	f.Add(int64(1), int64(math.MaxInt64-1), 8.0, 21, 22) // a float64 of this is 1<<63, too
	f.Add(int64(-1), int64(0), 2.0, 3, 1)
	f.Add(int64(0), int64(-1), 2.0, 3, 1)
	f.Add(int64(0), int64(0), 0.999, 3, 4)
	f.Add(int64(0), int64(0), math.NaN(), 3, 4)
	f.Add(int64(0), int64(0), math.Inf(1), 3, 4)
	f.Fuzz(checkExponential)
}

func checkExponential(t *testing.T, base, limit int64, factor float64, n, m int) {
	e := retry.Exponential{Base: time.Duration(base), Max: time.Duration(limit), Factor: factor}
	calls := 0
	err := retry.Do(t.Context(), func(context.Context) error { calls++; return nil }, retry.WithBackoff(e))
	valid := base >= 0 && limit >= 0 && (factor == 0 || factor >= 1) && !math.IsInf(factor, 0)
	if valid != (err == nil) || !valid && (!errors.Is(err, retry.ErrInvalid) || calls != 0) {
		t.Fatalf("%+v: Do returned %v after %d calls", e, err, calls)
	}
	if base == 0 {
		base = int64(250 * time.Millisecond)
	}
	if limit == 0 {
		limit = int64(8 * time.Second)
	}
	if factor == 0 {
		factor = 2
	}
	n, m = min(n, m), max(n, m)
	for _, n := range []int{n, m} {
		d := e.Delay(n)
		if d < 0 || int64(d) > max(limit, 0) {
			t.Fatalf("%+v.Delay(%d) = %d, out of [0, Max]", e, n, d)
		}
		if !valid {
			continue
		}
		if n < math.MaxInt && e.Delay(n+1) < d {
			t.Fatalf("%+v.Delay falls from %d to %d after attempt %d", e, d, e.Delay(n+1), n)
		}
		want, slack := exactCeiling(base, limit, factor, n)
		if off := new(big.Int).Sub(big.NewInt(int64(d)), want); off.CmpAbs(slack) > 0 {
			t.Fatalf("%+v.Delay(%d) = %d, want %v within %v", e, n, d, want, slack)
		}
	}
	if !valid {
		return
	}
	if e.Delay(n) > e.Delay(m) {
		t.Fatalf("%+v.Delay falls from %d after attempt %d to %d after %d", e, e.Delay(n), n, e.Delay(m), m)
	}
	if first := int64(e.Delay(1)); first != min(base, limit) {
		t.Fatalf("%+v.Delay(1) = %d", e, first)
	}
}

// exactCeiling returns min(limit, base × factor^(n-1)), cut off to a whole number,
// and by how much float64 may be off it: not at all where the result is promised
// to be exact. In the power of n factors each is rounded once.
func exactCeiling(base, limit int64, factor float64, n int) (want, slack *big.Int) {
	n = max(n, 1)
	cut := func(x *big.Float) *big.Int {
		if x.Cmp(new(big.Float).SetInt64(limit)) >= 0 { // or else Int of an infinity
			return big.NewInt(limit)
		}
		i, _ := x.Int(nil)
		return i
	}
	number := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	product := number(0).SetInt64(base)
	square := number(factor)
	for k := n - 1; k > 0; k >>= 1 {
		if k&1 == 1 {
			product.Mul(product, square)
		}
		square.Mul(square, square)
	}
	if n == 1 || factor == 1 || factor == 2 {
		return cut(product), new(big.Int)
	}
	// So near to 1 that n roundings add up to more than 1e-6, the first squares
	// are exact, or are off by the square of their distance to 1 only.
	relative := min(float64(n)*0x1p-51, 1e-6)
	slack, _ = number(0).Mul(number(relative), new(big.Float).SetInt(cut(product))).Int(nil)
	return cut(product), slack.Add(slack, big.NewInt(1))
}

// Fields and attempts of any size, evenly by their order of magnitude.
func TestExponentialAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	size := func() int64 { return int64(r.Uint64() >> (1 + r.IntN(63))) }
	for range 20_000 {
		factor := 1 + math.Ldexp(r.Float64(), 3-r.IntN(57))
		if r.IntN(4) == 0 {
			factor = 2
		}
		checkExponential(t, size(), size(), factor, int(size()), int(size()))
	}
}

func FuzzJitter(f *testing.F) {
	for _, ceiling := range []int64{0, 1, 2, 3, 10, int64(time.Second), math.MaxInt64 - 1, math.MaxInt64, -1, math.MinInt64} {
		f.Add(ceiling, uint64(1))
	}
	f.Fuzz(func(t *testing.T, ceiling int64, seed uint64) {
		for _, j := range jitters {
			low, high := j.ends(ceiling)
			checkJitter(t, fmt.Sprintf("%s(%d)", j.name, ceiling), j.draw, ceiling, low, high, seed)
		}
	})
}

var jitters = []struct {
	name string
	draw retry.Jitter
	ends func(ceiling int64) (low, high int64)
}{
	{"FullJitter", retry.FullJitter, func(ceiling int64) (low, high int64) { return 0, max(ceiling, 0) }},
	{"EqualJitter", retry.EqualJitter, func(ceiling int64) (low, high int64) { return max(ceiling, 0) / 2, max(ceiling, 0) }},
	{"NoJitter", retry.NoJitter, func(ceiling int64) (low, high int64) { return max(ceiling, 0), max(ceiling, 0) }},
}

func checkJitter(t *testing.T, name string, draw retry.Jitter, ceiling, low, high int64, seed uint64) {
	r := rand.New(rand.NewPCG(seed, seed))
	const draws = 64
	var sum float64
	for range draws {
		d := int64(draw(time.Duration(ceiling), r))
		if d < low || d > high {
			t.Fatalf("%s = %d, out of [%d, %d]", name, d, low, high)
		}
		sum += float64(d - low)
	}
	if d := int64(draw(time.Duration(ceiling), nil)); d < low || d > high {
		t.Fatalf("%s without a Rand = %d, out of [%d, %d]", name, d, low, high)
	}
	// Eight sigma, for a fuzzer tries many seeds.
	width := float64(high-low) + 1
	sigma := math.Sqrt((width*width - 1) / 12 / draws)
	if off := math.Abs(sum/draws - (width-1)/2); off > 8*sigma {
		t.Fatalf("%s: the mean of %d draws is %g off the middle of [%d, %d], sigma is %g", name, draws, off, low, high, sigma)
	}
	// The ends of what a source gives are the ends of what is drawn from it; a
	// zero alone may be drawn again, to avoid a bias.
	if d := draw(time.Duration(ceiling), rand.New(&cycleSource{math.MaxUint64})); int64(d) != high {
		t.Fatalf("%s of the highest draw = %d, want %d", name, d, high)
	}
	if d := draw(time.Duration(ceiling), rand.New(&cycleSource{0, 1})); int64(d) != low {
		t.Fatalf("%s of the lowest draw = %d, want %d", name, d, low)
	}
}

// A cycleSource repeats its numbers.
type cycleSource []uint64

func (s *cycleSource) Uint64() uint64 {
	first := (*s)[0]
	*s = append((*s)[1:], first)
	return first
}

// Chi-square tests: of each value where they are few, and otherwise of the odd and
// the even ones in each eighth of the range. At 2^64 / 2.5 the shortcuts have their
// worst bias: a modulo prefers the lower values, a multiplication without rejection
// the odd ones or the even ones.
func TestJitterIsUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, ceiling := range []int64{1, 2, 3, 6, 9, 31, 1e9, 7378697629483820645, math.MaxInt64} {
		for _, j := range jitters {
			low, high := j.ends(ceiling)
			values := uint64(high-low) + 1
			cells, size := values, uint64(0)
			if values > 32 {
				cells, size = 16, (values+7)/8
			}
			checkChiSquare(t, fmt.Sprintf("%s(%d)", j.name, ceiling), cells, func() uint64 {
				d := uint64(int64(j.draw(time.Duration(ceiling), r)) - low)
				if cells == values {
					return d
				}
				return d/size*2 + d%2
			})
		}
	}
}

// checkChiSquare checks that draw gives each of the n numbers from 0 as often.
func checkChiSquare(t *testing.T, name string, n uint64, draw func() uint64) {
	const draws = 64_000
	counts := make([]float64, n)
	for range draws {
		counts[draw()]++
	}
	want := draws / float64(n)
	chi2 := 0.0
	for _, count := range counts {
		chi2 += (count - want) * (count - want) / want
	}
	// The mean is the number of degrees of freedom k, the variance 2k; six sigma,
	// for the tail is longer than that of a normal distribution.
	k := float64(n - 1)
	if chi2 > k+6*math.Sqrt(2*k) {
		t.Errorf("%s: chi-square is %.1f for %v degrees of freedom, counts %v", name, chi2, k, counts)
	}
}

func FuzzWait(f *testing.F) {
	f.Add(int64(time.Second), int64(time.Second), int64(time.Minute), int64(0), byte(0), uint64(1))
	f.Add(int64(-1), int64(-5), int64(-7), int64(-9), byte(1), uint64(1))
	f.Add(int64(math.MaxInt64), int64(1), int64(math.MaxInt64), int64(math.MaxInt64), byte(2), uint64(1))
	f.Add(int64(1), int64(math.MaxInt64), int64(1), int64(2), byte(3), uint64(1))
	f.Add(int64(math.MinInt64), int64(math.MinInt64), int64(math.MinInt64), int64(math.MaxInt64), byte(4), uint64(1))
	f.Fuzz(checkWait)
}

// checkWait checks the wait after one failed attempt that asks for two waits.
func checkWait(t *testing.T, delay, drawn, ask1, ask2 int64, shape byte, seed uint64) {
	failure := errors.New("failure")
	after1 := retry.After(failure, time.Duration(ask1))
	failure = []error{
		retry.After(after1, time.Duration(ask2)),
		errors.Join(after1, retry.After(failure, time.Duration(ask2))),
		fmt.Errorf("%w and %w", &askingError{failure, time.Duration(ask1)}, &askingError{failure, time.Duration(ask2)}),
		fmt.Errorf("deep: %w", fmt.Errorf("down: %w", &askingError{after1, time.Duration(ask2)})),
	}[shape%4]
	pushback := max(ask1, ask2, 0)

	ceiling := max(delay, 0)
	var jitter retry.Jitter
	var low, high int64
	switch shape / 4 % 3 {
	case 0:
		low, high = max(drawn, 0), max(drawn, 0)
		jitter = func(got time.Duration, _ *rand.Rand) time.Duration {
			if int64(got) != ceiling {
				t.Errorf("the jitter got ceiling %d for a Delay of %d", got, delay)
			}
			return time.Duration(drawn)
		}
	case 1:
		low, high = 0, ceiling
		jitter = retry.FullJitter
	case 2:
		low, high = ceiling/2, ceiling
		jitter = retry.EqualJitter
	}
	saturating := func(a, b int64) time.Duration {
		if sum := new(big.Int).Add(big.NewInt(a), big.NewInt(b)); sum.IsInt64() {
			return time.Duration(sum.Int64())
		}
		return math.MaxInt64
	}

	clock := &waitClock{}
	announced := time.Duration(-1)
	calls := 0
	err := retry.Do(t.Context(), func(context.Context) error {
		if calls++; calls == 1 {
			return failure
		}
		return nil
	}, retry.WithClock(clock), retry.WithSource(rand.NewPCG(seed, 0)), retry.WithJitter(jitter),
		retry.WithBackoff(retry.BackoffFunc(func(int) time.Duration { return time.Duration(delay) })),
		retry.WithOnRetry(func(_ context.Context, ev retry.Event) { announced = ev.Wait }))
	if err != nil || calls != 2 || len(clock.waits) != 1 {
		t.Fatalf("got %v after %d calls and waits %v, want one retry", err, calls, clock.waits)
	}
	wait := clock.waits[0]
	if wait < saturating(low, pushback) || wait > saturating(high, pushback) {
		t.Errorf("slept %d, want a wait in [%d, %d] and %d asked for on top", wait, low, high, pushback)
	}
	if announced != wait {
		t.Errorf("slept %d, announced %d", wait, announced)
	}
}

// A waitClock stands still and records the waits.
type waitClock struct{ waits []time.Duration }

func (c *waitClock) Now() time.Time { return scenarioStart }

func (c *waitClock) Sleep(_ context.Context, d time.Duration) error {
	c.waits = append(c.waits, d)
	return nil
}

func TestWaitOfAnySize(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	size := func() int64 { return int64(r.Uint64()) >> r.IntN(64) }
	for range 5_000 {
		checkWait(t, size(), size(), size(), size(), byte(r.Uint32()), r.Uint64())
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	now := scenarioStart.Unix()
	for _, value := range retryAfterValues {
		f.Add(value, now, int64(0))
	}
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT", int64(-62135596800), int64(1))          // year 1
	f.Add("Saturday, 01-Jan-77 00:00:00 GMT", now+30*366*86400, int64(999_999_999)) // of 2077
	f.Add("Monday, 29-Feb-00 12:00:00 GMT", int64(2840140800), int64(0))            // of 2100, in 2060
	f.Add("Sunday, 28-Feb-00 23:59:60 GMT", int64(2840140800), int64(0))            // of 2100, in 2060
	f.Add("Friday, 31-Dec-99 23:59:60 GMT", int64(2524607999), int64(0))            // a second before 2050
	f.Add("Thursday, 01-Mar-74 00:00:00 GMT", int64(1709164800), int64(0))          // from 29 Feb 2024
	f.Add("Fri, 31 Dec 9999 23:59:60 GMT", int64(-62135596800), int64(0))           // further than a Duration
	f.Fuzz(checkRetryAfter)
}

var retryAfterValues = []string{
	"", "0", "00", "120", "-1", "+1", "1.5", " 1", "1 ", "0x1", "1e3", "\u0661", "1\n",
	"9223372036", "9223372037", "99999999999999999999", "18446744073709551617", "00000000000000000000000000001",
	"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994",
	"Mon, 23 Nov 2026 12:00:01 GMT", "Monday, 23-Nov-26 12:00:01 GMT", "Mon Nov 23 12:00:01 2026",
	"Mon, 23 Nov 2026 12:00:00 GMT", "Mon, 23 Nov 2026 11:59:59 GMT",
	"Tue, 23 Nov 2027 12:00:01 GMT", "Mon, 23 Nov 2027 12:00:01 GMT", // the first is its day
	"Thu, 31 Dec 2026 23:59:60 GMT", "Thu Dec 31 23:59:60 2026", "Thursday, 31-Dec-26 23:59:60 GMT",
	"Thu, 31 Dec 2026 23:59:61 GMT", "Thu, 31 Dec 2026 22:59:60 GMT", "Thu, 31 Dec 2026 24:00:00 GMT",
	"Tue, 29 Feb 2028 00:00:00 GMT", "Wed, 29 Feb 2029 00:00:00 GMT", "Fri, 31 Apr 2027 00:00:00 GMT", "Fri, 00 Apr 2027 00:00:00 GMT",
	"Monday, 23-Nov-76 12:00:00 GMT", "Monday, 23-Nov-76 12:00:01 GMT", "Thursday, 01-Jan-70 00:00:00 GMT",
	"mon, 23 nov 2026 12:00:01 gmt", "Mon, 23 Nov 2026 12:00:01 UTC", "Mon, 23 Nov 2026 12:00:01 +0000", "Mon, 23 Nov 2026 12:00:01",
	"Mon, 3 Dec 2026 12:00:01 GMT", "Monday, 23 Nov 2026 12:00:01 GMT", "Mon, 23-Nov-26 12:00:01 GMT", "Mon,23 Nov 2026 12:00:01 GMT",
	"Mon, 23 Nov 2026 12:00:01.5 GMT", "Mon, 23 Nov 2026 12:00:01,5 GMT", "Mon, 23 Nov 2026 2:00:01 GMT", "Mon, 23 Nov 02026 12:00:01 GMT",
	"Sat, 01 Jan 0000 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:60 GMT",
	"Mon, 23 Nov 2026 12:00:01 GMT, Mon, 23 Nov 2026 12:00:01 GMT", "Thu, 31 Dec 2026 23:59:60 23:59:60 GMT",
}

func TestParseRetryAfterAgainstRFC(t *testing.T) {
	for _, value := range retryAfterValues {
		checkRetryAfter(t, value, scenarioStart.Unix(), 0)
	}
	// Numbers in the places of well formed dates, most of them valid.
	r := rand.New(rand.NewPCG(9, 10))
	days := []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}
	for range 20_000 {
		day, dayL := days[r.IntN(7)], []string{"Sunday", "Monday", "Wednesday"}[r.IntN(3)]
		month := strings.Split(monthNames, "|")[r.IntN(12)]
		tod := fmt.Sprintf("%02d:%02d:%02d", r.IntN(25), r.IntN(61), r.IntN(61))
		if r.IntN(3) == 0 {
			tod = "23:59:60"
		}
		dom, year := 1+r.IntN(31), r.IntN(10_000)
		now := time.Date(1900+r.IntN(300), time.Month(1+r.IntN(12)), 1+r.IntN(31), r.IntN(24), 0, 0, 0, time.UTC)
		checkRetryAfter(t, []string{
			fmt.Sprintf("%s, %02d %s %04d %s GMT", day, dom, month, year, tod),
			fmt.Sprintf("%s, %02d-%s-%02d %s GMT", dayL, dom, month, year%100, tod),
			fmt.Sprintf("%s %s %2d %s %04d", day, month, dom, tod, year),
			fmt.Sprintf("%s %s %02d %s %04d", day, month, dom, tod, year),
		}[r.IntN(4)], now.Unix(), int64(r.IntN(1e9)))
	}
}

func checkRetryAfter(t *testing.T, value string, sec, nsec int64) {
	now := time.Unix(sec%1e12, nsec%1e9)
	want, wantOK := readRetryAfter(value, now)
	got, ok := retry.ParseRetryAfter(value, now)
	if got != want || ok != wantOK {
		t.Fatalf("ParseRetryAfter(%q) at %v = %v, %v, want %v, %v", value, now.UTC(), got, ok, want, wantOK)
	}
}

const (
	monthNames = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
	timeOfDay  = `(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)`
)

// The forms of RFC 9110, sections 10.2.3 and 5.6.7, rule by rule.
var (
	delaySeconds = regexp.MustCompile(`^\d+\z`)
	imfFixdate   = regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) (?P<month>` + monthNames + `) (?P<year>\d{4}) ` + timeOfDay + ` GMT\z`)
	rfc850Date   = regexp.MustCompile(`^(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-(?P<month>` + monthNames + `)-(?P<year>\d\d) ` + timeOfDay + ` GMT\z`)
	asctimeDate  = regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>` + monthNames + `) (?P<day>\d\d| \d) ` + timeOfDay + ` (?P<year>\d{4})\z`)
)

// readRetryAfter reads value by the grammar, and counts seconds itself.
func readRetryAfter(value string, now time.Time) (time.Duration, bool) {
	if delaySeconds.MatchString(value) {
		seconds, _ := new(big.Int).SetString(value, 10)
		return saturatingNanoseconds(seconds, 0), true
	}
	for _, form := range []*regexp.Regexp{imfFixdate, rfc850Date, asctimeDate} {
		match := form.FindStringSubmatch(value)
		if match == nil {
			continue
		}
		field := func(name string) int {
			n, _ := strconv.Atoi(strings.TrimSpace(match[form.SubexpIndex(name)]))
			return n
		}
		month := 1 + strings.Index(monthNames, match[form.SubexpIndex("month")])/4
		year, day := field("year"), field("day")
		hour, minute, second := field("hour"), field("minute"), field("second")
		leapSecond := hour == 23 && minute == 59 && second == 60
		if hour > 23 || minute > 59 || second > 59 && !leapSecond {
			return 0, false
		}
		if form == rfc850Date {
			// The last year of those digits in which the date is not more than 50
			// years ahead.
			u := now.UTC()
			horizon := secondsSince0(u.Year()+50, int(u.Month()), u.Day(), u.Hour(), u.Minute(), u.Second())
			for year += (u.Year()/100 + 2) * 100; ; year -= 100 {
				if secondsSince0(year, month, day, hour, minute, second) <= horizon {
					break
				}
			}
		}
		if day < 1 || day > daysIn(year, month) {
			return 0, false
		}
		at := secondsSince0(year, month, day, hour, minute, second)
		wait := new(big.Int).Sub(big.NewInt(at), big.NewInt(secondsSince0(1970, 1, 1, 0, 0, 0)+now.Unix()))
		return max(saturatingNanoseconds(wait, now.Nanosecond()), 0), true
	}
	return 0, false
}

// saturatingNanoseconds returns seconds less nanoseconds, as a Duration.
func saturatingNanoseconds(seconds *big.Int, less int) time.Duration {
	ns := new(big.Int).Mul(seconds, big.NewInt(1e9))
	ns.Sub(ns, big.NewInt(int64(less)))
	switch {
	case ns.IsInt64():
		return time.Duration(ns.Int64())
	case ns.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func isLeapYear(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int) int {
	if month == 2 && isLeapYear(year) {
		return 29
	}
	return []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// secondsSince0 counts from the first of January of the year 0, without leap
// seconds, as Unix time does; one is the first second of the next day.
func secondsSince0(year, month, day, hour, minute, second int) int64 {
	floor := func(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }
	before := year - 1
	days := year*365 + floor(before, 4) - floor(before, 100) + floor(before, 400) + 1 // the year 0 is a leap year
	for m := 1; m < month; m++ {
		days += daysIn(year, m)
	}
	days += day - 1
	return ((int64(days)*24+int64(hour))*60+int64(minute))*60 + int64(second)
}

func FuzzErrorTree(f *testing.F) {
	addRandom(f)
	f.Fuzz(checkErrorTree)
}

// addRandom seeds a target that reads its choices from bytes.
func addRandom(f *testing.F) {
	random := rand.NewChaCha8([32]byte{2})
	for n := range 40 {
		data := make([]byte, 10*n)
		_, _ = random.Read(data)
		f.Add(data)
	}
}

func TestErrorTreeAgainstModel(t *testing.T) {
	random := rand.NewChaCha8([32]byte{3})
	for range 5_000 {
		data := make([]byte, 200)
		_, _ = random.Read(data)
		checkErrorTree(t, data)
	}
}

// checkErrorTree builds the error of a Do: fn's last error is any tree, and so is
// the Reason, which comes from the Clock.
func checkErrorTree(t *testing.T, data []byte) {
	d := &dice{data}
	last, reason := d.tree(5), d.tree(4)
	calls := 0
	err := retry.Do(t.Context(), func(context.Context) error { calls++; return last.err },
		retry.WithClock(failingClock{reason.err}),
		retry.WithRetryIf(func(error) bool { return true }))
	e, ok := err.(*retry.Error)
	if !ok {
		t.Fatalf("error is a %T, not a *retry.Error", err)
	}
	if last.permanent() {
		reason = &tree{err: retry.ErrNotRetryable, gaveUp: true}
	}
	root := &tree{err: err, kids: []*tree{last.bare(), reason}, inner: true}
	if !same(e.Err, last.bare().err) || !same(errors.Unwrap(err), last.bare().err) {
		t.Errorf("Err is %#v and Unwrap gives %#v, want %#v", e.Err, errors.Unwrap(err), last.bare().err)
	}
	if !same(e.Reason, reason.err) {
		t.Errorf("Reason is %#v, want %#v", e.Reason, reason.err)
	}
	_ = err.Error()

	nodes := root.all()
	targets := []error{nil, boxError{[]int{0}}, boxError{[]int{1}}, boxError{0}, sliceError{"a", "b"}, &leafError{"stranger"}}
	targets = slices.Concat(targets, leafErrors, verdicts)
	for _, node := range nodes {
		targets = append(targets, node.err)
	}
	for _, target := range targets {
		want := root.is(target)
		// Where fn's own error and target cannot be compared, errors.Is panics on
		// the way; the library must not add a panic of its own.
		if panics(func() { errors.Is(e.Err, target) }) {
			continue
		}
		if got := errors.Is(err, target); got != want {
			t.Errorf("errors.Is(err, %#v) is %v, want %v, for %s", target, got, want, root)
		}
		if got := retry.Is(&leafError{"stranger"}, target)(err); got != want {
			t.Errorf("retry.Is(%#v)(err) is %v, want %v, for %s", target, got, want, root)
		}
	}
	// What the library made must not panic when it is compared to itself.
	for _, node := range nodes {
		for _, other := range nodes {
			if node.byLibrary() {
				_ = node.err == other.err
			}
		}
	}
	checkAs[*retry.Error](t, root)
	checkAs[*leafError](t, root)
	checkAs[*askingError](t, root)
	checkAs[*claimingError](t, root)
	checkAs[yieldingError](t, root)
	checkAs[sliceError](t, root)
	checkAs[boxError](t, root)
	checkAs[interface {
		error
		RetryAfter() time.Duration
	}](t, root)
}

func checkAs[E error](t *testing.T, root *tree) {
	want, wantOK := find[E](root)
	var as E
	asOK := errors.As(root.err, &as)
	asType, asTypeOK := errors.AsType[E](root.err)
	if asOK != wantOK || wantOK && !same(as, want) {
		t.Errorf("errors.As gives a %T %v, %v, want %v, %v, for %s", as, as, asOK, want, wantOK, root)
	}
	if asTypeOK != wantOK || wantOK && !same(asType, want) {
		t.Errorf("errors.AsType[%T] gives %v, %v, want %v, %v, for %s", as, asType, asTypeOK, want, wantOK, root)
	}
	if got := retry.As[E]()(root.err); got != wantOK {
		t.Errorf("retry.As[%T] says %v, want %v, for %s", as, got, wantOK, root)
	}
}

// A failingClock fails with err.
type failingClock struct{ err error }

func (c failingClock) Now() time.Time                             { return scenarioStart }
func (c failingClock) Sleep(context.Context, time.Duration) error { return c.err }

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return
}

func FuzzDo(f *testing.F) {
	addRandom(f)
	f.Fuzz(func(t *testing.T, data []byte) { compareWithModel(t, data) })
}

package retry_test

import (
	"math"
	"math/big"
	"net/http"
	"regexp"
	"testing"
	"time"

	"example.com/retry"
)

// FuzzParseRetryAfter compares dates with http.ParseTime, and seconds with exact
// arithmetic.
func FuzzParseRetryAfter(f *testing.F) {
	now := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC).Unix()
	for _, value := range []string{
		"", "0", "00", "120", "-1", "+1", "1.5", " 1", "1 ", "0x1", "1e3", "\u0661", "1\n",
		"9223372036", "9223372037", "99999999999999999999", "18446744073709551617", "99999999999999999999A", "00000000000000000000000000001",
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Mon, 23 Nov 2026 12:00:01 GMT", "Monday, 23-Nov-26 12:00:01 GMT", "Mon Nov 23 12:00:01 2026",
		"Mon, 23 Nov 2026 12:00:00 GMT", "Mon, 23 Nov 2026 11:59:59 GMT", "Tue, 23 Nov 2026 12:00:01 GMT",
		"Thu, 31 Dec 2026 23:59:60 GMT", "Wed, 29 Feb 2028 00:00:00 GMT", "Wed, 29 Feb 2029 00:00:00 GMT",
		"Monday, 23-Nov-76 12:00:01 GMT", "Thursday, 01-Jan-70 00:00:00 GMT", "Monday, 23-Nov-26 12:00:01 CET",
		"mon, 23 nov 2026 12:00:01 gmt", "Mon, 23 Nov 2026 12:00:01 UTC", "Mon, 23 Nov 2026 12:00:01 +0000",
		"Mon, 23 Nov 2026 12:00:01.5 GMT", "Mon, 23 Nov 2026 2:00:01 GMT", "Mon, 3 Dec 2026 12:00:01 GMT",
		"Sat, 01 Jan 0000 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 23 Nov 2026 12:00:01 GMT ",
		"1s", "1_000", "Thu, 01 Jan 1970 00:00:00 GMT", "Sun Dec  6 12:00:01 2026",
		"Sun Dec 06 12:00:01 2026", "Sun Dec 6 12:00:01 2026", "Monday, 01-Jun-69 12:00:00 GMT",
		"Monday, 23-Nov-68 12:00:01 GMT", "Mon,  23 Nov 2026 12:00:01 GMT",
		"Mon, 23 Nov 2026 12:00:01", "Mon, 23 Nov 2026 12:00:01 gmt",
		"Foo, 23 Nov 2026 12:00:01 GMT", "Mon 23 Nov 2026 12:00:01 GMT",
		"Mon, 32 Nov 2026 12:00:01 GMT", "Mon, 23 Nov 26 12:00:01 GMT",
		"Monday, 23-Nov-2026 12:00:01 GMT", "Mon Nov 23 12:00:01 2026 GMT",
		" Mon, 23 Nov 2026 12:00:01 GMT", "mon, 23 nov 2026 12:00:01 GMT", "Mon,", "tomorrow",
	} {
		f.Add(value, now, int64(0))
		f.Add(value, now, int64(999_999_999))
	}
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", int64(-62135596800), int64(0)) // more than a Duration can hold
	digits := regexp.MustCompile(`^[0-9]+$`)
	f.Fuzz(func(t *testing.T, value string, sec, nsec int64) {
		now := time.Unix(sec%1e12, nsec%1e9)
		var want time.Duration
		at, err := http.ParseTime(value)
		if err == nil {
			want = max(at.Sub(now), 0)
		}
		if digits.MatchString(value) {
			seconds, _ := new(big.Int).SetString(value, 10)
			err, want = nil, math.MaxInt64
			if ns := seconds.Mul(seconds, big.NewInt(1e9)); ns.IsInt64() {
				want = time.Duration(ns.Int64())
			}
		}
		if got, ok := retry.ParseRetryAfter(value, now); got != want || ok != (err == nil) {
			t.Errorf("ParseRetryAfter(%q, %v) = %v, %t, want %v, %t", value, now.UTC(), got, ok, want, err == nil)
		}
	})
}

package retry_test

import (
	"math"
	"testing"
	"time"

	"example.com/retry"
)

// ParseRetryAfter takes seconds and the date forms that net/http.ParseTime accepts, to
// the letter. Any other value is not ok, including one with surrounding spaces.
func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 500_000_000, time.FixedZone("", 3600)) // 11:00:00.5 GMT
	const half, day = 500 * time.Millisecond, 24 * time.Hour
	for _, test := range []struct {
		value string
		want  time.Duration
	}{
		// Seconds, which saturate.
		{"0", 0},
		{"1", time.Second},
		{"120", 2 * time.Minute},
		{"007", 7 * time.Second},
		{"9223372036", 9223372036 * time.Second},
		{"9223372037", math.MaxInt64},
		{"18446744073709551617", math.MaxInt64},
		{"99999999999999999999999999", math.MaxInt64},
		{"00000000000000000000000000000001", time.Second},
		// The three forms of a date. A past one is 0.
		{"Mon, 23 Nov 2026 11:00:01 GMT", half},
		{"Mon, 23 Nov 2026 11:00:00 GMT", 0},
		{"Mon, 23 Nov 2026 12:00:01 GMT", time.Hour + half},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64},
		{"Monday, 23-Nov-26 11:00:01 GMT", half},
		{"Mon Nov 23 11:00:01 2026", half},
		{"Sun Dec  6 11:00:01 2026", 13*day + half},
		{"Sun Dec 06 11:00:01 2026", 13*day + half},
		// A year of two digits is that of package time, from 1969 to 2068.
		{"Monday, 01-Jun-69 12:00:00 GMT", 0},
		{"Monday, 23-Nov-68 11:00:01 GMT", 15341*day + half},
		// What net/http.ParseTime accepts, too: a day of the week that is wrong, other
		// cases, extra spaces, fractions, and numbers without a leading zero.
		{"Sun, 23 Nov 2026 11:00:01 GMT", half},
		{"mon, 23 nov 2026 11:00:01 GMT", half},
		{"Mon,  23 Nov 2026 11:00:01 GMT", half},
		{"Mon, 23 Nov 2026 11:00:01.5 GMT", half + half},
		{"Sun Dec 6 11:00:01 2026", 13*day + half},
	} {
		t.Run(test.value, func(t *testing.T) {
			if got, ok := retry.ParseRetryAfter(test.value, now); got != test.want || !ok {
				t.Errorf("ParseRetryAfter() = %v, %v, want %v, true", got, ok, test.want)
			}
		})
	}
	for _, value := range []string{ // "١" is a digit, but not of ASCII; second 60 is a leap second
		"", "-1", "+1", "1.5", " 1", "1 ", "1s", "0x10", "1_000", "١", "Mon, 23 Nov 2026 23:59:60 GMT",
		"Mon, 23 Nov 2026 11:00:01", "Mon, 23 Nov 2026 11:00:01 UTC", "Mon, 23 Nov 2026 11:00:01 gmt",
		"Mon, 23 Nov 2026 11:00:01 +0000", "Foo, 23 Nov 2026 11:00:01 GMT", "Mon 23 Nov 2026 11:00:01 GMT",
		"Sun, 6 Dec 2026 11:00:01 GMT", "Mon, 32 Nov 2026 11:00:01 GMT", "Mon, 23 Nov 26 11:00:01 GMT",
		"Monday, 23-Nov-2026 11:00:01 GMT", "Mon Nov 23 11:00:01 2026 GMT", " Mon, 23 Nov 2026 11:00:01 GMT",
		"Mon, 23 Nov 2026 11:00:01 GMT ", "Mon,", "tomorrow",
	} {
		t.Run(value, func(t *testing.T) {
			if got, ok := retry.ParseRetryAfter(value, now); got != 0 || ok {
				t.Errorf("ParseRetryAfter() = %v, %v, want 0s, false", got, ok)
			}
		})
	}
}

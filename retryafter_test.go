package retry_test

import (
	"math"
	"testing"
	"time"

	"example.com/retry"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 500_000_000, time.FixedZone("", 3600)) // 11:00:00.5 GMT
	const half, day = 500 * time.Millisecond, 24 * time.Hour
	for _, test := range []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		// Seconds.
		{"0", 0, true},
		{"1", time.Second, true},
		{"120", 2 * time.Minute, true},
		{"007", 7 * time.Second, true},
		{"9223372036", 9223372036 * time.Second, true},
		{"9223372037", math.MaxInt64, true},
		{"99999999999999999999", math.MaxInt64, true},
		{"00000000000000000000000000000001", time.Second, true},
		{"", 0, false},
		{"-1", 0, false},
		{"+1", 0, false},
		{"1.5", 0, false},
		{" 1", 0, false},
		{"1 ", 0, false},
		{"1s", 0, false},
		{"0x10", 0, false},
		{"1_000", 0, false},
		{"١", 0, false}, // a digit, but not of ASCII
		// The three forms of a date.
		{"Mon, 23 Nov 2026 11:00:01 GMT", half, true},
		{"Mon, 23 Nov 2026 11:00:00 GMT", 0, true},
		{"Mon, 23 Nov 2026 12:00:01 GMT", time.Hour + half, true},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64, true},
		{"Monday, 23-Nov-26 11:00:01 GMT", half, true},
		{"Mon Nov 23 11:00:01 2026", half, true},
		{"Sun Dec  6 11:00:01 2026", 13*day + half, true},
		{"Sun Dec 06 11:00:01 2026", 13*day + half, true},
		// A leap second.
		{"Mon, 23 Nov 2026 23:59:60 GMT", 13*time.Hour - half, true},
		{"Mon, 23 Nov 2026 11:00:60 GMT", 0, false},
		// The name of the day is not held against it.
		{"Sun, 23 Nov 2026 11:00:01 GMT", half, true},
		{"Wednesday, 23-Nov-26 11:00:01 GMT", half, true},
		{"Sat Nov 23 11:00:01 2026", half, true},
		// Not quite.
		{"Mon, 23 Nov 2026 11:00:01", 0, false},
		{"Mon, 23 Nov 2026 11:00:01 UTC", 0, false},
		{"Mon, 23 Nov 2026 11:00:01 gmt", 0, false},
		{"Mon, 23 Nov 2026 11:00:01 +0000", 0, false},
		{"Mon, 23 Nov 2026 11:00:01.5 GMT", 0, false},
		{"Mon, 23 nov 2026 11:00:01 GMT", 0, false},
		{"mon, 23 Nov 2026 11:00:01 GMT", 0, false},
		{"Foo, 23 Nov 2026 11:00:01 GMT", 0, false},
		{"Mon 23 Nov 2026 11:00:01 GMT", 0, false},
		{"Mon,  23 Nov 2026 11:00:01 GMT", 0, false},
		{"Sun, 6 Dec 2026 11:00:01 GMT", 0, false},
		{"Mon, 23 Nov 2026 1:00:01 GMT", 0, false},
		{"Mon, 32 Nov 2026 11:00:01 GMT", 0, false},
		{"Mon, 23 Nov 26 11:00:01 GMT", 0, false},
		{"Monday, 23-Nov-2026 11:00:01 GMT", 0, false},
		{"Mon, 23-Nov-26 11:00:01 GMT", 0, false},
		{"Sun Dec 6 11:00:01 2026", 0, false},
		{"Mon Nov 23 11:00:01 2026 GMT", 0, false},
		{" Mon, 23 Nov 2026 11:00:01 GMT", 0, false},
		{"Mon, 23 Nov 2026 11:00:01 GMT ", 0, false},
		{"Mon,", 0, false},
		{"tomorrow", 0, false},
	} {
		got, ok := retry.ParseRetryAfter(test.value, now)
		if got != test.want || ok != test.ok {
			t.Errorf("ParseRetryAfter(%q) = %v, %v, want %v, %v", test.value, got, ok, test.want, test.ok)
		}
	}
}

func TestParseRetryAfterTwoDigitYears(t *testing.T) {
	at := func(year int) time.Time { return time.Date(year, 6, 1, 12, 0, 0, 0, time.UTC) }
	for _, test := range []struct {
		value string
		now   time.Time
		year  int // 0: in the past
	}{
		{"Monday, 01-Jun-26 12:00:01 GMT", at(2026), 2026},
		{"Monday, 01-Jun-27 12:00:00 GMT", at(2026), 2027},
		{"Monday, 01-Jun-76 12:00:00 GMT", at(2026), 2076}, // 50 years ahead, and not more
		{"Monday, 01-Jun-76 12:00:01 GMT", at(2026), 0},
		{"Monday, 01-Jun-77 12:00:00 GMT", at(2026), 0},
		{"Monday, 01-Jun-25 12:00:00 GMT", at(2026), 0},
		{"Monday, 01-Jun-05 12:00:00 GMT", at(2098), 2105}, // into the next century
		{"Monday, 01-Jun-98 12:00:01 GMT", at(2098), 2098},
		{"Monday, 01-Jun-69 12:00:00 GMT", at(1960), 1969}, // and into an earlier one
		{"Monday, 01-Jun-94 12:00:00 GMT", time.Time{}, 0},
		{"Monday, 01-Jun-76 23:59:60 GMT", time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC), 2076}, // a leap second, 50 years ahead
		{"Monday, 01-Jun-76 23:59:60 GMT", time.Date(2026, 6, 1, 23, 59, 59, 0, time.UTC), 0},
	} {
		got, ok := retry.ParseRetryAfter(test.value, test.now)
		if !ok {
			t.Errorf("%q in %d: not ok", test.value, test.now.Year())
		}
		if test.year == 0 {
			if got != 0 {
				t.Errorf("%q in %d: got %v, want the past", test.value, test.now.Year(), got)
			}
			continue
		}
		if then := test.now.Add(got); then.Year() != test.year || then.Month() != time.June {
			t.Errorf("%q in %d: got %v, want year %d", test.value, test.now.Year(), then, test.year)
		}
	}
	// The year is that of GMT, wherever now is.
	newYear := time.Date(2026, 12, 31, 20, 0, 0, 0, time.FixedZone("", -5*3600)) // 01:00 GMT
	if got, ok := retry.ParseRetryAfter("Friday, 01-Jan-77 00:30:00 GMT", newYear); !ok || got == 0 {
		t.Errorf("1 January 2077 is %v, %v ahead of 2027", got, ok)
	}
	// 2100 has no 29 February.
	if got, ok := retry.ParseRetryAfter("Monday, 29-Feb-00 12:00:00 GMT", at(2060)); ok {
		t.Errorf("29 February 2100 is %v ahead", got)
	}
	if _, ok := retry.ParseRetryAfter("Tuesday, 29-Feb-00 12:00:00 GMT", at(2026)); !ok {
		t.Error("29 February 2000 is not ok")
	}
}

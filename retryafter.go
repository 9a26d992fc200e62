package retry

import (
	"math"
	"strings"
	"time"
)

// ParseRetryAfter reads the value of a Retry-After header field as RFC 9110
// §10.2.3 defines it, for [After]: how long to wait from now on, never negative.
//
// The value is a number of seconds, one or more digits, that saturates at the
// largest Duration; or an HTTP date (§5.6.7) in one of its three forms, in GMT: a
// date not after now gives 0, and a year of two digits that would lie more than
// 50 years ahead is taken for one in the past. The name of the day is not held
// against the date. Anything else, spaces around the value too, is not ok, with 0.
func ParseRetryAfter(value string, now time.Time) (d time.Duration, ok bool) {
	if value != "" && strings.Trim(value, "0123456789") == "" {
		return parseSeconds(value), true
	}
	// A leap second is well formed, but not for time.Parse.
	var leap time.Duration
	if before, after, found := strings.Cut(value, "23:59:60"); found {
		value, leap = before+"23:59:59"+after, time.Second
	}
	at, ok := parseHTTPDate(value, now.UTC().AddDate(50, 0, 0).Add(-leap))
	if !ok {
		return 0, false
	}
	return max(at.Add(leap).Sub(now), 0), true
}

// parseSeconds returns what one or more digits say, at most the largest Duration.
func parseSeconds(digits string) time.Duration {
	var seconds time.Duration
	for _, digit := range digits {
		seconds = seconds*10 + time.Duration(digit-'0')
		if seconds > math.MaxInt64/time.Second {
			return math.MaxInt64
		}
	}
	return seconds * time.Second
}

// parseHTTPDate reads the three forms of a date. A year of two digits is the last
// that is not beyond horizon.
func parseHTTPDate(value string, horizon time.Time) (time.Time, bool) {
	name, rest, _ := strings.Cut(value, " ")
	for day := time.Sunday; day <= time.Saturday; day++ {
		long, short := day.String(), day.String()[:3]
		switch name {
		case short + ",":
			return parseExactly("02 Jan 2006 15:04:05 GMT", rest)
		case long + ",":
			t, ok := parseExactly("02-Jan-06 15:04:05 GMT", rest)
			if !ok {
				return t, false
			}
			return latestCentury(t, horizon)
		case short:
			if t, ok := parseExactly("Jan _2 15:04:05 2006", rest); ok {
				return t, true
			}
			return parseExactly("Jan 02 15:04:05 2006", rest)
		}
	}
	return time.Time{}, false
}

// parseExactly is time.Parse without its leniency on case, width and fractions
// of a second.
func parseExactly(layout, value string) (time.Time, bool) {
	t, err := time.Parse(layout, value)
	return t, err == nil && t.Format(layout) == value
}

// latestCentury moves t to the last year with the same two digits in which it is
// not beyond horizon. It is not ok if that year has no such day.
func latestCentury(t, horizon time.Time) (time.Time, bool) {
	years := (horizon.Year()-t.Year()%100)/100*100 + t.Year()%100 - t.Year()
	moved := t.AddDate(years, 0, 0)
	if moved.After(horizon) {
		moved = t.AddDate(years-100, 0, 0)
	}
	return moved, moved.Day() == t.Day()
}

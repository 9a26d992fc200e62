package retry

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseRetryAfter parses the value of a Retry-After header field (RFC 9110 §10.2.3) and
// returns the delay that it asks for, counted from now. Pass the delay to [After].
//
// The value is either a decimal number of seconds or an HTTP date in one of the three
// formats that net/http.ParseTime accepts. If the number of seconds exceeds the maximum
// Duration, d is the maximum Duration. If the date is not after now, d is 0. For any
// other value, including one with surrounding spaces, ok is false.
func ParseRetryAfter(value string, now time.Time) (d time.Duration, ok bool) {
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseUint(value, 10, 64)
		if err != nil || seconds > uint64(math.MaxInt64/time.Second) { // too long for a Duration
			return math.MaxInt64, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if t, err := time.Parse(layout, value); err == nil {
			return max(t.Sub(now), 0), true
		}
	}
	return 0, false
}

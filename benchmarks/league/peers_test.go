package league

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// waits makes calls that fail with err, each with a new client, and returns the waits,
// grouped by the attempt before the wait.
func waits(t *testing.T, l *library, p policy, calls int, err error) [][]time.Duration {
	waits := make([][]time.Duration, p.attempts-1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		for range calls {
			w.tick()
			n, last := 0, time.Time{}
			l.make(p)(t.Context(), func(context.Context) error {
				if 0 < n && n < p.attempts {
					waits[n-1] = append(waits[n-1], time.Since(last))
				}
				n++
				last = time.Now()
				return err
			})
			if n != p.attempts {
				t.Fatalf("%d attempts, want %d", n, p.attempts)
			}
		}
	})
	return waits
}

// experts runs f for each expert form.
func experts(t *testing.T, f func(t *testing.T, l *library)) {
	for i := range libraries {
		if l := &libraries[i]; strings.HasPrefix(l.form, expert) {
			t.Run(l.title(), func(t *testing.T) { f(t, l) })
		}
	}
}

// capped is a policy whose cap limits the last two waits.
var capped = policy{attempts: 6, base: 100 * time.Millisecond, max: 600 * time.Millisecond}

var cappedCeilings = []time.Duration{100e6, 200e6, 400e6, 600e6, 600e6}

// Each expert form makes the attempts of the policy, with waits that are uniform up to
// its ceilings.
func TestExpertsFullJitter(t *testing.T) {
	const calls = 400
	experts(t, func(t *testing.T, l *library) {
		for i, drawn := range waits(t, l, capped, calls, errDown) {
			ceiling := float64(cappedCeilings[i])
			least, most, sum := math.Inf(1), 0.0, 0.0
			for _, d := range drawn {
				least, most, sum = min(least, float64(d)), max(most, float64(d)), sum+float64(d)
			}
			// The probability that none of 400 draws is in the first twentieth, or that none
			// is in the last, is less than 10^-8.
			if least > ceiling/20 || most < ceiling*19/20 || most > ceiling+1 {
				t.Errorf("waits after attempt %d are in [%v, %v], want [0, %v]", i+1, time.Duration(least), time.Duration(most), cappedCeilings[i])
			}
			sigma := ceiling / math.Sqrt(12*calls)
			if mean := sum / calls; math.Abs(mean-ceiling/2) > 5*sigma {
				t.Errorf("mean wait after attempt %d = %v, want %v", i+1, time.Duration(mean), cappedCeilings[i]/2)
			}
		}
	})
}

func TestExpertsWithoutJitter(t *testing.T) {
	p := capped
	p.noJitter = true
	experts(t, func(t *testing.T, l *library) {
		for i, drawn := range waits(t, l, p, 1, errDown) {
			if drawn[0] != cappedCeilings[i] {
				t.Errorf("wait after attempt %d = %v, want %v", i+1, drawn[0], cappedCeilings[i])
			}
		}
	})
}

// Each expert form limits an attempt.
func TestExpertsLimit(t *testing.T) {
	p := capped
	p.attempts, p.limit = 2, time.Second
	experts(t, func(t *testing.T, l *library) {
		synctest.Test(t, func(t *testing.T) {
			err := l.make(p)(t.Context(), func(ctx context.Context) error {
				begun := time.Now()
				<-ctx.Done()
				if took := time.Since(begun); took != p.limit {
					t.Errorf("an attempt took %v, want %v", took, p.limit)
				}
				return errTimeout
			})
			if err == nil {
				t.Error("call succeeded, want an error")
			}
		})
	})
}

// Each expert form except eapache waits as long as the server asks, even beyond the cap.
// The waits of eapache are a fixed list.
func TestExpertsRetryAfter(t *testing.T) {
	const asked = 5 * time.Second
	experts(t, func(t *testing.T, l *library) {
		least := time.Duration(math.MaxInt64)
		for _, drawn := range waits(t, l, capped, 20, &fault{text: "too many requests", after: asked}) {
			least = min(least, slices.Min(drawn))
		}
		if obeys := least >= asked; obeys == (l.name == "eapache") {
			t.Errorf("shortest wait = %v where the server asks for %v", least, asked)
		}
	})
}

package league

import (
	"math"
	"testing"
)

// TestClaims checks the claims in the text of RESULTS.md, with small runs.
func TestClaims(t *testing.T) {
	got := func(scenario, title string, column int) float64 {
		t.Helper()
		for i := range scenarios {
			if s := &scenarios[i]; s.name == scenario {
				for j := range libraries {
					if l := &libraries[j]; l.title() == title && s.takesPart(l) {
						return play(t, s, l, 1, false)[column]
					}
				}
			}
		}
		t.Fatalf("no row %q in %q", title, scenario)
		return 0
	}
	for _, c := range []struct {
		scenario string
		column   int
		title    string
		less     string // a row with a greater value, or empty
		from, to float64
	}{
		{"contention", 1, "retry, expert", "no retries", 0, 0},
		{"contention", 0, "retry, expert", "naive loop", 1, 10},
		{"outage", 0, "retry, expert", "", 4.5, 5},
		{"outage", 0, "retry, expert, budget", "retry, expert", 1, 2},
		{"outage", 0, "retry, expert, breaker", "retry, expert, budget", 0, 1},
		{"outage", 0, "failsafe, expert, budget", "", 4.5, 5},
		{"outage", 0, "aws, README", "retry, README", 1, 2},
		{"outage", 3, "retry, expert, budget", "retry, expert, breaker", 0, 0},
		{"metastable", 1, "retry, expert", "", math.Inf(1), math.Inf(1)},
		{"metastable", 1, "retry, expert, budget", "retry, expert", 0, 10},
		{"metastable", 1, "retry, expert, breaker", "retry, expert", 0, 15},
		{"metastable", 1, "aws, README", "avast, README", 0, 15},
		{"metastable", 1, "failsafe, expert, budget", "failsafe, expert", 0, 10},
		{"brownout", 3, "retry, expert, budget", "", 0, .1},
		{"brownout", 7, "retry, expert", "retry, expert, budget", 0, 10},
		{"brownout", 7, "retry, expert, budget", "retry, expert, breaker", 20, 60},
		{"throttled", 1, "retry, expert", "eapache, expert", 0, 0},
		{"throttled", 2, "retry, expert", "avast, expert", 0, 200},
		{"throttled-deadline", 2, "retry, expert", "avast, expert", 0, 30},
		{"throttled-deadline", 2, "eapache, expert", "retry, expert", 0, 10},
		{"throttled-deadline", 4, "retry, expert", "avast, expert", 0, 12},
		{"hanging", 1, "retry, expert", "retry, README", 0, 30},
		{"hanging", 1, "retry, expert", "retry, expert, budget", 0, 30},
		{"hanging", 3, "retry, README", "avast, README", 0, 0},
		{"hanging", 4, "failsafe, expert", "retry, expert", 0, 0},
		{"layers", 0, "retry, expert", "avast, expert", 5, 5},
		{"layers", 4, "retry, expert", "aws, expert", 1, 6},
		{"canceled", 0, "retry, expert", "avast, expert", 0, 0},
		{"canceled", 0, "sethvargo, expert", "gax, expert", 0, 0},
		{"canceled", 0, "codegroove, expert", "eapache, expert", 0, 0},
		{"canceled", 3, "k8s, expert", "retry, expert", 0, 0},
		{"faults", 1, "sethvargo, expert", "retry, expert", 0, 0},
		{"faults", 3, "retry, expert", "sethvargo, expert", 0, 0},
		{"faults", 1, "retry, expert, filter", "retry, expert", 0, 0},
	} {
		t.Run(c.scenario+"/"+c.title, func(t *testing.T) {
			value := got(c.scenario, c.title, c.column)
			if value < c.from || value > c.to {
				t.Errorf("column %d = %v, want in [%v, %v]", c.column, value, c.from, c.to)
			}
			if c.less != "" {
				if other := got(c.scenario, c.less, c.column); value >= other {
					t.Errorf("column %d = %v, want less than the %v of %s", c.column, value, other, c.less)
				}
			}
		})
	}
}

package league

import "testing"

// TestClaims holds what RESULTS.md says in words, in small runs.
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
		{"contention", 1, "retry, expert", "retry, README", 0, 0},
		{"contention", 0, "retry, expert", "naive loop", 1, 10},
		{"outage", 0, "retry, expert", "", 4.5, 5},
		{"outage", 0, "retry, expert, budget", "retry, expert", 1, 2},
		{"outage", 0, "retry, expert, breaker", "retry, expert, budget", 0, 1},
		{"outage", 0, "failsafe, expert, budget", "", 4.5, 5},
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

package league

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	fullRun = flag.Bool("league", false, "run the league at full size and write RESULTS.md")
	seeds   = flag.Int("seeds", 20, "runs of each row of the league")
	chosen  = flag.String("scenarios", "", "run only these scenarios, separated by commas, and print the tables instead of writing RESULTS.md")
)

// play runs l through s once.
func play(t *testing.T, s *scenario, l *library, seed uint64, full bool) []float64 {
	var values []float64
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed)
		values = s.run(w, func(o call) call {
			if l.name == oracle {
				return o
			}
			w.tick()
			return l.make(s.policy)
		}, full)
	})
	if len(values) != len(s.columns) {
		t.Fatalf("%s: %d values, want %d", s.name, len(values), len(s.columns))
	}
	return values
}

// rows returns a row for each library that takes part in s.
func (s *scenario) rows(seeds int) []row {
	var rows []row
	for i := range libraries {
		if l := &libraries[i]; s.takesPart(l) {
			r := row{lib: l, columns: make([]sample, len(s.columns))}
			for c := range r.columns {
				r.columns[c] = make(sample, seeds)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func TestLeague(t *testing.T) {
	if !*fullRun {
		t.Skip("without -league")
	}
	begun := time.Now()
	tables := map[string][]row{}
	for i := range scenarios {
		s := &scenarios[i]
		if *chosen != "" && !strings.Contains(","+*chosen+",", ","+s.name+",") {
			continue
		}
		rows := s.rows(*seeds)
		tables[s.name] = rows
		type job struct {
			row  row
			seed int
		}
		jobs := make(chan job)
		go func() {
			for _, r := range rows {
				for seed := range *seeds {
					jobs <- job{r, seed}
				}
				fmt.Fprintf(os.Stderr, "%4.0f s  %s: %s\n", time.Since(begun).Seconds(), s.name, r.lib.title())
			}
			close(jobs)
		}()
		workers := 2
		if s.alone {
			workers = 1
		}
		t.Run(s.name, func(t *testing.T) {
			for w := range workers {
				t.Run(fmt.Sprint(w), func(t *testing.T) {
					t.Parallel()
					for j := range jobs {
						for c, v := range play(t, s, j.row.lib, uint64(j.seed)+1, true) {
							j.row.columns[c][j.seed] = v
						}
					}
				})
			}
		})
	}
	if t.Failed() {
		return
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text := report(tables, *seeds, string(mod))
	if *chosen != "" {
		os.Stdout.Write(text)
		return
	}
	if err := os.WriteFile("RESULTS.md", text, 0o644); err != nil {
		t.Fatal(err)
	}
}

package league

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"strings"
)

// A sample has one value of a column for each seed.
type sample []float64

func (s sample) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

// se returns the standard error of the mean.
func (s sample) se() float64 {
	mean, sum := s.mean(), 0.0
	for _, v := range s {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(s)-1) / float64(len(s)))
}

// String returns the mean and its standard error, or says how often a value is infinite.
func (s sample) String() string {
	never, undefined := 0, 0
	for _, v := range s {
		if math.IsInf(v, 1) {
			never++
		}
		if math.IsNaN(v) {
			undefined++
		}
	}
	switch {
	case never == len(s):
		return "never"
	case never > 0:
		return fmt.Sprintf("never in %d of %d", never, len(s))
	case undefined > 0:
		return "–"
	}
	mean, se := s.mean(), s.se()
	if se < .005 || math.IsNaN(se) {
		return short(mean, 0)
	}
	return short(mean, se) + " ±" + short(se, se)
}

// short formats v with the digits that are significant if its standard error is se.
func short(v, se float64) string {
	digits := 2
	switch {
	case v == math.Trunc(v) && se == 0, se >= 10:
		digits = 0
	case se >= 1:
		digits = 1
	}
	return fmt.Sprintf("%.*f", digits, v)
}

const preface = `The league runs the real code of several retry libraries against the same simulated
services, in testing/synctest bubbles. Each library takes part in two forms: as its README,
package comment, or examples show it, and as an expert would configure it. All expert forms
have the policy that the text above the table describes: the same number of attempts, the
same ceilings, full jitter, and the ctx of the call. Tests check that the policies are
equal. The last section describes how each form is made. The command

    go test -C benchmarks ./league -run TestLeague -v -league

writes this file in a few minutes on two cores. The seeds determine the services and the
arrivals, but not the jitter, which most libraries draw from the runtime's generator.

"Requests" counts the requests that reach the service. A call fails if it returns an error.
Rows of this package are bold.
`

// title returns the name of the row of l.
func (l *library) title() string {
	if l.form == "" {
		return l.name
	}
	return l.name + ", " + l.form
}

// takesPart reports whether s has a row for l.
func (s *scenario) takesPart(l *library) bool {
	return (l.only == "" || l.only == s.name) && !(l.guard && s.unguarded)
}

// A row of a scenario has a sample for each column.
type row struct {
	lib     *library
	columns []sample
}

func report(tables map[string][]row, seeds int, mod string) []byte {
	var b bytes.Buffer
	b.WriteString("# League: retry libraries and the services they call\n\n" + preface)
	fmt.Fprintf(&b, "\nThis run: %d seeds, %s. A value is a mean over the seeds; its standard error follows ±, unless it is below 0.005.\n", seeds, runtime.Version())
	for i := range scenarios {
		s := &scenarios[i]
		if tables[s.name] == nil {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s The oracle %s.\n\n| |", s.title, s.text, s.oracle)
		for _, c := range s.columns {
			fmt.Fprintf(&b, " %s |", c)
		}
		fmt.Fprintf(&b, "\n| --- |%s\n", strings.Repeat(" ---: |", len(s.columns)))
		for _, r := range tables[s.name] {
			name := r.lib.title()
			if r.lib.name == "retry" {
				name = "**" + name + "**"
			}
			fmt.Fprintf(&b, "| %s |", name)
			for _, c := range r.columns {
				fmt.Fprintf(&b, " %v |", c)
			}
			b.WriteString("\n")
		}
		if s.lesson != "" {
			fmt.Fprintf(&b, "\n%s\n", s.lesson)
		}
	}
	b.WriteString("\n## Forms\n\n| | module | form |\n| --- | --- | --- |\n")
	for i := range libraries {
		l := &libraries[i]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.title(), l.version(mod), l.note)
	}
	return b.Bytes()
}

// version returns the module of l and its version in mod, the text of go.mod.
func (l *library) version(mod string) string {
	if l.path == "" {
		return ""
	}
	for line := range strings.Lines(mod) {
		if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(version, "v") &&
			(l.path == path || strings.HasPrefix(l.path, path+"/")) {
			if version == "v0.0.0" {
				return path + ", this tree"
			}
			return path + " " + version
		}
	}
	return l.path
}

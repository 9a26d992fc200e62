package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// small returns the simulations of main, in the same order, with parameters that make
// them fast.
func small() []simulation {
	c := theContention
	c.clients, c.runs = []int{10, 100, 200}, 2

	o := theOutage
	o.clients = 10

	p := thePrice
	p.clients, p.warmup, p.until = 10, time.Second, 2*time.Second

	m := theMetastable
	m.rate, m.capacity, m.runs = 28, 30, 2

	tr := trigger{slices.Clone(theTrigger.cases)}
	for i := range tr.cases {
		tr.cases[i].rate /= 10
		tr.cases[i].capacity /= 10
		tr.cases[i].runs, tr.cases[i].until = 2, 130*time.Second
	}

	cr := theCrowd
	cr.runs = 2
	return []simulation{
		{"contention", c.report},
		{"outage", o.report},
		{"sizing", theSizing.report},
		{"price", p.report},
		{"metastable", m.report},
		{"trigger", tr.report},
		{"crowd", cr.report},
	}
}

// output returns everything that the command writes.
func output(t *testing.T, seed string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "dir")
	var all, stderr bytes.Buffer
	if code := herd([]string{"-seed", seed, "-svg", dir}, &all, &stderr, small()); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit code %d, stderr %q; want 0 and none", code, &stderr)
	}
	for _, s := range small() {
		svg, err := os.ReadFile(filepath.Join(dir, s.name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(svg)
	}
	return all.String()
}

func TestSeedRepeats(t *testing.T) {
	first := output(t, "7")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if output(t, "7") != first {
		t.Error("the same seed gave different output")
	}
	if output(t, "8") == first {
		t.Error("another seed gave the same output")
	}
}

func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-sed", "1"}, 2, "herd: flag provided but not defined: -sed (see -h)\n"},
		{[]string{"-seed", "x"}, 2, "herd: invalid value \"x\" for flag -seed: parse error (see -h)\n"},
		{[]string{"-seed", "-1"}, 2, "herd: invalid value \"-1\" for flag -seed: parse error (see -h)\n"},
		{[]string{"-seed"}, 2, "herd: flag needs an argument: -seed (see -h)\n"},
		{[]string{"-seed", "1", "docs"}, 2, "herd: unexpected argument \"docs\" (see -h)\n"},
		{[]string{"-h"}, 0, ""},
		{nil, 0, ""},
	} {
		var stdout, stderr bytes.Buffer
		code := herd(tt.args, &stdout, &stderr, nil)
		if code != tt.code || stderr.String() != tt.stderr {
			t.Errorf("%q: exit code %d, stderr %q; want %d, %q", tt.args, code, &stderr, tt.code, tt.stderr)
		}
		if help := len(tt.args) == 1 && tt.args[0] == "-h"; help != strings.HasPrefix(stdout.String(), "usage:") {
			t.Errorf("%q: stdout %q, want the usage: %t", tt.args, &stdout, help)
		}
	}
}

func TestOutputThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	ran := 0
	nothing := []simulation{{"nothing", func(uint64, func(float64)) report {
		ran++
		return report{tables: []table{{rows: [][]string{{"none"}}}}}
	}}}
	var stderr bytes.Buffer
	if code := herd([]string{"-svg", file}, io.Discard, &stderr, nothing); code != 1 || strings.Count(stderr.String(), "\n") != 1 || ran != 0 {
		t.Errorf("directory is a file: exit code %d, stderr %q, %d runs; want 1, one line, none", code, &stderr, ran)
	}
	stderr.Reset()
	if code := herd(nil, full{}, &stderr, nothing); code != 1 || stderr.String() != "herd: disk full\n" {
		t.Errorf("disk full: exit code %d, stderr %q; want 1 and the reason", code, &stderr)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestProgress(t *testing.T) {
	var terminal bytes.Buffer
	p := &progress{terminal: &terminal, name: "x", percent: -1}
	for _, part := range []float64{0, 0.001, 0.5, 0.4, 1} {
		p.show(part)
	}
	p.clear()
	if want := "\rx: 0%\rx: 50%\rx: 100%\r\x1b[K"; terminal.String() != want {
		t.Errorf("got %q, want %q", &terminal, want)
	}

	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p = newProgress(file, "x")
	p.show(1)
	p.clear()
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("%d bytes of progress in a file (%v), want none", info.Size(), err)
	}
}

func TestFigures(t *testing.T) {
	marked := simulation{"marked", func(uint64, func(float64)) report {
		p := panel{x: axis{"<", 0, 1, 1}, y: axis{end: 1, tick: 1}, lines: []line{{"red", []point{{0, 1}}}}}
		p.label(0, "a & b", point{0, 0})
		return report{title: `a < "b" & c`, figure: figure{panels: []panel{p}}}
	}}
	for _, s := range append(small(), marked) {
		r := s.run(1, func(float64) {})
		for _, p := range r.figure.panels {
			inside := func(at point) bool {
				return p.x.begin <= at.x && at.x <= p.x.end && p.y.begin <= at.y && at.y <= p.y.end
			}
			labeled := map[string]bool{}
			for _, l := range p.labels {
				labeled[l.color] = true
				if !inside(l.at) {
					t.Errorf("%s: %s: label %q is outside the axes", s.name, p.title, l.text)
				}
			}
			for _, l := range p.lines {
				if !labeled[l.color] {
					t.Errorf("%s: %s: the %s line has no label", s.name, p.title, l.color)
				}
				if len(l.points) == 0 {
					t.Errorf("%s: %s: the %s line has no points", s.name, p.title, l.color)
				}
				for _, at := range l.points {
					if !inside(at) {
						t.Errorf("%s: %s: %v is outside the axes", s.name, p.title, at)
					}
				}
			}
		}
		d := xml.NewDecoder(strings.NewReader(r.svg()))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
		}
	}
}

// The other figures depend on floating-point functions, which can round differently
// on other processors.
func TestFiguresInDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long with the race detector")
	}
	for _, s := range []simulation{
		{"outage", theOutage.report},
		{"sizing", theSizing.report},
		{"crowd", theCrowd.report},
	} {
		want, err := os.ReadFile("../../docs/" + s.name + ".svg")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.run(1, func(float64) {}).svg(); got != string(want) {
			t.Errorf("docs/%s.svg is out of date: draw all figures again with go run ./examples/herd -svg docs", s.name)
		}
	}
}

func TestTextFitsTerminal(t *testing.T) {
	for _, s := range small() {
		for line := range strings.Lines(s.run(1, func(float64) {}).String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: a line has %d columns, want at most 80: %s", s.name, n, line)
			}
		}
	}
}

func TestReport(t *testing.T) {
	r := report{
		title:   "Title",
		setup:   "Setup.",
		caption: strings.Repeat("word ", 17),
		tables: []table{
			{head: [][]string{{"", "a"}}, rows: [][]string{{"one", "1 ±2"}, {"three", "4"}}},
			{rows: [][]string{{"second"}}},
		},
	}
	want := "Title\n\nSetup.\n\n" +
		"             a\n" +
		"  one     1 ±2\n" +
		"  three      4\n\n" +
		"  second\n\n" +
		strings.TrimSpace(strings.Repeat("word ", 16)) + "\nword\n"
	if got := r.String(); got != want {
		t.Errorf("String() =\n%s\nwant\n%s", got, want)
	}
}

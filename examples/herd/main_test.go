package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// small returns simulations as those of main, but quick.
func small() []simulation {
	c, o, m := theContention, theOutage, theMetastable
	c.clients, c.runs = []int{10, 100, 200}, 2
	o.down, o.until = window{2 * time.Second, 4 * time.Second}, 8*time.Second
	o.clients, m.rate, m.capacity = 10, 28, 30
	m.down, m.runs, m.until = window{5 * time.Second, 8 * time.Second}, 2, 70*time.Second
	return []simulation{
		{"contention", c.report},
		{"outage", o.report},
		{"metastable", m.report},
	}
}

// output is all that the command writes.
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
		t.Error("the same seed gave another output")
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
			t.Errorf("%q: stdout %q", tt.args, &stdout)
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
		return report{table: table{rows: [][]string{{"none"}}}}
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
		p := panel{x: axis{"<", 1, 1}, y: axis{"&", 1, 1}, lines: []line{{points: []point{{0, 1}}}}}
		return report{title: `a < "b" & c`, figure: figure{columns: 1, height: 1, panels: []panel{p}}}
	}}
	for _, s := range append(small(), marked) {
		r := s.run(1, func(float64) {})
		for _, p := range r.figure.panels {
			for _, l := range p.lines {
				if len(l.points) == 0 {
					t.Errorf("%s: %s: a line without points", s.name, p.title)
				}
				for _, at := range l.points {
					if at.x < 0 || at.x > p.x.end || at.y < 0 || at.y > p.y.end {
						t.Errorf("%s: %s: %v is outside of the axes", s.name, p.title, at)
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

func TestTable(t *testing.T) {
	r := report{
		title:   "Title",
		caption: strings.Repeat("word ", 19),
		table: table{
			head: [][]string{{"", "a"}},
			rows: [][]string{{"one", "1 ±2"}, {"three", "4"}},
		},
	}
	want := "Title\n\n" +
		"             a\n" +
		"  one     1 ±2\n" +
		"  three      4\n\n" +
		strings.TrimSpace(strings.Repeat("word ", 18)) + "\nword\n"
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

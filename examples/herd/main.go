// Herd simulates what retries do to a service, and shows why this package waits
// with full jitter by default and has a budget. It runs the package's real code on
// a simulated clock, so that hours pass in seconds.
//
// Usage:
//
//	go run ./examples/herd [-seed N] [-svg DIR]
//
// It prints one or two tables for each simulation. With -svg, it also writes a figure of
// each simulation to DIR. The same seed gives the same output, byte for byte.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A simulation runs a scenario and reports on it. While it runs, it calls done with the
// part of the work that is complete.
type simulation struct {
	name string
	run  func(seed uint64, done func(part float64)) report
}

func main() {
	os.Exit(herd(os.Args[1:], os.Stdout, os.Stderr, []simulation{
		{"contention", theContention.report},
		{"outage", theOutage.report},
		{"sizing", theSizing.report},
		{"price", thePrice.report},
		{"metastable", theMetastable.report},
		{"trigger", theTrigger.report},
		{"crowd", theCrowd.report},
	}))
}

// herd runs the program and returns the exit code: 2 if the arguments are invalid, 1 if
// the output cannot be written, and 0 otherwise.
func herd(args []string, stdout, stderr io.Writer, simulations []simulation) int {
	flags := flag.NewFlagSet("herd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	seed := flags.Uint64("seed", 1, "`number` from which all randomness is derived")
	dir := flags.String("svg", "", "`directory` to write the figures to")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprintln(stdout, "usage: herd [-seed N] [-svg DIR]")
		flags.PrintDefaults()
		return 0
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "herd: %v (see -h)\n", err)
		return 2
	}
	if err := show(simulations, *seed, *dir, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "herd: %v\n", err)
		return 1
	}
	return 0
}

// show runs the simulations one after another and prints their reports.
func show(simulations []simulation, seed uint64, dir string, stdout, stderr io.Writer) error {
	if dir != "" {
		// Create dir before the simulations run, so that an invalid name is reported early.
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	for i, s := range simulations {
		progress := newProgress(stderr, s.name)
		r := s.run(seed, progress.show)
		progress.clear()
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		if _, err := fmt.Fprint(stdout, r); err != nil {
			return err
		}
		if dir == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, s.name+".svg"), []byte(r.svg()), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// progress is a line on a terminal that shows how much of a simulation is complete. It is
// safe for concurrent use. If the writer is not a terminal, progress shows nothing.
type progress struct {
	terminal io.Writer // nil if there is none
	name     string

	mu      sync.Mutex
	percent int // shown
}

func newProgress(w io.Writer, name string) *progress {
	p := &progress{name: name, percent: -1}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.terminal = w
		}
	}
	return p
}

func (p *progress) show(part float64) {
	if p.terminal == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if percent := int(100 * part); percent > p.percent {
		p.percent = percent
		fmt.Fprintf(p.terminal, "\r%s: %d%%", p.name, percent)
	}
}

// clear removes the line.
func (p *progress) clear() {
	if p.terminal != nil {
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
}

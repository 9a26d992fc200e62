package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// A section of the results is the table of one benchmark.
type section struct {
	benchmark string
	load      load // of which each row must be there
	title     string
	text      string
	columns   []column
}

// A column shows one of benchstat's units, divided by scale.
type column struct {
	unit  string
	head  string
	scale float64
}

var perCall = []column{{"sec/op", "ns", 1e-9}, {"B/op", "bytes", 1}, {"allocs/op", "allocations", 1}}

var sections = []section{
	{"FirstTryInline", inline, "First try succeeds, options written inline", "Two or three options (attempts, first pause, longest pause) at the call itself.", perCall},
	{"FirstTryPrepared", prepared, "First try succeeds, policy prepared", "What can be made once is made before the calls.", perCall},
	{"ParallelSharedCtx", shared, "In parallel, one ctx for all", "As above, from as many goroutines as there are cores; nanoseconds are wall time divided by all calls.", perCall},
	{"ParallelFreshCtx", fresh, "In parallel, a ctx for each call", "As above, with a `context.WithCancel` for each call. What that alone costs is in the row `ctx-alone` and is part of every other row.", perCall},
	{"PermanentError", permanent, "A permanent error", "The first attempt fails with an error that is not to be retried. A marker, where one is needed, was made once, before the calls, here and below, unless the form says `marked-each-time`.", perCall},
	{"TwoFailures", two, "Two failures, then success", "Nothing is slept: with `WithClock` or `fake-timer` an injected clock passes over the pauses, in all other rows the pause is zero, which for most libraries still is a real timer (see the forms below).", perCall},
	{"TenFailures", ten, "Ten attempts exhausted", "Nothing is slept, as above. Divide by nine for the cost of a retry.", perCall},
	{"Waiting", waiting, "100,000 waiting calls", "All wait for an hour and are cancelled by their one ctx. Bytes are heap and stacks in use after a garbage collection, less what there was before, for each call with its goroutine. The time is from the cancellation to the last return, for each call. Each figure is from a process of its own.",
		[]column{{"B/waiting-call", "bytes for each call", 1}, {"sec/cancelled-call", "ns for each call cancelled", 1e-9}}},
	{"Million", million, "A million waiting calls", "One process, calls cancelled together. It fails unless every one returns ctx's reason, no goroutine is left, every call had one timer and none is left, and memory in use returns to what it was before. What it was before includes the descriptors that the runtime keeps of ended goroutines, as a million calls had already been made and cancelled, to count their timers in a complete memory profile. One run.",
		[]column{{"B-before", "MiB before", 1 << 20}, {"B-waiting", "MiB waiting", 1 << 20}, {"B-after", "MiB after", 1 << 20},
			{"sec/cancelled-call", "ns for each call cancelled", 1e-9},
			{"timers-waiting", "timers waiting", 1}, {"timers-left", "timers left", 1}, {"goroutines-left", "goroutines left", 1}}},
	{"Lateness", late, "Wake-up lateness", "10,000 waits of 50 ms, by 1000 goroutines that started at different times: by how much a call with one wait took longer than that.",
		[]column{{"sec-p50", "p50, µs", 1e-6}, {"sec-p99", "p99, µs", 1e-6}}},
	{"Size", 0, "Added to a binary", "`size/` is a service that uses net/http and log/slog already; what its executable grows by when it retries with the library: with symbols, and with `-ldflags='-s -w'`. `floor` has the loop by hand.",
		[]column{{"B-added", "KiB", 1 << 10}, {"B-added-stripped", "KiB, stripped", 1 << 10}}},
}

const head = `# Results

Made by

	go -C benchmarks run .

on %s: %s, %d cores, %s/%s, %s.

Medians, each with the half width of its 95%% confidence interval, are benchstat's;
where the interval is missing, there was one run. The operation is a func that is
not inlined and counts its calls; fn captures one pointer. A test has every row
prove that it does what it says: as many calls, the right error, the right pauses,
an end as soon as ctx ends. Forms with "no-ctx" do without the last: the library is
not told of the ctx, so a wait cannot be cancelled.

`

// write writes the results, of which stats is benchstat's output as CSV.
func write(w io.Writer, stats []byte) error {
	tables, cpu, err := parse(stats)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, head, time.Now().Format(time.DateOnly), cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprint(w, "| library | version | cannot |\n| --- | --- | --- |\n")
	for _, lib := range libraries {
		fmt.Fprintf(w, "| %s | %s | %s |\n", lib.name, lib.version(), lib.cannot)
	}
	for _, s := range sections {
		if err := s.write(w, tables[s.benchmark]); err != nil {
			return err
		}
	}
	fmt.Fprint(w, "\n## The forms\n")
	for _, lib := range libraries {
		fmt.Fprintf(w, "\n%s:\n\n", lib.name)
		for _, r := range lib.rows {
			if r.note != "" {
				fmt.Fprintf(w, "- `%s`: %s.\n", r.form, r.note)
			}
		}
	}
	return nil
}

// version names the module of a library and the version linked into this program.
func (lib *library) version() string {
	info, ok := debug.ReadBuildInfo()
	if lib.path == "" || !ok {
		return ""
	}
	for _, m := range info.Deps {
		if lib.path != m.Path && !strings.HasPrefix(lib.path, m.Path+"/") {
			continue
		}
		if m.Replace != nil {
			return m.Path + ", this tree"
		}
		return m.Path + " " + m.Version
	}
	return lib.path
}

func (s section) write(w io.Writer, t *table) error {
	if t == nil || s.load != 0 && len(t.rows) != len(rows(s.load)) {
		return fmt.Errorf("no or too few results for %s", s.benchmark)
	}
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n| library | form |", s.title, s.text)
	for _, c := range s.columns {
		fmt.Fprintf(w, " %s |", c.head)
	}
	fmt.Fprintf(w, "\n| --- | --- |%s\n", strings.Repeat(" ---: |", len(s.columns)))
	for _, name := range t.rows {
		lib, form, _ := strings.Cut(name, " ")
		fmt.Fprintf(w, "| %s | %s |", lib, form)
		for _, c := range s.columns {
			text, err := c.format(t.cells[name][c.unit])
			if err != nil {
				return fmt.Errorf("%s, %s, %s: %w", s.benchmark, name, c.unit, err)
			}
			fmt.Fprintf(w, " %s |", text)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// format returns a cell with three significant digits, or all before the point.
func (c column) format(x cell) (string, error) {
	v, err := strconv.ParseFloat(x.median, 64)
	if err != nil {
		return "", err
	}
	v /= c.scale
	decimals := 0
	if v != math.Trunc(v) {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	exact := x.interval == "0%" && !strings.HasPrefix(c.unit, "sec")
	if x.interval != "∞" && !exact {
		text += " ± " + x.interval
	}
	return text, nil
}

// A table has what benchstat says of one benchmark.
type table struct {
	rows  []string                   // library and form, in the order of the benchmarks
	cells map[string]map[string]cell // by row and unit
}

type cell struct{ median, interval string }

// parse reads benchstat's tables, by benchmark, and the CPU at the head of their
// columns.
func parse(stats []byte) (tables map[string]*table, cpu string, err error) {
	r := csv.NewReader(bytes.NewReader(stats))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return nil, "", err
	}
	tables = map[string]*table{}
	var benchmark, unit string
	for _, record := range records {
		if name, ok := strings.CutPrefix(record[0], ".name: "); ok {
			benchmark = name
			tables[benchmark] = &table{cells: map[string]map[string]cell{}}
			continue
		}
		t := tables[benchmark]
		if len(record) != 3 {
			return nil, "", fmt.Errorf("benchstat: unexpected line %q", record)
		}
		switch name := record[0]; {
		case name == "" && record[2] == "CI":
			unit = record[1]
		case name == "":
			cpu = record[1]
		case name != "geomean":
			if t.cells[name] == nil {
				t.rows = append(t.rows, name)
				t.cells[name] = map[string]cell{}
			}
			t.cells[name][unit] = cell{record[1], record[2]}
		}
	}
	return tables, cpu, nil
}

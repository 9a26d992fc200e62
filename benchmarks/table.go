package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// units has the column head for each of benchstat's units, and the number by which its
// figures are divided.
var units = map[string]struct {
	head  string
	scale float64
}{
	"sec/op":            {"ns", 1e-9},
	"B/op":              {"bytes", 1},
	"allocs/op":         {"allocations", 1},
	"B/waiting-call":    {"bytes per call", 1},
	"sec/canceled-call": {"ns per canceled call", 1e-9},
	"calls":             {"calls", 1},
	"B-before":          {"MiB before", 1 << 20},
	"B-waiting":         {"MiB waiting", 1 << 20},
	"B-after":           {"MiB after", 1 << 20},
	"timers-waiting":    {"timers waiting", 1},
	"timers-left":       {"timers left", 1},
	"goroutines-left":   {"goroutines left", 1},
	"sec-p50":           {"p50, µs", 1e-6},
	"sec-p99":           {"p99, µs", 1e-6},
	"B-added":           {"KiB", 1 << 10},
	"B-added-stripped":  {"KiB, stripped", 1 << 10},
}

// placeholder matches a table in RESULTS.md, with the comments that enclose it.
var placeholder = regexp.MustCompile(`(?s)(<!-- (\w+) -->\n).*?(<!-- end -->)`)

// replaceTables returns text with the content of each placeholder replaced. If a table was
// not measured, its placeholder keeps its content. A table without a placeholder is an
// error.
func replaceTables(text []byte, tables map[string]string) ([]byte, error) {
	placed := 0
	text = placeholder.ReplaceAllFunc(text, func(old []byte) []byte {
		part := placeholder.FindSubmatch(old)
		table, ok := tables[string(part[2])]
		if !ok {
			return old
		}
		placed++
		return fmt.Appendf(nil, "%s\n%s\n%s", part[1], table, part[3])
	})
	if placed != len(tables) {
		return nil, fmt.Errorf("%d tables, but %d placeholders for them", len(tables), placed)
	}
	return text, nil
}

// A table has the figures of one benchmark.
type table struct {
	columns []string                     // their heads
	rows    []string                     // their names, in the order of the benchmarks
	cells   map[string]map[string]string // by row and column
}

// addTables adds a Markdown table for each table in benchstat's CSV output to
// tables. A table without a name in that output gets the given one.
func addTables(tables map[string]string, name string, stats []byte) error {
	r := csv.NewReader(bytes.NewReader(stats))
	r.FieldsPerRecord = -1
	records, err := r.ReadAll()
	if err != nil {
		return err
	}
	var keys, heads []string // of the columns
	parsed := map[string]*table{}
	for _, record := range records {
		if after, ok := strings.CutPrefix(record[0], ".name: "); ok {
			name = after
			continue
		}
		if record[0] == "geomean" || len(record) < 3 {
			continue
		}
		if record[0] == "" && record[2] != "CI" {
			keys = record
			continue
		}
		t := parsed[name]
		if t == nil {
			t = &table{cells: map[string]map[string]string{}}
			parsed[name] = t
		}
		if record[0] == "" {
			heads = record
		} else if err := t.add(record, keys, heads); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, t := range parsed {
		tables[name] = t.markdown()
	}
	return nil
}

// add adds the figures of one record, which are followed by their intervals.
func (t *table) add(record, keys, heads []string) error {
	row := record[0]
	if t.cells[row] == nil {
		t.rows = append(t.rows, row)
		t.cells[row] = map[string]string{}
	}
	for i := 1; i+1 < len(record); i++ {
		if heads[i+1] != "CI" {
			continue
		}
		unit, ok := units[heads[i]]
		if !ok {
			return fmt.Errorf("no head for unit %q", heads[i])
		}
		column := strings.TrimSpace(keys[i] + " " + unit.head)
		if !slices.Contains(t.columns, column) {
			t.columns = append(t.columns, column)
		}
		if record[i] == "" {
			continue // not measured
		}
		text, err := format(heads[i], record[i], record[i+1])
		if err != nil {
			return fmt.Errorf("%s: %w", row, err)
		}
		t.cells[row][column] = text
	}
	return nil
}

func (t *table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | %s |\n", strings.Join(t.columns, " | "))
	fmt.Fprintf(&b, "| --- |%s\n", strings.Repeat(" ---: |", len(t.columns)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range t.columns {
			fmt.Fprintf(&b, " %s |", t.cells[row][column])
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

// format returns a figure with three significant digits, or all digits before the
// decimal point if there are more, and half the width of its confidence interval.
func format(unit, median, interval string) (string, error) {
	v, err := strconv.ParseFloat(median, 64)
	if err != nil {
		return "", err
	}
	v /= units[unit].scale
	decimals := 0
	if v != math.Trunc(v) {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	exact := interval == "0%" && !strings.HasPrefix(unit, "sec")
	if interval != "∞" && !exact {
		text += " ± " + interval
	}
	return text, nil
}

package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A report is what a simulation has to show.
type report struct {
	title   string
	caption string // what to see
	table   table
	figure  figure
}

// A table has a name in the first column of each row and figures in the others.
type table struct {
	head [][]string // one or more lines
	rows [][]string
}

func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", r.title, r.table)
	for _, line := range wrap(r.caption, 90) {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

func (t table) String() string {
	lines := append(append([][]string{}, t.head...), t.rows...)
	widths := make([]int, len(t.rows[0]))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		line := ""
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line += "  " + cell + pad
			} else {
				line += "   " + pad + cell
			}
		}
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	return b.String()
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), word
			continue
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

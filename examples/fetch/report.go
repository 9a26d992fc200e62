package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/retry"
)

// newLogger returns a logger of short lines for people: without time and level,
// and of the attributes of a retry only those that the next line does not repeat.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, slog.LevelKey, "waited", "elapsed":
				return slog.Attr{}
			}
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.DurationValue(readable(a.Value.Duration()))
			}
			return a
		},
	}))
}

// readable drops the digits of d that nobody reads.
func readable(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// printTable prints one line for each result.
func printTable(w io.Writer, results []result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	fmt.Fprintln(table, "\nDOCUMENT\tATTEMPTS\tWAITED\tOUTCOME")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%d\t%v\t%s\n", r.document, r.attempts, readable(r.waited), outcome(r))
	}
}

// outcome is the text of a *retry.Error without the number of attempts, which has
// a column of its own.
func outcome(r result) string {
	if r.err == nil {
		return fmt.Sprintf("fetched, %d bytes", len(r.body))
	}
	e, ok := errors.AsType[*retry.Error](r.err)
	if !ok || e.Err == nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%v: %v", e.Reason, e.Err)
}

// verdict returns what keeps the run from being a success, or "". It is given how
// often the server was asked for the missing document.
func verdict(results []result, asked int) string {
	var problems, lost []string
	for _, r := range results {
		if r.document != missing && r.err != nil {
			lost = append(lost, r.document)
		}
	}
	if len(lost) > 0 {
		problems = append(problems, "not fetched: "+strings.Join(lost, ", "))
	}
	if asked != 1 {
		problems = append(problems, fmt.Sprintf("the missing document was asked for %d times instead of once", asked))
	}
	return strings.Join(problems, "; ")
}

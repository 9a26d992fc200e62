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

// newLogger returns a logger that prints short lines for people. It omits the time, the
// level, the message, and the attributes waited and elapsed.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, slog.LevelKey, slog.MessageKey, "waited", "elapsed":
				return slog.Attr{}
			}
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.DurationValue(readable(a.Value.Duration()))
			}
			return a
		},
	}))
}

// readable rounds d to milliseconds.
func readable(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// printTable prints one line for each result.
func printTable(w io.Writer, results []result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	fmt.Fprintln(table, "\nDOC\tATTEMPTS\tWAITED\tOUTCOME")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%d\t%v\t%s\n", r.document, r.attempts, readable(r.waited), outcome(r))
	}
}

// outcome returns the text of a *retry.Error without the number of attempts, because
// the table has a column for it.
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

// verdict returns why the run failed, or "" if it succeeded. requests is the number of
// requests for the missing document.
func verdict(results []result, requests int) string {
	var problems, lost []string
	for _, r := range results {
		if r.document != missing && r.err != nil {
			lost = append(lost, r.document)
		}
	}
	if len(lost) > 0 {
		problems = append(problems, "not fetched: "+strings.Join(lost, ", "))
	}
	if requests != 1 {
		problems = append(problems, fmt.Sprintf("the missing document was requested %d times, want 1", requests))
	}
	return strings.Join(problems, "; ")
}

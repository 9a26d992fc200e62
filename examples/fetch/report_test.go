package main

import (
	"errors"
	"testing"
)

func TestVerdict(t *testing.T) {
	fetched := []result{{document: "guide"}, {document: missing, err: errors.New("404")}, {document: "terms"}}
	failed := []result{{document: "guide", err: errors.New("500")}, {document: missing, err: errors.New("404")}, {document: "terms"}}
	for _, tc := range []struct {
		results  []result
		requests int
		want     string
	}{
		{fetched, 1, ""},
		{fetched, 2, "the missing document was requested 2 times, want 1"},
		{fetched, 0, "the missing document was requested 0 times, want 1"},
		{failed, 1, "not fetched: guide"},
		{failed, 3, "not fetched: guide; the missing document was requested 3 times, want 1"},
	} {
		if got := verdict(tc.results, tc.requests); got != tc.want {
			t.Errorf("verdict() = %q, want %q", got, tc.want)
		}
	}
}

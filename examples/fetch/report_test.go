package main

import (
	"errors"
	"testing"
)

func TestVerdict(t *testing.T) {
	fetched := []result{{document: "guide"}, {document: missing, err: errors.New("404")}, {document: "terms"}}
	failed := []result{{document: "guide", err: errors.New("500")}, {document: missing, err: errors.New("404")}, {document: "terms"}}
	for _, tc := range []struct {
		results []result
		asked   int
		want    string
	}{
		{fetched, 1, ""},
		{fetched, 2, "the missing document was asked for 2 times instead of once"},
		{fetched, 0, "the missing document was asked for 0 times instead of once"},
		{failed, 1, "not fetched: guide"},
		{failed, 3, "not fetched: guide; the missing document was asked for 3 times instead of once"},
	} {
		if got := verdict(tc.results, tc.asked); got != tc.want {
			t.Errorf("verdict = %q, want %q", got, tc.want)
		}
	}
}

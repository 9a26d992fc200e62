package main

import (
	"bytes"
	"testing"
)

func TestTable(t *testing.T) {
	const stats = `.name: A
,AMD EPYC,
,sec/op,CI
"retry Policy,WithClock",1.2345e-08,3%
floor,0.012,0%
geomean,1,

,AMD EPYC,
,B/op,CI
"retry Policy,WithClock",16,0%
floor,0.5,∞
geomean,1,

.name: B
,AMD EPYC,
,sec/op,CI
floor,1,0%
`
	const want = `
## Title

Text.

| library | form | ns | bytes |
| --- | --- | ---: | ---: |
| retry | Policy,WithClock | 12.3 ± 3% | 16 |
| floor |  | 12000000 ± 0% | 0.500 |
`
	tables, cpu, err := parse([]byte(stats))
	if err != nil || len(tables) != 2 || cpu != "AMD EPYC" {
		t.Fatalf("%d tables, %q, %v; want 2, AMD EPYC, nil", len(tables), cpu, err)
	}
	s := section{"A", 0, "Title", "Text.", perCall[:2]}
	var got bytes.Buffer
	if err := s.write(&got, tables["A"]); err != nil || got.String() != want {
		t.Errorf("%v, %s\nwant %s", err, &got, want)
	}
	// It wants a column of allocations.
	s.columns = perCall
	if err := s.write(&got, tables["A"]); err == nil {
		t.Error("no error for a unit that is not there")
	}
	if err := s.write(&got, tables["C"]); err == nil {
		t.Error("no error for a benchmark that did not run")
	}
}

package main

import "testing"

const stats = `.name: A
,,
,sec/op,CI
"retry Policy,WithClock",1.2345e-08,3%
floor,0.012,0%
geomean,1,

,,
,B/op,CI
"retry Policy,WithClock",16,0%
floor,0.5,∞
geomean,1,

.name: B
,v1,,v2,,,
,sec/op,CI,sec/op,CI,vs base,P
loop,2e-09,1%,1e-09,2%,-50.00%,p=0.000 n=8
new form,,,3e-09,1%,,
`

func TestTables(t *testing.T) {
	text := "Text.\n<!-- A -->\nold\n<!-- end -->\nMore.\n<!-- B -->\n<!-- end -->\n<!-- C -->\nold\n<!-- end -->\n"
	want := `Text.
<!-- A -->

| | ns | bytes |
| --- | ---: | ---: |
| retry Policy,WithClock | 12.3 ± 3% | 16 |
| floor | 12000000 ± 0% | 0.500 |

<!-- end -->
More.
<!-- B -->

| | v1 ns | v2 ns |
| --- | ---: | ---: |
| loop | 2 ± 1% | 1 ± 2% |
| new form |  | 3 ± 1% |

<!-- end -->
<!-- C -->
old
<!-- end -->
`
	tables := map[string]string{}
	if err := addTables(tables, "", []byte(stats)); err != nil {
		t.Fatalf("addTables() = %v, want nil", err)
	}
	got, err := replaceTables([]byte(text), tables)
	if err != nil || string(got) != want {
		t.Errorf("replaceTables() = %s, %v\nwant %s", got, err, want)
	}
	tables["D"] = ""
	if _, err := replaceTables([]byte(text), tables); err == nil {
		t.Error("replaceTables() = nil for a table without a placeholder, want an error")
	}
}

func TestTablesUnknownUnit(t *testing.T) {
	if err := addTables(map[string]string{}, "", []byte(".name: A\n,,\n,miles,CI\nfloor,1,0%\n")); err == nil {
		t.Error("addTables() = nil for an unknown unit, want an error")
	}
}

func TestCrowdSize(t *testing.T) {
	for available, want := range map[int]int{64 << 30: 1_000_000, 2 * bytesPerCall * 5000: 5000} {
		if got := crowdSize(available); got != want {
			t.Errorf("crowdSize(%d) = %d, want %d", available, got, want)
		}
	}
}

// TestNames uses the names in the output of go test to select a benchmark again.
func TestNames(t *testing.T) {
	got := names([]byte("goos: linux\nBenchmarkWaiting/lib=retry/form=Policy,a-b-2   \t 1\t 5 B/op\nPASS\n"))
	want := "BenchmarkWaiting/lib=retry/form=Policy,a-b"
	if len(got) != 1 || got[0] != want {
		t.Fatalf("names() = %q, want %q", got, want)
	}
	if got, want := exactly(want), "^BenchmarkWaiting$/^lib=retry$/^form=Policy,a-b$"; got != want {
		t.Errorf("exactly() = %q, want %q", got, want)
	}
}

// Command benchmarks runs all benchmarks of this module and writes their results
// into the tables of RESULTS.md, whose text is written by hand. It takes about six
// minutes. The machine should do nothing else meanwhile:
//
//	go -C benchmarks run .
//
// To compare this tree with another version of package retry, which must have at least the
// API of version 0.1.0, check out that version and pass its directory:
//
//	git worktree add /tmp/v1 db6c4a2
//	go -C benchmarks run . -v1 /tmp/v1
//
// The command leaves what the benchmarks printed in raw.txt and v1.txt, for benchstat.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// perCall matches the benchmarks that measure one call.
const perCall = "(FirstTry|Depth|Parallel|Permanent|Failures)"

var (
	results   = flag.String("o", "RESULTS.md", "rewrite the tables in `file`")
	v1        = flag.String("v1", "", "compare with the package in `directory`")
	passes    = flag.Int("passes", 8, "run every benchmark `n` times")
	benchtime = flag.String("benchtime", "100ms", "measure one call for this `time`, as in go test")
	short     = flag.Bool("short", false, "make fewer waiting calls, to check whether everything works")
)

func main() {
	log.SetFlags(log.Ltime)
	flag.Parse()
	available := availableMemory()
	calls := crowdSize(available)
	log.Printf("%d waiting calls need up to %d MiB of memory; %d MiB are available", calls, calls*bytesPerCall>>20, available>>20)

	dir, err := os.MkdirTemp("", "benchmarks")
	must(err)
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(*results)
	must(err)

	raw, old := measure(dir)
	must(os.WriteFile("raw.txt", raw, 0o666))
	tables := map[string]string{"Run": machine(raw)}
	must(addTables(tables, "", run("go", "run", benchstat, "-format=csv", "-table=.name", "-row=/lib /form", "-col=/levels", "raw.txt")))
	if *v1 != "" {
		must(os.WriteFile("v1.txt", old, 0o666))
		must(addTables(tables, "Version1", run("go", "run", benchstat, "-format=csv", "-table=", "-row=.name /form /levels", "-col=.file",
			"-filter=/lib:retry .unit:(sec/op OR allocs/op)", "v1=v1.txt", "v2=raw.txt")))
	}
	text, err = replaceTables(text, tables)
	must(err)
	must(os.WriteFile(*results, text, 0o666))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// run returns what a command prints, and ends the program if the command fails.
func run(name string, args ...string) []byte {
	log.Println(name, strings.Join(args, " "))
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer // where benchstat writes a note for every figure
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		log.Fatalf("%s%s%v", out, &stderr, err)
	}
	return out
}

// machine describes where and when the benchmarks ran.
func machine(raw []byte) string {
	cpu := regexp.MustCompile(`(?m)^cpu: (.*)$`).FindSubmatch(raw)
	if cpu == nil {
		cpu = [][]byte{nil, []byte("unknown CPU")}
	}
	return fmt.Sprintf("%s: %s, %d cores, %s/%s, %s.\n", time.Now().Format(time.DateOnly),
		cpu[1], runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// measure returns the results of all benchmarks, in the format of go test. With -v1, old has
// the results of version 1 in the benchmarks that measure one call.
func measure(dir string) (raw, old []byte) {
	binary := filepath.Join(dir, "benchmarks.test")
	run("go", "test", "-c", "-o", binary, ".")
	raw = run(binary) // run the tests first, because a form that does not work must not be measured
	bench := func(binary, pattern, benchtime string, short bool) []byte {
		return run(binary, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+benchtime, fmt.Sprint("-test.short=", short))
	}
	// alone runs each form of a benchmark in a new process.
	alone := func(pattern string) {
		for _, name := range names(bench(binary, pattern, "1x", true)) {
			raw = append(raw, bench(binary, exactly(name), "1x", *short)...)
		}
	}
	v1Binary := ""
	if *v1 != "" {
		v1Binary = buildV1(dir)
	}

	// All benchmarks except Million run once in each pass, so that whatever else the
	// machine does affects all libraries alike.
	for range *passes {
		raw = append(raw, bench(binary, perCall+"|HTTP", *benchtime, *short)...)
		if v1Binary != "" {
			old = append(old, bench(v1Binary, perCall+"/lib=retry$", *benchtime, *short)...)
		}
		raw = append(raw, bench(binary, "Lateness", "1x", *short)...)
		alone("Waiting")
	}
	alone("Million")
	return append(raw, sizes(dir)...), old
}

// names returns the names of the benchmarks in the output of go test.
func names(out []byte) (list []string) {
	for _, m := range regexp.MustCompile(`(?m)^(Benchmark\S+?)(-\d+)?[ \t]`).FindAllSubmatch(out, -1) {
		list = append(list, string(m[1]))
	}
	return list
}

// exactly returns a regular expression for -test.bench that matches only name.
func exactly(name string) string {
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(name), "/", "$/^") + "$"
}

// buildV1 builds the benchmarks with the package in the directory of -v1. It uses a
// workspace, whose replacements take precedence over the replacements in go.mod.
func buildV1(dir string) string {
	here, err := filepath.Abs(".")
	must(err)
	there, err := filepath.Abs(*v1)
	must(err)
	work := filepath.Join(dir, "go.work")
	must(os.WriteFile(work, fmt.Appendf(nil, "go 1.26.0\n\nuse %q\n\nreplace example.com/retry => %q\n", here, there), 0o666))
	binary := filepath.Join(dir, "v1.test")
	run("env", "GOWORK="+work, "go", "test", "-c", "-tags=v1", "-o", binary, ".")
	return binary
}

// sizes measures how much each library adds to the program in the directory size.
func sizes(dir string) []byte {
	build := func(tag, ldflags string) int64 {
		file := filepath.Join(dir, "size")
		run("go", "build", "-o", file, "-tags="+tag, "-ldflags="+ldflags, "./size")
		info, err := os.Stat(file)
		must(err)
		return info.Size()
	}
	plain, stripped := build("", ""), build("", "-s -w")
	files, err := filepath.Glob("size/*.go")
	must(err)
	var out []byte
	for _, file := range files {
		lib := strings.TrimSuffix(filepath.Base(file), ".go")
		if lib == "main" {
			continue
		}
		out = fmt.Appendf(out, "BenchmarkSize/lib=%s 1 %d B-added %d B-added-stripped\n", lib,
			build(lib, "")-plain, build(lib, "-s -w")-stripped)
	}
	return out
}

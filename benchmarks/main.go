// Command benchmarks runs all benchmarks of this module and writes the tables of
// RESULTS.md. The machine should do nothing else meanwhile:
//
//	go -C benchmarks run .
//
// What the tables are made of is left in raw.txt, for benchstat to compare with
// that of another run.
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
	"strings"
)

const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

var (
	output = flag.String("o", "RESULTS.md", "write the tables to `file`")
	raw    = flag.String("raw", "raw.txt", "write what the benchmarks print to `file`")
	short  = flag.Bool("short", false, "run everything once and briefly, to see that it works; the figures mean nothing")
)

func main() {
	log.SetFlags(log.Ltime)
	flag.Parse()
	dir, err := os.MkdirTemp("", "benchmarks")
	must(err)
	defer os.RemoveAll(dir)
	must(os.WriteFile(*raw, measure(dir), 0o666))
	stats := run("go", "run", benchstat, "-format=csv", "-table=.name", "-row=/lib /form", "-col=cpu", *raw)
	var out bytes.Buffer
	must(write(&out, stats))
	must(os.WriteFile(*output, out.Bytes(), 0o666))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// run returns what a command prints, and ends the program if it fails.
func run(name string, args ...string) []byte {
	log.Println(name, strings.Join(args, " "))
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		log.Fatalf("%s%s%v", out, stderr.Bytes(), err)
	}
	return out
}

// measure returns the results of all benchmarks in the format of go test.
func measure(dir string) []byte {
	binary := filepath.Join(dir, "benchmarks.test")
	run("go", "test", "-c", "-o", binary, ".")
	out := run(binary) // the tests: what does not work is not measured
	bench := func(pattern, benchtime string, flags ...string) {
		args := append([]string{"-test.run=^$", "-test.bench=" + pattern, "-test.benchtime=" + benchtime}, flags...)
		if *short {
			args = append(args, "-test.short")
		}
		out = append(out, run(binary, args...)...)
	}

	passes, benchtime := 6, "100ms"
	if *short {
		passes, benchtime = 1, "1x"
	}
	// Pass after pass, not benchmark after benchmark, so that what the machine
	// does at one time or another falls on all libraries alike.
	for range passes {
		bench("FirstTry|Parallel|PermanentError|Failures", benchtime)
		bench("Lateness", "1x")
		for _, r := range rows(waiting) {
			bench("Waiting/"+r.pattern(), "1x") // each in a new process
		}
	}
	for _, r := range rows(million) {
		bench("Million/"+r.pattern(), "1x", "-million")
	}
	return append(out, sizes(dir)...)
}

// pattern matches the name of r's benchmark, below that of the load.
func (r row) pattern() string {
	return "lib=" + r.lib.name + "/form=" + regexp.QuoteMeta(r.form) + "$"
}

// sizes measures the program in size with each library against the same without.
func sizes(dir string) []byte {
	build := func(tag, ldflags string) int64 {
		file := filepath.Join(dir, "size")
		run("go", "build", "-o", file, "-tags="+tag, "-ldflags="+ldflags, "./size")
		info, err := os.Stat(file)
		must(err)
		return info.Size()
	}
	plain, stripped := build("", ""), build("", "-s -w")
	var out []byte
	for _, lib := range libraries {
		out = fmt.Appendf(out, "BenchmarkSize/lib=%s 1 %d B-added %d B-added-stripped\n", lib.name,
			build(lib.name, "")-plain, build(lib.name, "-s -w")-stripped)
	}
	return out
}

package retry_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// readmePreamble is what the Go snippets of README.md take for granted. Together
// with it they are one package: a snippet is declarations, or the body of a function
// that returns an error.
const readmePreamble = `package readme

import (
	"context"
	"database/sql"
	"errors"
	"expvar"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/retry"
)

// Every snippet uses some of the imports.
var _ = []any{errors.New, slog.Info, rand.NewPCG, net.Dial, slices.Equal[[]int], synctest.Test, time.Now, io.EOF}

type User struct{ Name string }

var (
	ctx         context.Context
	db          *sql.DB
	resp        *http.Response
	err         error
	errNotFound error
	retries     expvar.Int
)

func load(context.Context, string) (User, error) { return User{}, nil }
func loadAda(context.Context) (User, error)      { return User{}, nil }
func placeOrder(context.Context) error           { return nil }
func isServerError(error) bool                   { return false }
func send(context.Context) error                 { return errors.New("connection refused") }

`

// TestReadmeSnippets compiles and vets every Go snippet of README.md, and runs
// those that are tests.
func TestReadmeSnippets(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var src strings.Builder
	src.WriteString(readmePreamble)
	snippets := readmeBlocks(t, "go")
	if len(snippets) == 0 {
		t.Fatal("README.md has no Go snippet")
	}
	for _, s := range snippets {
		formatted, err := format.Source([]byte(s.text))
		if err != nil {
			t.Fatalf("README.md:%d: %v", s.line, err)
		}
		if string(formatted) != s.text {
			t.Errorf("README.md:%d: the snippet is not formatted as gofmt does", s.line)
		}
		text := fmt.Sprintf("//line README.md:%d\n%s", s.line, s.text)
		if isBody(s.text) {
			text = fmt.Sprintf("func _() error {\n%s%s\nreturn nil\n}\n", text, useAll(t, s.text))
		}
		src.WriteString(text)
	}

	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("readme_test.go", src.String())
	write("go.mod", fmt.Sprintf("module readme\n\ngo 1.26.0\n\nrequire example.com/retry v0.0.0\n\nreplace example.com/retry => %q\n", root))
	cmd := exec.Command("go", "test", "-vet=all", "-v", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the snippets of README.md: %v\n%s", err, out)
	}
	if got, want := strings.Count(string(out), "--- PASS"), strings.Count(src.String(), "\nfunc Test"); got != want || want == 0 {
		t.Errorf("%d of %d tests in README.md passed\n%s", got, want, out)
	}
}

// isBody reports whether a snippet is statements and not declarations.
func isBody(snippet string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package readme\n"+snippet, parser.SkipObjectResolution)
	return err != nil
}

// useAll returns an assignment that uses the variables a body ends with: a snippet
// does not show what becomes of its results.
func useAll(t *testing.T, body string) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package readme\nfunc _() {\n"+body+"}", parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	var uses string
	for _, stmt := range file.Decls[0].(*ast.FuncDecl).Body.List {
		if s, ok := stmt.(*ast.AssignStmt); ok && s.Tok == token.DEFINE {
			for _, v := range s.Lhs {
				uses += "_ = " + v.(*ast.Ident).Name + ";"
			}
		}
	}
	return uses
}

// TestReadmeSchedule recomputes the table of the default schedule.
func TestReadmeSchedule(t *testing.T) {
	clock := new(retrytest.Clock)
	fn, _ := always(errBoom)
	_ = retry.Do(t.Context(), fn, retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	table := "| before attempt | ceiling | mean wait | waited until then, at most |\n|---|---|---|---|\n"
	var sum time.Duration
	for i, ceiling := range clock.Waits() {
		if want := (retry.Exponential{}).Delay(i + 1); ceiling != want {
			t.Errorf("Do waits up to %v before attempt %d, Exponential{} up to %v", ceiling, i+2, want)
		}
		sum += ceiling
		table += fmt.Sprintf("| %d | %v | %v | %v |\n", i+2, ceiling, ceiling/2, sum)
	}
	if !strings.Contains(readme(t), "\n"+table+"\n") {
		t.Errorf("README.md lacks the default schedule:\n%s", table)
	}
}

// TestReadmeOutput checks that what README.md shows as printed is the output of
// an example, which is compared with what really comes.
func TestReadmeOutput(t *testing.T) {
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range readmeBlocks(t, "text") {
		for line := range strings.Lines(block.text) {
			if !strings.Contains(string(examples), "\t// "+line) {
				t.Errorf("README.md:%d: no example prints %q", block.line, line)
			}
		}
	}
}

var (
	readmeCode = regexp.MustCompile("(?s)```.*?```")
	readmeLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	readmePath = regexp.MustCompile(`(?m)(?:^| )(\./[\w/]+|\.ci/\w+)`)
)

// TestReadmePaths checks that the files and folders that README.md links to, or
// names in a command, exist.
func TestReadmePaths(t *testing.T) {
	var paths []string
	for _, match := range readmeLink.FindAllStringSubmatch(readmeCode.ReplaceAllString(readme(t), ""), -1) {
		paths = append(paths, match[1])
	}
	for _, block := range readmeBlocks(t, "sh") {
		for _, match := range readmePath.FindAllStringSubmatch(block.text, -1) {
			paths = append(paths, match[1])
		}
	}
	for _, path := range paths {
		if strings.HasPrefix(path, "https://") {
			continue
		}
		if _, err := os.Stat(filepath.FromSlash(path)); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
}

// A readmeBlock is a fenced block of README.md.
type readmeBlock struct {
	line int // of the first line of text, in README.md
	text string
}

func readmeBlocks(t *testing.T, language string) (blocks []readmeBlock) {
	t.Helper()
	var block *readmeBlock
	n := 0
	for line := range strings.Lines(readme(t)) {
		n++
		switch {
		case line == "```"+language+"\n":
			block = &readmeBlock{line: n + 1}
		case line == "```\n" && block != nil:
			blocks = append(blocks, *block)
			block = nil
		case block != nil:
			block.text += line
		}
	}
	return blocks
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

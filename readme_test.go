package retry_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/retry"
	"example.com/retry/retrytest"
)

// TestReadmeSnippets compiles and vets the Go snippets of README.md and docs, and runs the
// snippets that are tests. Every file becomes a package, together with names.go in
// testdata/readme and, if it exists, the file there that tests what the text promises.
func TestReadmeSnippets(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), fmt.Sprintf("module readme\n\ngo 1.26.0\n\n"+
		"require example.com/retry v0.0.0\n\nreplace example.com/retry => %q\n", root))
	docs, _ := filepath.Glob("docs/*.md")
	var tests []string
	for _, name := range append(docs, "README.md") {
		source, names := snippets(t, root, name)
		if source == "" {
			continue
		}
		tests = append(tests, names...)
		base := strings.ToLower(strings.TrimSuffix(filepath.Base(name), ".md"))
		pkg := filepath.Join(dir, base)
		write(t, filepath.Join(pkg, "snippets_test.go"), source)
		write(t, filepath.Join(pkg, "names_test.go"), read(t, "testdata/readme/names.go"))
		if promises, err := os.ReadFile("testdata/readme/" + base + "_test.go"); err == nil {
			write(t, filepath.Join(pkg, "promises_test.go"), string(promises))
		}
	}

	out, err := goTest(dir)
	if err != nil {
		t.Fatalf("the tests of the snippets fail: %v\n%s", err, out)
	}
	// The tests that README.md shows must notice a bug.
	broken, _ := goTest(dir, "README_BROKEN=1")
	for _, name := range tests {
		if !strings.Contains(out, "--- PASS: "+name+" ") {
			t.Errorf("%s does not run:\n%s", name, out)
		}
		if !strings.Contains(broken, "--- FAIL: "+name+" ") {
			t.Errorf("%s does not fail if the code under test is broken:\n%s", name, broken)
		}
	}
}

func goTest(dir string, env ...string) (string, error) {
	cmd := exec.Command("go", "test", "-count=1", "-vet=all", "-v", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GODEBUG=")...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// packages lists the packages that a snippet can use.
var packages = []string{"context", "database/sql", "errors", "fmt", "io", "io/fs", "log/slog", "math",
	"math/rand/v2", "net", "net/http", "os", "slices", "sync", "sync/atomic", "testing", "testing/synctest", "time",
	"example.com/retry", "example.com/retry/retryhttp", "example.com/retry/retrytest"}

// snippets returns the Go source of the snippets of a Markdown file, and the names of the
// tests in it. Statements become the body of a function, whose name is the word after the
// language of the snippet. If there is no such word, the name is blank.
func snippets(t *testing.T, root, file string) (source string, tests []string) {
	t.Helper()
	var b strings.Builder
	used := map[string]bool{}
	for _, s := range blocks(read(t, file), "go") {
		place := fmt.Sprintf("%s:%d", file, s.line)
		if formatted, err := format.Source([]byte(s.text)); err != nil || string(formatted) != s.text {
			t.Errorf("%s: the snippet has an error, or gofmt would change it: %v", place, err)
		}
		text := fmt.Sprintf("//line %s\n%s", filepath.Join(root, place), s.text)
		parsed, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, parser.SkipObjectResolution)
		if err != nil {
			name := s.name
			if name == "" {
				name = "_"
			}
			text = fmt.Sprintf("func %s(ctx context.Context) error {\n%s", name, text)
			parsed, err = parser.ParseFile(token.NewFileSet(), "", "package p\n"+text+"}", parser.SkipObjectResolution)
			if err != nil {
				t.Fatalf("%s: %v", place, err)
			}
			text += ending(parsed.Decls[0].(*ast.FuncDecl).Body.List) + "}\n"
		}
		b.WriteString(text)
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					used[x.Name] = true
				}
			case *ast.FuncDecl:
				if strings.HasPrefix(n.Name.Name, "Test") {
					tests = append(tests, n.Name.Name)
				}
			}
			return true
		})
	}
	if b.Len() == 0 {
		return "", nil
	}
	var imports strings.Builder
	for _, path := range packages {
		name := filepath.Base(strings.TrimSuffix(path, "/v2"))
		if used[name] {
			fmt.Fprintf(&imports, "import %q\n", path)
		}
	}
	return "package readme\n" + imports.String() + b.String(), tests
}

// ending returns the statements to add after a snippet. They record the values of its new
// variables, and return its variable err, or the global err if it has none.
func ending(body []ast.Stmt) string {
	var names []string
	for _, stmt := range body {
		if s, ok := stmt.(*ast.AssignStmt); ok && s.Tok == token.DEFINE {
			for _, v := range s.Lhs {
				if name := v.(*ast.Ident).Name; name != "_" {
					names = append(names, name)
				}
			}
		}
	}
	if _, ok := body[len(body)-1].(*ast.ReturnStmt); ok {
		return ""
	}
	return "results = []any{" + strings.Join(names, ", ") + "}\nreturn err\n"
}

// TestReadmeDefaults recomputes the table of the default schedule and the error text.
func TestReadmeDefaults(t *testing.T) {
	clock := new(retrytest.Clock)
	fn, _ := always(errors.New("connection refused"))
	err := retry.Do(t.Context(), fn, retry.WithClock(clock), retry.WithJitter(retry.NoJitter))
	table := "| before attempt | ceiling | mean wait | maximum total wait |\n|---|---|---|---|\n"
	var sum time.Duration
	for i, ceiling := range clock.Waits() {
		sum += ceiling
		table += fmt.Sprintf("| %d | %v | %v | %v |\n", i+2, ceiling, ceiling/2, sum)
	}
	text := fmt.Sprintf("waits %.1f s on average and at most %v s", sum.Seconds()/2, sum.Seconds())
	for _, want := range []string{table, text, "return err // " + err.Error() + "\n"} {
		if !strings.Contains(read(t, "README.md"), want) {
			t.Errorf("README.md lacks\n%s", want)
		}
	}
}

// TestReadmeCommands checks that the packages that README.md runs exist.
func TestReadmeCommands(t *testing.T) {
	for _, m := range regexp.MustCompile(`go run \./([\w/]+)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("README.md: %s: %v", m[0], err)
		}
	}
}

// A block is a fenced block of a Markdown file.
type block struct {
	line int // of the first line of text
	name string
	text string
}

func blocks(markdown, language string) (blocks []block) {
	open := false
	for i, line := range slices.Collect(strings.Lines(markdown)) {
		info, fence := strings.CutPrefix(line, "```")
		switch lang, name, _ := strings.Cut(strings.TrimSpace(info), " "); {
		case fence && !open && lang == language:
			blocks = append(blocks, block{line: i + 2, name: name})
			open = true
		case fence:
			open = false
		case open:
			blocks[len(blocks)-1].text += line
		}
	}
	return blocks
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

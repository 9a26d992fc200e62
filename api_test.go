package retry_test

import (
	"flag"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update", false, "rewrite testdata/api.txt")

// TestAPI compares the exported API with a file, so that every change to the API is
// visible in a diff.
func TestAPI(t *testing.T) {
	const file = "testdata/api.txt"
	got := exportedAPI(t, ".") + "\n" + exportedAPI(t, "retrytest")
	if *updateAPI {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i, got := range gotLines {
		if i == len(wantLines) || got != wantLines[i] {
			t.Fatalf("%s:%d: API = %q; to update the file, run go test -run TestAPI -update", file, i+1, got)
		}
	}
	if more := wantLines[len(gotLines):]; len(more) > 0 {
		t.Errorf("%s has %q after the end of the API", file, more)
	}
}

// goDoc returns the documentation of the package in dir.
func goDoc(t *testing.T, dir string, mode parser.Mode) (*doc.Package, *token.FileSet) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, mode)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "example.com/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	return pkg, fset
}

// members returns the constants and variables, and the functions and methods, of pkg and
// of its types.
func members(pkg *doc.Package) (values []*doc.Value, funcs []*doc.Func) {
	values, funcs = append(pkg.Consts, pkg.Vars...), pkg.Funcs
	for _, typ := range pkg.Types {
		values = append(append(values, typ.Consts...), typ.Vars...)
		funcs = append(append(funcs, typ.Funcs...), typ.Methods...)
	}
	return values, funcs
}

// exportedAPI returns the exported declarations, without comments and without the values
// of typed constants and variables.
func exportedAPI(t *testing.T, dir string) string {
	pkg, fset := goDoc(t, dir, 0)
	values, funcs := members(pkg)
	var decls []ast.Decl
	for _, v := range values {
		for _, spec := range v.Decl.Specs {
			if spec := spec.(*ast.ValueSpec); spec.Type != nil {
				spec.Values = nil
			}
		}
		decls = append(decls, v.Decl)
	}
	for _, typ := range pkg.Types {
		decls = append(decls, typ.Decl)
	}
	for _, f := range funcs {
		decls = append(decls, f.Decl)
	}
	out := "package " + pkg.Name + "\n"
	for _, decl := range decls {
		var b strings.Builder
		if err := format.Node(&b, fset, decl); err != nil {
			t.Fatal(err)
		}
		// Blank lines are where the comments were.
		out += "\n" + regexp.MustCompile(`\n\s*\n`).ReplaceAllString(b.String(), "\n") + "\n"
	}
	formatted, err := format.Source([]byte(out)) // aligns fields without their comments
	if err != nil {
		t.Fatal(err)
	}
	return string(formatted)
}

// Every exported name has a doc comment. The comment begins with the name, except for
// fields, constants, and variables.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, dir := range []string{".", "retrytest"} {
		pkg, _ := goDoc(t, dir, parser.ParseComments)
		check := func(name, comment, start string) {
			comment = strings.TrimPrefix(strings.TrimPrefix(comment, "A "), "An ")
			if strings.TrimSpace(comment) == "" || !strings.HasPrefix(comment, start) {
				t.Errorf("%s: comment of %s = %q, want it to begin with %q", dir, name, comment, start)
			}
		}
		check("package", pkg.Doc, "Package "+pkg.Name)
		values, funcs := members(pkg)
		for _, v := range values {
			for _, spec := range v.Decl.Specs {
				spec := spec.(*ast.ValueSpec)
				comment := spec.Doc.Text() + spec.Comment.Text()
				if len(v.Decl.Specs) == 1 {
					comment += v.Doc
				}
				check(spec.Names[0].Name, comment, "")
			}
		}
		for _, f := range funcs {
			check(f.Name, f.Doc, f.Name)
		}
		for _, typ := range pkg.Types {
			check(typ.Name, typ.Doc, typ.Name)
			if def, ok := typ.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType); ok {
				for _, field := range def.Fields.List {
					check(typ.Name+" fields", field.Doc.Text()+field.Comment.Text(), "")
				}
			}
		}
	}
}

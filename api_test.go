package retry_test

import (
	"flag"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update", false, "rewrite testdata/api.txt")

// TestAPI compares the exported API with a file, so that a change of the API is seen
// in a review.
func TestAPI(t *testing.T) {
	const file = "testdata/api.txt"
	got := "package retry\n\n" + exportedAPI(t, ".") + "\npackage retrytest\n\n" + exportedAPI(t, "retrytest")
	if *updateAPI {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(data), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		got, want := append(gotLines, make([]string, len(wantLines))...)[i], append(wantLines, make([]string, len(gotLines))...)[i]
		if got != want {
			t.Fatalf("%s:%d: API = %q, want %q (to change it, run go test -run TestAPI -update)", file, i+1, got, want)
		}
	}
}

// A declaration is one of the exported API, with its doc comment. It has no decl if it
// is a part of another one.
type declaration struct {
	name, doc string
	decl      ast.Decl
}

// declarations lists the exported API of the package in dir in the order of go doc.
func declarations(t *testing.T, dir string) (list []declaration, fset *token.FileSet) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset = token.NewFileSet()
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "example.com/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	values := func(values []*doc.Value) {
		for _, v := range values {
			list = append(list, declaration{"", v.Doc, v.Decl})
			for _, spec := range v.Decl.Specs {
				spec := spec.(*ast.ValueSpec)
				comment := spec.Doc.Text() + spec.Comment.Text()
				if len(v.Decl.Specs) == 1 {
					comment += v.Doc
				}
				for _, name := range spec.Names {
					list = append(list, declaration{name.Name, comment, nil})
				}
			}
		}
	}
	funcs := func(prefix string, funcs []*doc.Func) {
		for _, f := range funcs {
			list = append(list, declaration{prefix + f.Name, f.Doc, f.Decl})
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs("", pkg.Funcs)
	for _, typ := range pkg.Types {
		list = append(list, declaration{typ.Name, typ.Doc, typ.Decl})
		if def, ok := typ.Decl.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType); ok {
			for _, field := range def.Fields.List {
				for _, name := range field.Names {
					list = append(list, declaration{typ.Name + "." + name.Name, field.Doc.Text() + field.Comment.Text(), nil})
				}
			}
		}
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
	}
	return append(list, declaration{"package", pkg.Doc, nil}), fset
}

// exportedAPI prints the declarations without comments, bodies, and values that are an
// implementation.
func exportedAPI(t *testing.T, dir string) string {
	list, fset := declarations(t, dir)
	var out strings.Builder
	for _, d := range list {
		if d.decl == nil {
			continue
		}
		ast.Inspect(d.decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				n.Doc = nil
			case *ast.FuncDecl:
				n.Doc, n.Body = nil, nil
			case *ast.TypeSpec:
				n.Doc, n.Comment = nil, nil
			case *ast.ValueSpec:
				n.Doc, n.Comment = nil, nil
				if n.Type != nil {
					n.Values = nil
				}
			case *ast.Field:
				n.Doc, n.Comment = nil, nil
			}
			return true
		})
		var b strings.Builder
		if err := printer.Fprint(&b, fset, d.decl); err != nil {
			t.Fatal(err)
		}
		// Blank lines are where the comments were.
		lines := slices.DeleteFunc(strings.Split(b.String(), "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
		out.WriteString(strings.Join(lines, "\n") + "\n\n")
	}
	formatted, err := format.Source([]byte(out.String())) // aligns fields without their comments
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(formatted)) + "\n"
}

// Every exported name has a doc comment. Except for fields, it begins with the name.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, dir := range []string{".", "retrytest"} {
		list, _ := declarations(t, dir)
		for _, d := range list {
			name := d.name[strings.LastIndex(d.name, ".")+1:]
			comment := strings.TrimPrefix(strings.TrimPrefix(d.doc, "A "), "An ")
			if strings.TrimSpace(d.doc) == "" && d.name != "" || d.decl != nil && !strings.HasPrefix(comment, name) {
				t.Errorf("%s: doc comment of %s = %q, want one that begins with its name", dir, d.name, d.doc)
			}
		}
	}
}

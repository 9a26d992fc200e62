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
	"strings"
	"testing"
)

var updateAPI = flag.Bool("update", false, "write testdata/api.txt anew")

const apiFile = "testdata/api.txt"

// TestAPI keeps the exported API in a file, so that a change of it is seen where
// changes are reviewed.
func TestAPI(t *testing.T) {
	got := exportedAPI(t)
	if *updateAPI {
		if err := os.WriteFile(apiFile, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the exported API is not that of %s; if it is meant to change, run go test -run TestAPI -update\ngot:\n%s", apiFile, got)
	}
}

// exportedAPI prints each exported declaration, without comments, bodies and
// values that are an implementation.
func exportedAPI(t *testing.T) string {
	pkg, fset := parsePackage(t)
	var out strings.Builder
	declare := func(decl ast.Decl) {
		ast.Inspect(decl, strip)
		var b strings.Builder
		if err := (&printer.Config{Mode: printer.UseSpaces, Tabwidth: 4}).Fprint(&b, fset, decl); err != nil {
			t.Fatal(err)
		}
		// Blank lines are where the comments were.
		for line := range strings.Lines(b.String() + "\n") {
			if strings.TrimSpace(line) != "" {
				out.WriteString(line)
			}
		}
		out.WriteString("\n")
	}
	values := func(values []*doc.Value) {
		for _, v := range values {
			declare(v.Decl)
		}
	}
	funcs := func(funcs []*doc.Func) {
		for _, f := range funcs {
			declare(f.Decl)
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs)
	for _, typ := range pkg.Types {
		declare(typ.Decl)
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	// In one piece, for struct fields are to be aligned without their comments.
	formatted, err := format.Source([]byte(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(formatted)) + "\n"
}

// strip removes what is not API from a declaration.
func strip(n ast.Node) bool {
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
}

// TestEveryExportedNameIsDocumented looks at what a reader of go doc sees. The
// comment of a type may speak for the methods of an interface, if it names them.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	pkg, _ := parsePackage(t)
	if pkg.Doc == "" {
		t.Error("package has no doc comment")
	}
	names := 0
	check := func(name, comment string) {
		if names++; strings.TrimSpace(comment) == "" {
			t.Errorf("%s has no doc comment", name)
		}
	}
	// named also wants the comment to begin with the name, as go doc has it.
	named := func(prefix, name, comment string) {
		check(prefix+name, comment)
		comment = strings.TrimPrefix(strings.TrimPrefix(comment, "A "), "An ")
		if comment != "" && !strings.HasPrefix(comment, name) {
			t.Errorf("doc comment of %s%s does not begin with its name: %s", prefix, name, comment)
		}
	}
	values := func(values []*doc.Value) {
		for _, v := range values {
			for _, spec := range v.Decl.Specs {
				spec := spec.(*ast.ValueSpec)
				comment := spec.Doc.Text() + spec.Comment.Text()
				if len(v.Decl.Specs) == 1 {
					comment += v.Doc
				}
				for _, name := range spec.Names {
					if name.IsExported() {
						named("", name.Name, comment)
					}
				}
			}
		}
	}
	funcs := func(prefix string, funcs []*doc.Func) {
		for _, f := range funcs {
			named(prefix, f.Name, f.Doc)
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs("", pkg.Funcs)
	for _, typ := range pkg.Types {
		named("", typ.Name, typ.Doc)
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
		var fields *ast.FieldList
		speaksForAll := ""
		switch def := typ.Decl.Specs[0].(*ast.TypeSpec).Type.(type) {
		case *ast.StructType:
			fields = def.Fields
		case *ast.InterfaceType:
			fields, speaksForAll = def.Methods, typ.Doc
		default:
			continue
		}
		for _, field := range fields.List {
			for _, name := range field.Names {
				comment := field.Doc.Text() + field.Comment.Text()
				if strings.Contains(speaksForAll, name.Name) {
					comment += speaksForAll
				}
				check(typ.Name+"."+name.Name, comment)
			}
		}
	}
	if names < 60 {
		t.Errorf("only %d exported names were found", names)
	}
}

// parsePackage reads the package as go doc does: what is not exported is left out.
func parsePackage(t *testing.T) (*doc.Package, *token.FileSet) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
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
	pkg, err := doc.NewFromFiles(fset, files, "example.com/retry")
	if err != nil {
		t.Fatal(err)
	}
	return pkg, fset
}

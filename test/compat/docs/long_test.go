// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWhatTakesLongIsListed compares test/long.txt, which make long runs, with the tests that are
// shorter under make test.
func TestWhatTakesLongIsListed(t *testing.T) {
	var listed []string
	makefile := read(t, "Makefile")
	for line := range strings.Lines(read(t, "test/long.txt")) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) != 3 {
			t.Fatalf("not minutes, package and test: %q", line)
		}
		if fields[1] != "make" {
			listed = append(listed, fields[1]+" "+fields[2])
		} else if !strings.Contains(makefile, "\n"+fields[2]+":") {
			t.Errorf("the Makefile has no target %s", fields[2])
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(shortened(t), listed); diff != "" {
		t.Errorf("tests that ask testing.Short (-) and lines of test/long.txt (+):\n%s", diff)
	}
}

// shortened are the tests that ask testing.Short, themselves or in a function of their package.
func shortened(t *testing.T) []string {
	t.Helper()
	packages := map[string][]*ast.File{}
	for _, dir := range []string{"api", "cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			in := strings.TrimPrefix(filepath.Dir(path), root+"/")
			packages["./"+in] = append(packages["./"+in], file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var found []string
	for in, files := range packages {
		for _, name := range askers(files) {
			found = append(found, in+" "+name)
		}
	}
	slices.Sort(found)
	return found
}

// askers are the tests that call testing.Short or a function that does.
func askers(files []*ast.File) []string {
	calls := map[string][]string{}
	for _, file := range files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Body != nil {
				calls[f.Name.Name] = append(calls[f.Name.Name], called(f.Body)...)
			}
		}
	}
	asks := map[string]bool{"testing.Short": true}
	for grown := true; grown; {
		grown = false
		for name, callees := range calls {
			if !asks[name] && slices.ContainsFunc(callees, func(c string) bool { return asks[c] }) {
				asks[name], grown = true, true
			}
		}
	}
	return slices.DeleteFunc(slices.Collect(maps.Keys(asks)), func(name string) bool { return !strings.HasPrefix(name, "Test") || name == "TestMain" })
}

func called(body *ast.BlockStmt) []string {
	var names []string
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.Ident:
			names = append(names, f.Name)
		case *ast.SelectorExpr:
			if in, ok := f.X.(*ast.Ident); ok {
				names = append(names, in.Name+"."+f.Sel.Name)
			}
		}
		return true
	})
	return names
}

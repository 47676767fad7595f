// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// deletions are the functions of the controllers that delete objects, and what protects what lives
// from them: late caches, one wrong clock, and a version before that of the writer.
var deletions = map[string]string{
	"output.Delete":                  "the UID and the version that were read",
	"output.RemoveFormer":            "it is read live, and so is the object that took its place",
	"publish.Delete":                 "no newer version wrote it",
	"publish.write":                  "it has another type, which no version writes",
	"registry.Reconcile":             "the owner is not there, read live",
	"oauth2resource.checkIdentifier": "publish.Delete: the identifier is reserved by a flag",
	"trustedissuer.publish":          "publish.Delete: the issuer may not be trusted, or never had keys",
	"usagereport.Reconcile":          "apiclock.Time.Agreed",
	"tokenrevocation.remove":         "apiclock.Time.Past, or another object has all that it has",
}

// TestEachDeletionIsProtected: a further function that deletes objects needs a row, and a reason.
func TestEachDeletionIsProtected(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(root, "internal/controller/*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, dir := range dirs {
		pkg := filepath.Base(dir)
		for _, f := range functionsIn(t, filepath.Join("internal/controller", pkg)) {
			if deletes(f) {
				found[pkg+"."+f.Name.Name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if deletions[name] == "" {
			t.Errorf("%s deletes objects: what protects those that are needed?", name)
		}
	}
	for name := range deletions {
		if !found[name] {
			t.Errorf("%s deletes nothing any more", name)
		}
	}
}

// deletes reports whether a function deletes objects of the API server: the first argument is a
// context.
func deletes(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		name := ""
		switch called := call.Fun.(type) {
		case *ast.SelectorExpr:
			name = called.Sel.Name
		case *ast.Ident:
			name = called.Name
		}
		first, isName := call.Args[0].(*ast.Ident)
		found = found || isName && first.Name == "ctx" && (name == "Delete" || name == "DeleteAllOf")
		return true
	})
	return found
}

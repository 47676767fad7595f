// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/conditions"
)

// kindsOf are the kinds in whose status a package of internal/controller writes conditions. What a
// function of another package there returns is of the kinds of those that call it.
var kindsOf = map[string]string{
	"oauth2client": "OAuth2Client", "oauth2token": "OAuth2Token", "oauth2resource": "OAuth2Resource", "oauth2policy": "OAuth2Policy",
	"trustedissuer": "OAuth2TrustedIssuer", "tokenrevocation": "TokenRevocation",
}

// TestEachConditionOfAControllerHasARow: a constructor that its comment calls one of another kind,
// or of any object, has a row for each kind whose controller calls it. Every constructor is called.
func TestEachConditionOfAControllerHasARow(t *testing.T) {
	rows, err := conditions.Table(root)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range rows {
		listed[row.Name()] = true
	}
	words, constructors := readConditions(t)
	names := namesIn(t, "api/v1alpha1")
	dirs, err := filepath.Glob(filepath.Join(root, "internal/controller/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		maps.Copy(names, namesIn(t, filepath.Join("internal/controller", filepath.Base(dir))))
	}
	closeOver(names)
	used, missing := map[string]bool{}, map[string][]string{}
	for of, all := range names {
		pkg, _, _ := strings.Cut(of, ".")
		if pkg != "v1alpha1" {
			maps.Copy(used, all)
		}
		for name := range all {
			reason := words[strings.TrimPrefix(name, "v1alpha1.")]
			row := conditions.Row{Kind: kindsOf[pkg], Reason: reason}
			if strings.HasPrefix(name, "v1alpha1.Reason") && reason != "" && row.Kind != "" && !listed[row.Name()] {
				missing[row.Name()] = append(missing[row.Name()], of)
			}
		}
	}
	for row, by := range missing {
		t.Errorf("docs/conditions.md has no row for %s, which %s can report", row, slices.Min(by))
	}
	for _, f := range constructors {
		if !used["v1alpha1."+f.Name.Name] {
			t.Errorf("no controller uses the condition %s", f.Name.Name)
		}
	}
}

// namesIn are the names, with their packages, that each function of a package uses: those of the
// package, and of the other packages.
func namesIn(t *testing.T, dir string) map[string]map[string]bool {
	t.Helper()
	pkg, names := filepath.Base(dir), map[string]map[string]bool{}
	for _, f := range functionsIn(t, dir) {
		of := pkg + "." + f.Name.Name
		if names[of] == nil { // methods of one name count as one
			names[of] = map[string]bool{}
		}
		maps.Copy(names[of], namesOf(pkg, f.Body))
		if f.Recv != nil && f.Name.IsExported() && returnsCondition(f) {
			names["."+f.Name.Name] = names[of]
		}
	}
	return names
}

// functionsIn are the functions and methods of a package, without those of its tests.
func functionsIn(t *testing.T, dir string) (functions []*ast.FuncDecl) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Body != nil {
				functions = append(functions, f)
			}
		}
	}
	return functions
}

func returnsCondition(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	of, ok := f.Type.Results.List[0].Type.(*ast.SelectorExpr)
	return ok && of.Sel.Name == "Condition"
}

// namesOf are the names that a function uses. A condition that another one is compared with is not
// one that it reports.
func namesOf(pkg string, body ast.Node) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			return n.Op != token.EQL && n.Op != token.NEQ
		case *ast.CaseClause:
			for _, statement := range n.Body {
				maps.Copy(names, namesOf(pkg, statement))
			}
			return false
		case *ast.SelectorExpr:
			of, isName := n.X.(*ast.Ident)
			if isName {
				names[of.Name+"."+n.Sel.Name] = true
			}
			// a method, of the package or of another one
			if !isName || of.Name != "metav1" {
				names[pkg+"."+n.Sel.Name], names["."+n.Sel.Name] = true, true
			}
		case *ast.Ident:
			names[pkg+"."+n.Name] = true
		}
		return true
	})
	return names
}

// closeOver adds to what each function uses what those use that it uses.
func closeOver(names map[string]map[string]bool) {
	for of, all := range names { // variables, and what is of other packages
		maps.DeleteFunc(all, func(name string, _ bool) bool {
			return name == of || names[name] == nil && !strings.HasPrefix(name, "v1alpha1.Reason")
		})
	}
	for changed := true; changed; {
		changed = false
		for _, all := range names {
			before := len(all)
			for _, name := range slices.Collect(maps.Keys(all)) {
				maps.Copy(all, names[name])
			}
			changed = changed || len(all) > before
		}
	}
}

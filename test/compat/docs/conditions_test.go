// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/test/kit/conditions"
)

// kindOf finds in the comment of a constructor of which kind its condition is.
var kindOf = regexp.MustCompile(`\ban? (?:Fixed )?(TokenRevocation|client|OAuth2Token|token|resource|policy|issuer)\b`)

var kinds = map[string]string{
	"client": "OAuth2Client", "OAuth2Token": "OAuth2Token", "token": "OAuth2Token", "resource": "OAuth2Resource", "policy": "OAuth2Policy",
	"TokenRevocation": "TokenRevocation", "issuer": "OAuth2TrustedIssuer",
}

// TestEachReasonHasARow compares the table of conditions with the constructors and the reasons of
// the API.
func TestEachReasonHasARow(t *testing.T) {
	rows, err := conditions.Table(root)
	if err != nil {
		t.Fatal(err)
	}
	reasons, listed := map[string]bool{}, map[string]bool{}
	for _, row := range rows {
		if listed[row.Name()] {
			t.Errorf("docs/conditions.md has %s twice", row.Name())
		}
		reasons[row.Reason], listed[row.Name()] = true, true
		for _, cell := range []string{row.Ends, row.NoticedBy, row.Within} {
			if cell == "" {
				t.Errorf("docs/conditions.md says too little about %s", row.Name())
			}
		}
	}
	words, constructors := readConditions(t)
	for name, value := range words {
		if strings.HasPrefix(name, "Reason") && !reasons[value] {
			t.Errorf("docs/conditions.md has no row for %s", name)
		}
	}
	for _, row := range rows {
		if !hasValue(words, row.Reason) {
			t.Errorf("docs/conditions.md has a row for %s, which the API does not have", row.Name())
		}
	}
	if len(constructors) < 40 || len(words) < 40 {
		t.Fatalf("found %d constructors and %d words; does this test still find all?", len(constructors), len(words))
	}
	for _, f := range constructors {
		kind := kindOf.FindStringSubmatch(f.Doc.Text())
		if kind == nil {
			continue // of several kinds
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok && strings.HasPrefix(name.Name, "Reason") && words[name.Name] != "" {
				if row := (conditions.Row{Kind: kinds[kind[1]], Reason: words[name.Name]}); !listed[row.Name()] {
					t.Errorf("docs/conditions.md has no row for %s of %s", row.Name(), f.Name.Name)
				}
			}
			return true
		})
	}
}

func hasValue(words map[string]string, value string) bool {
	for name, has := range words {
		if has == value && (strings.HasPrefix(name, "Reason") || strings.HasPrefix(name, "Condition")) {
			return true
		}
	}
	return false
}

// readConditions returns the constants of the API by name, and the constructors of conditions.
func readConditions(t *testing.T) (words map[string]string, constructors []*ast.FuncDecl) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "api/v1alpha1/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	words = map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						if literal, ok := n.Values[i].(*ast.BasicLit); ok && literal.Kind == token.STRING {
							words[name.Name], _ = strconv.Unquote(literal.Value)
						}
					}
				}
			case *ast.FuncDecl:
				if n.Type.Results != nil && len(n.Type.Results.List) == 1 && n.Name.IsExported() {
					if of, ok := n.Type.Results.List[0].Type.(*ast.SelectorExpr); ok && of.Sel.Name == "Condition" {
						constructors = append(constructors, n)
					}
				}
			}
			return true
		})
	}
	return words, constructors
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// growing is a type of a field that can grow, or that many share.
var growing = regexp.MustCompile(`\bchan |sync\.Map|list\.List|Schedule\[|singleflight\.|Proposals\[|budget\.(Budget|Places)|attempt\.|workqueue\.|semaphore\.`)

// values are the types with such fields that are not shared: the values of one object or request,
// what a process has once, and what only administrators add to.
var values = []string{
	// one object, record, decision or page
	"credential.Plan", "credential.Uses", "keysecret.write", "oauth2.Client", "oauth2.Consent", "oauth2client.consents", "oauth2client.decision", "oauth2client.seen", "publish.Record",
	"registration.wireConsent", "registration.wireRegistration", "usagereport.record", "inventory.tally", "tokenrevocation.look",
	// the policies, revocations, keys and issuers of administrators
	"keyring.Ring", "seal.Key", "oauth2policy.Reconciler", "signingkeys.Reconciler", "sealingkeys.Reconciler", "tokenrevocation.Reconciler", "trustedissuer.Reconciler",
	// the endpoints, kinds and signals of a process
	"app.mapper", "app.reporting", "audit.Metrics", "directory.snapshots", "packed.handlers", "watch.Watches",
	// attempt.Backoff, which is on the page
	"oauth2resource.Reconciler", "oauth2token.Reconciler",
}

// pools are the variables that have what a request needs, between two requests. The garbage
// collector empties them, and there are as many as requests were in work at once.
var pools = []string{"audit.lines", "audit.records", "serve.writers", "tokenserver.bodies"}

// Each table, cache and queue of the code that callers or tenants can fill is on the page, with the
// test of its bound.
func TestWhatIsSharedIsOnThePage(t *testing.T) {
	section := sectionOf(t, read(t, "docs/threat-model.md"), "## Shared tables, budgets, caches and queues")
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || cells[0] == " what" {
			continue
		}
		rows++
		if len(cells) != 5 || !namedTest.MatchString(cells[4]) {
			t.Errorf("no test shows the bound of%s", cells[0])
		}
	}
	if rows < 35 {
		t.Errorf("%d rows; does this test still read the page right?", rows)
	}
	var found []string
	for _, dir := range []string{"internal", "cmd/login", "cmd/manager", "cmd/tokenserver"} {
		found = append(found, typesThatGrow(t, dir)...)
	}
	for _, name := range found {
		if listed := strings.Contains(section, "`"+name+"`"); listed == slices.Contains(values, name) {
			t.Errorf("%s has a table, a queue or a budget: it belongs either on the page or among the values of this test", name)
		}
	}
	var vars []string
	for _, dir := range []string{"internal", "cmd/login", "cmd/manager", "cmd/tokenserver"} {
		vars = append(vars, varsThatGrow(t, dir)...)
	}
	slices.Sort(vars)
	if diff := cmp.Diff(pools, vars); diff != "" {
		t.Errorf("variables of packages that grow: each belongs into a type that is on the page, or is a pool (-want +got):\n%s", diff)
	}
	for _, name := range values {
		if !slices.Contains(found, name) {
			t.Errorf("%s has no table any more", name)
		}
	}
	for _, code := range regexp.MustCompile("`([a-z0-9]+\\.[a-zA-Z]+)`").FindAllStringSubmatch(section, -1) {
		if name := code[1]; !strings.Contains(name, ".Test") && !slices.Contains(found, name) {
			t.Errorf("the page names %s, which has no table", name)
		}
	}
}

// typesThatGrow are the structs below a directory that have a field whose type is growing, or that
// have a lock and a slice, each as package and name.
func typesThatGrow(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, declared := token.NewFileSet(), []declaration(nil)
	eachFile(t, files, dir, func(path string, _ []byte, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				declared = append(declared, declaration{file.Name.Name, filepath.Dir(path), spec})
			}
			return true
		})
	})
	maps := map[string]bool{} // the types that are maps, by directory and name
	for _, d := range declared {
		if _, ok := d.spec.Type.(*ast.MapType); ok {
			maps[d.dir+"."+d.spec.Name.Name] = true
		}
	}
	for _, d := range declared {
		if grows(t, files, d.spec, func(name string) bool { return maps[d.dir+"."+name] }) {
			names = append(names, d.in+"."+d.spec.Name.Name)
		}
	}
	return names
}

// varsThatGrow are the variables of packages below a directory that are maps, pools or channels,
// but for tables that are constant by their comments.
func varsThatGrow(t *testing.T, dir string) (names []string) {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^(?:var |\t)(\w+) .*(?:= map\[|= make\(|sync\.Map|sync\.Pool|chan ).*$`)
	files := token.NewFileSet()
	eachFile(t, files, dir, func(_ string, source []byte, file *ast.File) {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR {
				continue
			}
			begin, end := files.Position(group.Pos()).Offset, files.Position(group.End()).Offset
			lines := string(source[begin:end]) + restOfLine(string(source[end:]))
			for _, found := range declared.FindAllStringSubmatch(lines, -1) {
				if !strings.Contains(found[0], "constant") && !strings.Contains(found[0], ":=") {
					names = append(names, file.Name.Name+"."+found[1])
				}
			}
		}
	})
	return names
}

// eachFile visits the source files of packages below a directory.
func eachFile(t *testing.T, files *token.FileSet, dir string, visit func(path string, source []byte, file *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
		if err == nil {
			visit(path, source, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// restOfLine is what follows on the same line.
func restOfLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// declaration is a type of a package.
type declaration struct {
	in, dir string
	spec    *ast.TypeSpec
}

// grows reports whether a type is a struct that can grow. isMap is about the types of its package.
func grows(t *testing.T, files *token.FileSet, spec *ast.TypeSpec, isMap func(name string) bool) bool {
	t.Helper()
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return false
	}
	isLocked, hasSlice := false, false
	for _, field := range fields.Fields.List {
		var text strings.Builder
		if err := format.Node(&text, files, field.Type); err != nil {
			t.Fatal(err)
		}
		if hasMap(field.Type, isMap) || growing.MatchString(text.String()) {
			return true
		}
		isLocked = isLocked || lock.MatchString(text.String())
		hasSlice = hasSlice || strings.Contains(text.String(), "[]")
	}
	return isLocked && hasSlice
}

// lock is a type of a field that is there because others change.
var lock = regexp.MustCompile(`^sync\.(RW)?Mutex$`)

// hasMap reports whether a field has a map, itself or in a part of it.
func hasMap(field ast.Expr, isMap func(name string) bool) (found bool) {
	ast.Inspect(field, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr: // of another package
			return false
		case *ast.Ident:
			found = found || isMap(n.Name)
		case *ast.MapType:
			found = true
		case *ast.FuncType, *ast.InterfaceType:
			return false // what they take or return is not a part
		}
		return !found
	})
	return found
}

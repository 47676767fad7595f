// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// measured is a declaration or a file and its size.
type measured struct {
	name string
	size int
}

// figure is the largest size of a kind and its declaration, or a count.
type figure struct {
	name  string
	value int
	where string
	next  []measured // the next largest
}

// report has the sizes of all declarations of the product.
type report struct {
	files     []measured
	functions []measured
	fields    []measured // of structs
	// holders are the structs with their number of methods, plus the functions of their package
	// that take a pointer to one.
	holders []measured
	upward  []string // imports
	impure  []string // packages of the core with what they must not import or call
}

// figures are all figures of the report.
func (h *report) figures() []figure {
	var median, tenth int // a tenth of the functions is longer
	if functions := largest(h.functions); len(functions) > 0 {
		median, tenth = functions[len(functions)/2].size, functions[len(functions)/10].size
	}
	return []figure{
		ofLargest("methods of one type, functions on it included", h.holders),
		ofLargest("fields of one struct", h.fields),
		{name: "lines of a function, median", value: median},
		{name: "lines of a function, p90", value: tenth},
		ofLargest("lines of a function, max", h.functions),
		ofLargest("lines of a file, max", h.files),
		{name: "imports of a higher layer", value: len(h.upward), where: strings.Join(h.upward, ", ")},
		{name: "core packages with state, clock or I/O", value: len(h.impure), where: strings.Join(h.impure, ", ")},
	}
}

func ofLargest(name string, all []measured) figure {
	sorted := largest(all)
	if len(sorted) == 0 {
		return figure{name: name}
	}
	return figure{name: name, value: sorted[0].size, where: sorted[0].name, next: sorted[1:min(len(sorted), 6)]}
}

// largest sorts by size, the largest first.
func largest(all []measured) []measured {
	return slices.SortedFunc(slices.Values(all), func(a, b measured) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
}

// read reads the product in these directories of a root.
func read(root string, dirs ...string) (*report, error) {
	h := &report{}
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			return h.readPackage(root, filepath.ToSlash(rel))
		})
		if err != nil {
			return nil, err
		}
	}
	if len(h.functions) == 0 {
		return nil, fmt.Errorf("no Go code in %s", root)
	}
	return h, nil
}

// readPackage reads the files of one directory.
func (h *report) readPackage(root, dir string) error {
	names, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	p := &packageReader{report: h, dir: dir, set: token.NewFileSet(), holders: map[string]int{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.set, name, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		if !ast.IsGenerated(file) {
			p.add(filepath.Base(name), file)
		}
	}
	p.done()
	return nil
}

// packageReader reads one package.
type packageReader struct {
	*report

	dir     string
	set     *token.FileSet
	holders map[string]int
	structs []string
	impure  []string
}

func (p *packageReader) add(name string, file *ast.File) {
	p.files = append(p.files, measured{p.dir + "/" + name, p.set.File(file.Pos()).LineCount()})
	for _, spec := range file.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			p.imports(path)
		}
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			p.function(d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					p.structure(t)
				}
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok && readsClock(call) {
			p.impure = append(p.impure, "a clock")
		}
		return true
	})
}

// done adds what is known after the last file of the package.
func (p *packageReader) done() {
	for _, name := range p.structs {
		if n := p.holders[name]; n > 0 {
			p.report.holders = append(p.report.holders, measured{p.dir + "." + name, n})
		}
	}
	if slices.Contains(core, p.dir) && len(p.impure) > 0 {
		slices.Sort(p.impure)
		p.report.impure = append(p.report.impure, p.dir+" ("+strings.Join(slices.Compact(p.impure), ", ")+")")
	}
}

func (p *packageReader) function(f *ast.FuncDecl) {
	lines := p.set.Position(f.End()).Line - p.set.Position(f.Pos()).Line + 1
	p.functions = append(p.functions, measured{fmt.Sprintf("%s.%s %s", p.dir, receiver(f), f.Name.Name), lines})
	if f.Recv != nil {
		p.holders[receiver(f)]++
		return
	}
	taken := map[string]bool{}
	for _, parameter := range f.Type.Params.List {
		if pointer, ok := parameter.Type.(*ast.StarExpr); ok {
			taken[typeName(pointer.X)] = true
		}
	}
	for name := range taken {
		p.holders[name]++
	}
}

// receiver is the name of the type that a method belongs to; empty for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	return typeName(of)
}

// typeName is the name of a type of this package without its type parameters; empty for another
// type.
func typeName(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.Ident:
		return of.Name
	case *ast.IndexExpr:
		return typeName(of.X)
	case *ast.IndexListExpr:
		return typeName(of.X)
	}
	return ""
}

// configuration matches the names of structs that are set once at the start and only read
// afterwards.
var configuration = regexp.MustCompile(`(Config|Options|settings)$`)

func (p *packageReader) structure(t *ast.TypeSpec) {
	structure, ok := t.Type.(*ast.StructType)
	if !ok || strings.HasPrefix(p.dir, "api/") {
		return
	}
	p.structs = append(p.structs, t.Name.Name)
	if configuration.MatchString(t.Name.Name) {
		return
	}
	n, isWritten := 0, true
	for _, field := range structure.Fields.List {
		n += max(1, len(field.Names))
		isWritten = isWritten && field.Tag != nil && strings.Contains(field.Tag.Value, `json:"`)
	}
	// a form that others read or that is stored, such as the metadata of RFC 8414
	if isWritten {
		return
	}
	p.fields = append(p.fields, measured{p.dir + "." + t.Name.Name, n})
}

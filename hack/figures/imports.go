// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"slices"
	"strings"
)

const module = "github.com/hallpass-dev/hallpass/"

// layers are the packages from the lowest layer to the highest, by path prefix; the longest
// matching prefix applies. A package may import packages of its own layer and of lower ones. The
// imports within a layer are restricted by .golangci.yml.
var layers = [][]string{ //nolint:gochecknoglobals // a constant list
	{"internal/strictjson", "internal/wire"},
	{
		"internal/jws", "api", "internal/restore", "internal/serve", "internal/budget", "internal/apiclock", "internal/seal", "internal/outbound",
		"internal/loginport",
	},
	{"internal/keyring"},
	{"internal/oauth2"},
	{"internal/usage", "internal/revocation", "internal/codegrant"},
	{"internal/credential"},
	{"internal/registration"},
	{"internal/auth", "internal/answer", "internal/directory/memory", "internal/directory/watch"},
	{"internal/audit"},
	{"internal"}, // controllers, the endpoints of the token server, and what they use
	{"cmd"},
}

// core are the packages without state, clock and I/O.
var core = []string{ //nolint:gochecknoglobals // a constant list
	"internal/codegrant", "internal/credential", "internal/jws", "internal/keyring", "internal/oauth2", "internal/registration",
	"internal/seal", "internal/strictjson", "internal/usage", "internal/wire",
}

// outside are the packages that the core must not import, by path prefix.
var outside = []string{"sync", "net/http", "k8s.io", "sigs.k8s.io", "log", "github.com/go-logr"} //nolint:gochecknoglobals // a constant list

// imports records an import.
func (p *packageReader) imports(path string) {
	if own, ok := strings.CutPrefix(path, module); ok {
		if layer(own) > layer(p.dir) {
			p.upward = append(p.upward, p.dir+" imports "+own)
		}
		return
	}
	for _, prefix := range outside {
		// log/slog is allowed: slog.LogValuer redacts secrets.
		if path != "log/slog" && (path == prefix || strings.HasPrefix(path, prefix+"/")) {
			p.impure = append(p.impure, path)
		}
	}
}

// layer is the index of the layer of a package.
func layer(dir string) int {
	found, length := 0, -1
	for i, packages := range layers {
		for _, prefix := range packages {
			if (dir == prefix || strings.HasPrefix(dir, prefix+"/")) && len(prefix) > length {
				found, length = i, len(prefix)
			}
		}
	}
	return found
}

// clock are the functions of package time that read the clock or wait.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"} //nolint:gochecknoglobals // a constant list

func readsClock(selector *ast.SelectorExpr) bool {
	of, ok := selector.X.(*ast.Ident)
	return ok && of.Name == "time" && slices.Contains(clock, selector.Sel.Name)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The verifier for the programs of users is in a module of its own, which imports no package of
// this one: it has a copy of the conversion that refuses forged signatures.
func TestTheClientModuleHasTheSameConversionOfSignatures(t *testing.T) {
	read := func(path string) string {
		t.Helper()
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, function, found := strings.Cut(string(source), "\nfunc derFromRaw(")
		function, _, ended := strings.Cut(function, "\n}\n")
		if !found || !ended {
			t.Fatalf("%s has no derFromRaw", path)
		}
		return function
	}
	if diff := cmp.Diff(read("es256.go"), read("../../client/verify/jws.go")); diff != "" {
		t.Error("the two differ (-here +client):\n" + diff)
	}
}

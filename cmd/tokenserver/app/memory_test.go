// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// shipped is a figure in MiB of the deployment of the token server.
func shipped(t *testing.T, pattern string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "tokenserver", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(content)
	if found == nil {
		t.Fatalf("the deployment has no %s", pattern)
	}
	mib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return mib << 20
}

func TestAllThatIsHeldFitsTheContainer(t *testing.T) {
	sum := 0
	for _, h := range holdings() {
		sum += h.many * h.bytes
	}
	goal, limit := shipped(t, `GOMEMLIMIT, value: (\d+)MiB`), shipped(t, `limits: {memory: (\d+)Mi}`)
	if sum > goal*4/5 { // the rest is what the garbage collector has not found yet
		t.Errorf("%d MiB are held, more than four fifths of GOMEMLIMIT (%d MiB)", sum>>20, goal>>20)
	}
	if file := snapshotFile(); goal+file.many*file.bytes > limit {
		t.Errorf("GOMEMLIMIT and %d MiB of snapshots do not fit the limit of %d MiB", file.many*file.bytes>>20, limit>>20)
	}
}

func TestTheDocsHaveTheTableOfMemory(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "token-server.md"))
	if err != nil {
		t.Fatal(err)
	}
	sum, table := 0, "| what | how many | bytes each | MiB |\n|---|---|---|---|\n"
	for _, h := range holdings() {
		sum += h.many * h.bytes
		table += fmt.Sprintf("| %s | %d | %d | %.1f |\n", h.what, h.many, h.bytes, float64(h.many*h.bytes)/(1<<20))
	}
	table += fmt.Sprintf("| in all | | | %.1f |\n", float64(sum)/(1<<20))
	if !strings.Contains(string(docs), table) {
		t.Errorf("docs/token-server.md lacks\n%s", table)
	}
}

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
	goal, limit := shipped(t, `GOMEMLIMIT, value: (\d+)MiB`), shipped(t, `limits: {memory: (\d+)Mi}`)
	if held := sum(holdings()); held >= goal {
		t.Errorf("%d MiB are held, more than GOMEMLIMIT (%d MiB)", held>>20, goal>>20)
	}
	if all := goal - heapHeadroom + sum(outside()); all >= limit { // nothing touches the headroom
		t.Errorf("%d MiB do not fit the limit of %d MiB", all>>20, limit>>20)
	}
}

func TestTheDocsHaveTheTableOfMemory(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "token-server.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := "| what | how many | bytes each | MiB |\n|---|---|---|---|\n"
	row := func(h holding) string {
		return fmt.Sprintf("| %s | %d | %d | %.1f |\n", h.what, h.many, h.bytes, float64(h.many*h.bytes)/(1<<20))
	}
	for _, h := range holdings() {
		table += row(h)
	}
	table += fmt.Sprintf("| sum, below `GOMEMLIMIT` of %d MiB | | | %.1f |\n", shipped(t, `GOMEMLIMIT, value: (\d+)MiB`)>>20, float64(sum(holdings()))/(1<<20))
	for _, h := range outside() {
		table += row(h)
	}
	if !strings.Contains(string(docs), table) {
		t.Errorf("docs/token-server.md lacks\n%s", table)
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Each table, cache and queue of the token server that docs/threat-model.md names is in the table
// of memory, and the other way round. A test of that page finds the types of the code that are
// missing on it.
func TestWhatIsSharedIsInTheTableOfMemory(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### Of the token server\n")
	section, _, found := strings.Cut(section, "\n### Of the manager\n")
	if !found {
		t.Fatal("the page has no tables of the token server and of the manager")
	}
	var onPage, inTable []string
	for line := range strings.Lines(section) {
		cells := strings.Split(line, " | ")
		if len(cells) < 2 {
			continue
		}
		for _, code := range regexp.MustCompile("`(\\w+[.]\\w+)`").FindAllStringSubmatch(cells[1], -1) {
			switch room, _, _ := strings.Cut(code[1], "."); room {
			case "login", "provider", "cluster": // another process
			default:
				onPage = append(onPage, code[1])
			}
		}
	}
	for _, h := range holdings(registration.MaxRecords) {
		inTable = append(inTable, h.code...)
	}
	if len(onPage) < 40 {
		t.Errorf("%d types on the page; does this test still read it right?", len(onPage))
	}
	for _, code := range onPage {
		if !slices.Contains(inTable, code) {
			t.Errorf("%s has no row in the table of memory", code)
		}
	}
	for _, code := range inTable {
		if !slices.Contains(onPage, code) {
			t.Errorf("the table of memory has %s, which the page does not name", code)
		}
	}
}

// rows is the sum of the rows that have one of these types.
func rows(types ...string) (bytes int) {
	for _, h := range holdings(registration.MaxRecords) {
		if slices.ContainsFunc(types, func(code string) bool { return slices.Contains(h.code, code) }) {
			bytes += h.many * h.bytes
		}
	}
	return bytes
}

// entry is the n-th of the entries of a test.
func entry(n int, now time.Time) revocation.Entry {
	r := revocation.NewEntry(revocation.IDOf(fmt.Sprint(n)), now.Add(time.Hour))
	r.IssuedAt = 1
	return r
}

// TestFullTablesOfRevocationsTakeWhatTheirRowsSay fills the tables to their bounds, with clients of
// as many namespaces as a cluster has.
func TestFullTablesOfRevocationsTakeWhatTheirRowsSay(t *testing.T) {
	callers := make([]revocation.Client, registration.ClientsIn(registration.MaxRecords))
	for n := range callers {
		namespace := fmt.Sprintf("team-%05d", n%namespaces)
		callers[n] = revocation.Client{ID: fmt.Sprintf("%s.payments-%02d", namespace, n/namespaces), Namespace: namespace}
	}
	callerOf := func(n int) revocation.Client { return callers[n%len(callers)] }
	now, ended := time.Now(), func() context.Context {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx
	}()
	for name, c := range map[string]struct {
		fill func() any
		most int
	}{
		"live revocations of all clients": {func() any {
			var state revocation.State
			for n := range revocation.MostLive {
				state.Revoke(entry(n, now), callerOf(n), now)
			}
			return &state
		}, rows("revocation.holders") + revocation.MostLive*setBytes},
		"used assertions of all namespaces": {func() any {
			var state revocation.State
			for n := range revocation.MostUsed {
				state.Use(entry(n, now), callerOf(n).Namespace, now, now)
			}
			return &state
		}, revocation.MostUsed*setBytes + namespaces*namespaceBytes/4},
		"revocations that wait for their write": {func() any {
			j := revocation.NewJournal(nil, time.Now, func(bool, int) {}, slog.New(slog.DiscardHandler))
			for n := range revocation.MostQueued {
				_ = j.Revoke(ended, entry(n, now), callerOf(n))
			}
			return j
		}, revocation.MostQueued*queuedBytes + namespaces*namespaceBytes*3/4},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			filled := c.fill()
			took := heap() - before
			t.Logf("%d bytes, of %d", took, c.most)
			if took > c.most {
				t.Errorf("it takes %d bytes, more than the %d of its rows", took, c.most)
			}
			runtime.KeepAlive(filled)
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

// A metric that no alert and no panel asks for is not read.
func TestEveryMetricIsInAnAlertOrOnTheDashboard(t *testing.T) {
	var exported []string
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				exported = append(exported, firstGroups(`"(hallpass_\w+)"`, sources(t, strings.TrimPrefix(path, root)))...)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// it is not registered
	exported = slices.DeleteFunc(exported, func(name string) bool { return name == "hallpass_unseen_total" })
	if len(exported) < 30 {
		t.Fatalf("%v; does this test still read them right?", exported)
	}
	watched := read(t, "config/monitoring/alerts.yaml") + read(t, "config/monitoring/dashboard.json")
	for _, name := range exported {
		if !regexp.MustCompile(`\b` + name + `(_bucket|_sum|_count)?\b`).MatchString(watched) {
			t.Errorf("no alert and no panel asks for %s", name)
		}
	}
}

// ofTenants are the controllers of the objects of tenants: one that fails is the tenant's own
// affair, and its status has the reason.
var ofTenants = []string{"oauth2client", "oauth2resource", "oauth2token"}

// TestTheAlertOnFailuresNoticesOneObject of every controller but those of tenants: each has few
// objects, and one is enough to end signing or serving. Such an object is tried again once in
// attempt.LastPause.
func TestTheAlertOnFailuresNoticesOneObject(t *testing.T) {
	own := regexp.MustCompile(`reconcile_errors_total\{controller!~"([^"]+)"\}\[10m\]\)\) > ([0-9.]+)\n`).FindStringSubmatch(read(t, "config/monitoring/alerts.yaml"))
	if own == nil {
		t.Fatal("no alert is about the failures of the manager's own controllers")
	}
	if excepted := strings.Split(own[1], "|"); !slices.Equal(slices.Sorted(slices.Values(excepted)), ofTenants) {
		t.Errorf("the alert excepts %v, want %v", excepted, ofTenants)
	}
	threshold, err := strconv.ParseFloat(own[2], 64)
	if rate := 1 / attempt.LastPause.Seconds(); err != nil || threshold >= rate {
		t.Errorf("the alert is raised above %s failures a second, and an object fails %.3f times (%v)", own[2], rate, err)
	}
	files, err := filepath.Glob(filepath.Join(root, "internal/controller/*/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		code := read(t, strings.TrimPrefix(file, root))
		if strings.HasSuffix(file, "_test.go") || !strings.Contains(code, "ctrl.NewControllerManagedBy(mgr)") {
			continue
		}
		found++
		if !strings.Contains(code, "attempt.RateLimiter()") {
			t.Errorf("%s: the pauses of a controller-runtime controller grow to 16 minutes", file)
		}
	}
	if found < 10 {
		t.Errorf("%d controllers; does this test still find all?", found)
	}
}

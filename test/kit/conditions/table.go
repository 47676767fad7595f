// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conditions reads the table of docs/conditions.md: what ends each condition, and who
// notices that.
package conditions

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Row is a row of the table.
type Row struct{ Kind, Reason, Ends, NoticedBy, Within string }

// Name is the kind and the reason.
func (r Row) Name() string { return r.Kind + "/" + r.Reason }

// Waits reports whether the condition can end without an edit of its object while the manager runs.
func (r Row) Waits() bool {
	return !strings.HasPrefix(r.NoticedBy, "its own edit") && !strings.HasPrefix(r.NoticedBy, "a start")
}

// duration is a time such as "a second" or "5 minutes", and what stands before it.
var duration = regexp.MustCompile(`(later )?\b(a|\d+) (second|minute)s?\b`)

// Longest is the longest time in the last column for which the condition may last after its cause
// has ended, unless it has lasted for minutes; zero if there is none, such as for a start.
func (r Row) Longest() time.Duration {
	var longest time.Duration
	for _, match := range duration.FindAllStringSubmatch(r.Within, -1) {
		if match[1] == "" {
			longest = max(longest, durationOf(match[2], match[3]))
		}
	}
	return longest
}

// Later is the time in the last column for a condition that has lasted for minutes; zero if it is
// the same.
func (r Row) Later() time.Duration {
	for _, match := range duration.FindAllStringSubmatch(r.Within, -1) {
		if match[1] != "" {
			return durationOf(match[2], match[3])
		}
	}
	return 0
}

func durationOf(number, unit string) time.Duration {
	n := 1
	if number != "a" {
		n, _ = strconv.Atoi(number) // it consists of digits
	}
	return time.Duration(n) * map[string]time.Duration{"second": time.Second, "minute": time.Minute}[unit]
}

// Table returns the rows of the page below the root of the repository.
func Table(root string) ([]Row, error) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "conditions.md"))
	if err != nil {
		return nil, fmt.Errorf("read the page of conditions: %w", err)
	}
	var rows []Row
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], "`") {
			continue
		}
		rows = append(rows, Row{
			strings.TrimPrefix(cells[0], "| "), strings.Trim(cells[1], "`"), cells[2], cells[3], strings.TrimSuffix(cells[4], " |"),
		})
	}
	return rows, nil
}

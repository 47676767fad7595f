// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conditions reads the table of docs/conditions.md: what ends each condition, and who
// notices that.
package conditions

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Row is a row of the table.
type Row struct{ Kind, Reason, Ends, NoticedBy, Within string }

// Name is the kind and the reason.
func (r Row) Name() string { return r.Kind + "/" + r.Reason }

// Waits reports whether the condition can end without an edit of its object while the manager runs.
func (r Row) Waits() bool {
	return !strings.HasPrefix(r.NoticedBy, "its own edit") && !strings.HasPrefix(r.NoticedBy, "a start")
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

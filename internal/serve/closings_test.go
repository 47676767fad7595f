// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A caller that opens thousands of connections must not fill the log with them.
func TestOneClosedConnectionASecondIsLogged(t *testing.T) {
	now, counted := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), map[Bound]int{}
	var lines bytes.Buffer
	c := &Closings{
		Count: func(b Bound) { counted[b]++ }, Now: func() time.Time { return now },
		Log: slog.New(slog.NewJSONHandler(&lines, nil)),
	}
	source := netip.MustParsePrefix("192.0.2.1/32")
	for range 3 {
		c.Closed(BoundSource, source)
	}
	now = now.Add(closingsLogged)
	c.Closed(BoundMemory, source)
	if diff := cmp.Diff(map[Bound]int{BoundSource: 3, BoundMemory: 1}, counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	type line struct {
		Level, Bound, Source string
		Others               int `json:"others_since_the_last"`
	}
	var got []line
	for text := range strings.Lines(lines.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if diff := cmp.Diff([]line{{"WARN", "source", "192.0.2.1/32", 0}, {"WARN", "memory", "192.0.2.1/32", 2}}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

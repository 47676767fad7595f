// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"flag"
	"testing"
	"time"
)

func TestDefaultsOfDurationsAreShort(t *testing.T) {
	for text, d := range map[string]time.Duration{
		"2160h": 2160 * time.Hour, "1h": time.Hour, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "1m30s": 90 * time.Second, "1h0m1s": time.Hour + time.Second,
		"30s": 30 * time.Second, "0s": 0, "250ms": 250 * time.Millisecond,
	} {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		read := flags.Duration("duration", d, "")
		flags.String("text", "10m0s", "")
		ShortDefaults(flags)
		if got := flags.Lookup("duration").DefValue; got != text {
			t.Errorf("%s is shown as %q, want %q", d, got, text)
		}
		if got := flags.Lookup("text").DefValue; got != "10m0s" {
			t.Errorf("a text is shown as %q", got)
		}
		if err := flags.Parse([]string{"--duration=2160h0m0s"}); err != nil || *read != 2160*time.Hour {
			t.Errorf("read %s: %v", *read, err)
		}
	}
}

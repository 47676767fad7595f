// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"testing"
	"time"
)

func TestADurationReadsAsUsersWriteIt(t *testing.T) {
	for d, want := range map[time.Duration]Duration{
		time.Hour: "1h", 30 * time.Minute: "30m", 90 * time.Minute: "1h30m", 45 * time.Second: "45s", 2160 * time.Hour: "2160h",
		time.Hour + time.Second: "1h0m1s", 10*time.Minute + 10*time.Second: "10m10s", 100 * time.Minute: "1h40m", 0: "0s",
	} {
		if got := Text(d); got != want {
			t.Errorf("%s, want %s", got, want)
		} else if got.Or(-1) != d {
			t.Errorf("%s does not mean %s", got, d)
		}
	}
}

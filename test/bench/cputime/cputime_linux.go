// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cputime reads how much CPU time another process has used.
package cputime

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Of is the user and system time that a process has used, all its threads together, in nanoseconds:
// its CPU-time clock, as clock_getcpuclockid(3) names it. /proc/<pid>/stat counts in hundredths of
// a second.
func Of(pid int) (time.Duration, error) {
	const byScheduler = 2
	clock := int32(^pid<<3 | byScheduler) //nolint:gosec // process ids are small
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

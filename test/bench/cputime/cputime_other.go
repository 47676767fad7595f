// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package cputime

import (
	"errors"
	"time"
)

func Of(int) (time.Duration, error) {
	return 0, errors.New("the CPU time of a process is read on Linux only")
}

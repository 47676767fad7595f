// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package issuer

import (
	"io/fs"
	"os"
	"syscall"
)

// private reports whether a file is an ordinary one of this user, and closed to all others.
func private(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && info.Mode().Perm()&0o077 == 0 && int(stat.Uid) == os.Geteuid()
}

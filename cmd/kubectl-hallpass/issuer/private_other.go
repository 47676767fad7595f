// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package issuer

import "io/fs"

// private reports whether a file is an ordinary one. Elsewhere than on Unix the directory of the
// user is what keeps others out.
func private(info fs.FileInfo) bool { return info.Mode().IsRegular() }

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

// Alone is a ring of one key.
func Alone(key *Key) Ring { return Ring{keys: []*Key{key}} }

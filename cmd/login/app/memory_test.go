// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestAllThatIsHeldFitsTheContainer adds up what browsers and providers can make login hold.
func TestAllThatIsHeldFitsTheContainer(t *testing.T) {
	const (
		process        = 24 << 20 // without a caller, with the authorities of the image
		idleConnection = 26 << 10 // of HTTP/2; docs/token-server.md
	)
	set, err := installation.MemoryLimit(filepath.Join("..", "..", ".."), "login")
	if err != nil {
		t.Fatal(err)
	}
	var limit int
	if _, err := fmt.Sscanf(set, "GOMEMLIMIT=%dMiB", &limit); err != nil {
		t.Fatalf("%s: %v", set, err)
	}
	if held := process + room + opsRoom + provider.MaxHeld; held > limit<<20 {
		t.Errorf("%d MiB may be held, and GOMEMLIMIT is %d MiB", held>>20, limit)
	}
	if idle := DefaultMaxConnections * idleConnection; idle > room {
		t.Errorf("%d idle connections take %d MiB of %d", DefaultMaxConnections, idle>>20, room>>20)
	}
}

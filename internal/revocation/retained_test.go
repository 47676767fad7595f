// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// A request has the names of its client as parts of the client's record, which may take 64 KiB and
// be gone long before the entry is.
func TestMemoryHasNamesOfItsOwn(t *testing.T) {
	var state State
	for _, lasting := range []bool{false, true} {
		record := fmt.Sprintf("shop%t.payments", lasting)
		id, namespace := record, record[:strings.IndexByte(record, '.')]
		token := EntryOf(&oauth2.Claims{ID: record, IssuedAt: noon, ExpiresAt: noon.Add(oauth2.MaxTokenLifetime)})
		if lasting {
			token.IssuedAt = 0
		}
		state.Revoke(token, Client{id, namespace}, noon)
		if fresh, room := state.Use(token, namespace, noon, noon); !fresh || !room {
			t.Fatal(fresh, room)
		}
		begin := unsafe.StringData(record)
		h, u := &state.holders, &state.assertions.users
		for client := range h.numbers {
			if unsafe.StringData(client.ID) == begin || unsafe.StringData(client.Namespace) == begin {
				t.Errorf("the number of %s keeps its record", client.ID)
			}
		}
		for name, of := range map[string]map[string]int{"live": h.namespaces, "lasting": h.lasting.namespaces} {
			for namespace := range of {
				if unsafe.StringData(namespace) == begin {
					t.Errorf("the %s count of %s keeps a record", name, namespace)
				}
			}
		}
		for namespace := range u.numbers {
			if unsafe.StringData(namespace) == begin {
				t.Errorf("the assertions of %s keep a record", namespace)
			}
		}
	}
}

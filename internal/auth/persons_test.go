// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// forgetful loses a client after it was read a number of times.
type forgetful struct {
	*fake

	lost  string
	reads int
}

func (f *forgetful) Record(id string) oauth2.Record {
	if id != f.lost {
		return f.fake.Record(id)
	}
	if f.reads--; f.reads < 0 {
		return oauth2.Record{}
	}
	return f.fake.Record(id)
}

// A client may be deleted while a token is checked: memory changes between two reads of it.
func TestAClientOfAChainIsDeletedDuringACheck(t *testing.T) {
	const first = "shop.first"
	var memory *forgetful
	w := newWorld(t, func(c *auth.Config) {
		known, _ := c.Directory.(*fake)
		memory = &forgetful{fake: known, lost: first}
		c.Directory = memory
	})
	w.register(first)
	w.change(first, func(c *oauth2.Client, _ *oauth2.Owner) { c.GrantTypes = oauth2.JWTBearer })
	w.change(reporting, exchanges)
	w.memory.issuers = map[string]*oauth2.TrustedIssuer{"corp": {Name: "corp", Uses: oauth2.UsePerson, Delegations: []oauth2.Delegation{{Namespaces: []string{"shop"}}}}}
	w.memory.resources[0].ExchangedUsers = w.memory.resources[0].Consents
	key, err := w.memory.ring.SigningKey(noon)
	must(t, err)
	w.source = w.memory.clone()
	token := w.issued(noon, oauth2.Grant{Audience: w.ordersAPI, Scopes: []string{"orders.read"}, Lifetime: time.Hour, For: &oauth2.Chain{
		Subject: "user:corp:U1", Until: noon.Add(time.Hour),
		Ancestors: []oauth2.Ancestor{{ID: "first", ClientID: first, ClientUID: "uid-of-" + first, KeyID: key.ID(), IssuedAt: noon}},
	}}).Value.Reveal()
	w.now = noon.Add(time.Minute)
	good, most := 0, 8
	for reads := range most {
		memory.reads = reads
		if _, err := w.admit(token, w.ordersAPI); err == nil {
			good++
		}
	}
	if good == 0 || good == most {
		t.Errorf("good %d times of %d", good, most)
	}
}

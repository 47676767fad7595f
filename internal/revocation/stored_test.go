// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

// stored implements Stored.
type stored struct {
	ClientID, Namespace     string
	IssuedBefore, CreatedAt time.Time
	Tokens, Assertions      string
	Name                    string
	Subject, IssuerName     string
	Origins                 []byte
	Version, MinReader      int
	Generations             string
	Redemption              Redemption
}

func (s stored) GetName() string { return s.Name }

func (s stored) Form() (version, minReader int) { return max(s.Version, 1), s.MinReader }

func (s stored) Selection() (clientID, namespace string, issuedBefore, createdAt time.Time) {
	return s.ClientID, s.Namespace, s.IssuedBefore, s.CreatedAt
}

func (s stored) SelectedPersons() (subject, issuerName string) { return s.Subject, s.IssuerName }

func (s stored) Lists() (tokens, assertions string, origins []byte) {
	return s.Tokens, s.Assertions, s.Origins
}

func (s stored) GrantList() string { return s.Generations }

func (s stored) Redeemed() (clientID, namespace, grantID, attempt string, expiresAt time.Time) {
	return s.Redemption.Client.ID, s.Redemption.Client.Namespace, s.Redemption.GrantID, s.Redemption.Attempt, s.Redemption.ExpiresAt
}

func TestATokenRevocationIsRead(t *testing.T) {
	tokens, assertions := []Entry{NewEntry(ID{1}, noon)}, []Entry{NewEntry(ID{2}, noon), NewEntry(ID{3}, noon)}
	grants := Batch{Generations: []Generation{{Grant: ID{7}, Number: 3, From: 5, Until: 9, Client: 1}, {Grant: ID{1}, Number: 1, Client: 1}}, Clients: []Client{shopApp}}
	for name, c := range map[string]struct {
		stored   stored
		selector *Selector
		batch    Batch
		err      error
	}{
		"nothing": {},
		"a selector of a person": {
			stored:   stored{Subject: "user:corp:U1", IssuedBefore: noon, CreatedAt: noon},
			selector: &Selector{Subject: "user:corp:U1", IssuedBefore: noon},
		},
		"a selector of the persons of an issuer": {
			stored:   stored{IssuerName: "corp", IssuedBefore: noon.Add(time.Hour), CreatedAt: noon},
			selector: &Selector{IssuerName: "corp", IssuedBefore: noon.Add(time.Second)},
		},
		"a batch of a newer version that this one can read": {
			stored: stored{Tokens: Encode(tokens), Version: 3, MinReader: 2}, batch: Batch{Tokens: tokens},
		},
		"a batch that only newer versions can read": {stored: stored{Tokens: Encode(tokens), Version: 3}, err: wire.ErrNewer},
		"a selector that only newer versions can read": {
			stored: stored{ClientID: "shop.app", IssuedBefore: noon, CreatedAt: noon, Version: 4, MinReader: 3}, err: wire.ErrNewer,
		},
		"a batch with generations": {
			stored: stored{Tokens: Encode(tokens), Generations: grants.EncodeGenerations(), Version: 2, MinReader: 1},
			batch:  Batch{Tokens: tokens, Generations: grants.Generations, Clients: grants.Clients},
		},
		"a batch whose generations are unreadable": {
			stored: stored{Tokens: Encode(tokens), Generations: "CQ==", Version: 2, MinReader: 1}, batch: Batch{Tokens: tokens}, err: ErrUnreadable,
		},
		"a batch whose generations are cut short": {
			stored: stored{Tokens: Encode(tokens), Generations: grants.EncodeGenerations()[:40], Version: 2, MinReader: 1}, batch: Batch{Tokens: tokens}, err: ErrUnreadable,
		},
		"a redemption": {stored: stored{Redemption: Redemption{GrantID: "g", Attempt: "a", ExpiresAt: noon}, Version: 2, MinReader: 1}},
		"a batch": {
			stored: stored{Tokens: Encode(tokens), Assertions: Encode(assertions)},
			batch:  Batch{Tokens: tokens, Assertions: assertions},
		},
		"a batch whose tokens are unreadable": {
			stored: stored{Tokens: "****", Assertions: Encode(assertions)},
			batch:  Batch{Assertions: assertions}, err: ErrUnreadable,
		},
		"a batch whose assertions are unreadable": {
			stored: stored{Tokens: Encode(tokens), Assertions: "AA=="},
			batch:  Batch{Tokens: tokens}, err: ErrUnreadable,
		},
		"a selector of a client": {
			stored:   stored{ClientID: "shop.app", IssuedBefore: noon.Add(-time.Hour), CreatedAt: noon},
			selector: &Selector{ClientID: "shop.app", IssuedBefore: noon.Add(-time.Hour)},
		},
		"a selector that lies ahead is cut back to its creation": {
			stored:   stored{Namespace: "shop", IssuedBefore: noon.Add(time.Hour), CreatedAt: noon},
			selector: &Selector{Namespace: "shop", IssuedBefore: noon.Add(time.Second)},
		},
		"a selector beside a batch, which the API server refuses": {
			stored:   stored{Namespace: "shop", IssuedBefore: noon, CreatedAt: noon, Tokens: Encode(tokens)},
			selector: &Selector{Namespace: "shop", IssuedBefore: noon}, batch: Batch{Tokens: tokens},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := c.stored
			selector, batch, err := Read(c.stored)
			if diff := cmp.Diff(c.selector, selector); diff != "" {
				t.Errorf("selector (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.batch, batch, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("batch (-want +got):\n%s", diff)
			}
			if !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(before, c.stored); diff != "" {
				t.Errorf("reading changes what is read: %v", c.stored)
			}
		})
	}
}

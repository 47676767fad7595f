// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTheOriginsOfABatchAreReadAsTheyWereWritten(t *testing.T) {
	of := func(n int, client uint32) Entry {
		r := revokedToken(n, noon.Add(time.Duration(n)*time.Second))
		if r.Client = client; client == 0 {
			r.IssuedAt = 0
		}
		return r
	}
	b := Batch{
		Tokens:     []Entry{of(1, 0), of(2, 2), of(3, 1), of(4, 2), of(5, 0)},
		Assertions: []Entry{NewEntry(ID{9}, noon)},
		Clients:    []Client{shopApp, ordersApp},
	}
	stored := stored{Name: "batch-a"}
	stored.Tokens, stored.Assertions, stored.Origins, _ = b.Encode()
	_, got, err := Read(stored)
	if err != nil {
		t.Fatal(err)
	}
	want := Batch{Tokens: []Entry{of(3, 1), of(2, 2), of(4, 2), of(1, 0), of(5, 0)}, Assertions: b.Assertions, Clients: b.Clients}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again, _, origins, _ := got.Encode(); again != stored.Tokens || !bytes.Equal(origins, stored.Origins) {
		t.Error("what was read is written otherwise")
	}
	if plain, _ := Decode(stored.Tokens); len(plain) != 5 {
		t.Errorf("a build that knows no origins reads %d tokens", len(plain))
	}
	if _, _, origins, _ := (Batch{Tokens: []Entry{of(1, 0)}}).Encode(); origins != nil {
		t.Errorf("without a client there are origins: %x", origins)
	}
}

func TestTokensWithUnreadableOriginsStayRevokedOneByOne(t *testing.T) {
	token := revokedToken(1, noon)
	token.Client = 1
	encoded, _, origins, _ := Batch{Tokens: []Entry{token}, Clients: []Client{shopApp}}.Encode()
	changed := func(at int, b byte) []byte {
		c := bytes.Clone(origins)
		c[at] = b
		return c
	}
	for name, read := range map[string][]byte{
		"of another version": changed(0, 2), "cut short": origins[:len(origins)-1], "one byte more": append(bytes.Clone(origins), 0),
		"of more clients": changed(1, 4), "of more tokens": changed(len(origins)-5, 4), "of fewer tokens": changed(len(origins)-5, 0),
	} {
		if _, err := unpackOrigins([]Entry{token}, nil, read); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
		_, got, err := Read(stored{Tokens: encoded, Origins: read})
		if diff := cmp.Diff(Batch{Tokens: []Entry{NewEntry(token.ID, token.ExpiresAt())}}, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func FuzzOrigins(f *testing.F) {
	token := revokedToken(1, noon)
	token.Client = 1
	_, _, origins := Batch{Tokens: []Entry{token, token}, Clients: []Client{shopApp}}.Pack()
	f.Add(origins)
	used := Entry{Client: 1}
	_, _, origins = Batch{Assertions: []Entry{used, used}, Clients: []Client{{Namespace: "shop"}}}.Pack()
	f.Add(origins)
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, origins []byte) {
		tokens, assertions := make([]Entry, 3), make([]Entry, 3)
		clients, err := unpackOrigins(tokens, assertions, origins)
		for _, r := range slices.Concat(tokens, assertions) {
			if int(r.Client) > len(clients) || err != nil && r != (Entry{}) {
				t.Errorf("%x reads as %v and %v of %v: %v", origins, tokens, assertions, clients, err)
			}
		}
	})
}

func TestABatchHasRoomForSoManyClients(t *testing.T) {
	j, _ := newJournal(&memoryStore{}, func() time.Time { return noon })
	for n := range MaxClients + 1 {
		of := Client{fmt.Sprintf("%s.%d", strings.Repeat("n", 63), n) + strings.Repeat("c", 180), strings.Repeat("n", 63)}
		for range 2 {
			if joined, _ := j.join(func(b *Batch) *[]Entry { return &b.Tokens }, revokedToken(n, noon), of); joined == nil {
				t.Fatal("the queue is full")
			}
		}
	}
	first := j.seal()
	j.settle(first, nil)
	second := j.seal()
	if len(first.batch.Clients) != MaxClients || len(second.batch.Clients) != 1 || len(first.batch.Tokens)+len(second.batch.Tokens) != 2*(MaxClients+1) {
		t.Fatalf("%d and %d clients", len(first.batch.Clients), len(second.batch.Clients))
	}
	_, _, origins := first.batch.Pack()
	// spec.batch.origins
	if size := base64.StdEncoding.EncodedLen(len(origins)); size > 512<<10 {
		t.Errorf("the origins take %d bytes", size)
	}
}

func TestACopyOfASelectorIsNotTheWorkOfATokenServer(t *testing.T) {
	written := Selector{ClientID: shopApp.ID, IssuedBefore: noon}
	object := stored{Name: written.Name(), ClientID: shopApp.ID, IssuedBefore: noon, CreatedAt: noon.Add(time.Minute)}
	for name, c := range map[string]struct {
		change func(*stored)
		want   bool
	}{
		"as it was written":                        {func(*stored) {}, true},
		"cut back because it was created earlier":  {func(s *stored) { s.CreatedAt = noon.Add(-time.Hour) }, true},
		"under another name":                       {func(s *stored) { s.Name = "leaked" }, false},
		"of another client":                        {func(s *stored) { s.ClientID = ordersApp.ID }, false},
		"of a namespace of the client's name":      {func(s *stored) { s.ClientID, s.Namespace = "", shopApp.ID }, false},
		"of a later instant":                       {func(s *stored) { s.IssuedBefore = noon.Add(time.Second) }, false},
		"under a name that only looks like theirs": {func(s *stored) { s.Name = "collapsed-by-me" }, false},
	} {
		copied := object
		c.change(&copied)
		if selector, _, err := Read(copied); err != nil || selector.Collapses != c.want {
			t.Errorf("%s: %+v, %v", name, selector, err)
		}
	}
}

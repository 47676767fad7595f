// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"crypto/rand"
	"errors"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// versionIn finds the version of a record, with its oldest reader.
var versionIn = regexp.MustCompile(`"version":\d+(,"minReader":\d+)?`)

// All records follow the rule of wire.Form.
func TestARecordOfANewerVersionIsReadAsFarAsItAllows(t *testing.T) {
	for name, c := range recordsOfAllKinds(t) {
		t.Run(name, func(t *testing.T) {
			change := func(entry, document string) map[string][]byte {
				changed := maps.Clone(c.data)
				changed[entry] = []byte(document)
				return changed
			}
			own := string(c.data[c.entry])
			version := versionIn.FindString(own)
			readable := change(c.entry, strings.Replace(own, version, `"version":7,"minReader":1,"later":{"a":1}`, 1))
			unreadable := change(c.entry, strings.Replace(own, version, `"version":7,"minReader":7`, 1))
			silent := change(c.entry, strings.Replace(own, version, `"version":7`, 1))
			otherTypes := change(c.entry, `{"owner":7,"keys":"none","version":7,"clientID":[],"identifier":{}}`)
			if c.entry == "ring.json" {
				readable = change("form.json", `{"version":7,"minReader":1}`)
				readable["ring.json"] = []byte(strings.Replace(own, version, `"version":1,"later":{"a":1}`, 1))
				unreadable = change("form.json", `{"version":7,"minReader":7}`)
			}
			if err := c.decode(c.data); err != nil || registration.CheckWrite(c.data) != nil {
				t.Fatalf("its own version: %v", err)
			}
			if err := c.decode(readable); err != nil {
				t.Errorf("a newer one for readers of this version: %v", err)
			}
			if err := registration.CheckWrite(readable); !errors.Is(err, wire.ErrNewer) {
				t.Errorf("a newer one may be written over: %v", err)
			}
			if !registration.Same(readable, c.data) {
				t.Error("a newer one says something else")
			}
			for name, newer := range map[string]map[string][]byte{"its oldest reader": unreadable, "no reader": silent, "members of other types": otherTypes} {
				if err := c.decode(newer); !errors.Is(err, wire.ErrNewer) || !errors.Is(err, c.unreadable) {
					t.Errorf("a newer one that names %s: %v", name, err)
				}
				if err := registration.CheckWrite(newer); !errors.Is(err, wire.ErrNewer) {
					t.Errorf("a newer one that names %s may be written over: %v", name, err)
				}
				if registration.Same(newer, c.data) {
					t.Errorf("a newer one that names %s says the same", name)
				}
			}
			damaged := change(c.entry, own[:len(own)/2])
			if err := c.decode(damaged); !errors.Is(err, c.unreadable) || errors.Is(err, wire.ErrNewer) || registration.CheckWrite(damaged) != nil {
				t.Errorf("a damaged one: %v", err)
			}
		})
	}
}

type recordOfAKind struct {
	entry      string
	data       map[string][]byte
	decode     func(map[string][]byte) error
	unreadable error
}

func recordsOfAllKinds(t *testing.T) map[string]recordOfAKind {
	t.Helper()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	data := func(data map[string][]byte, err error) map[string][]byte {
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	ring, err := keyring.New(now)
	if err != nil {
		t.Fatal(err)
	}
	sealing, _, err := seal.Ring{}.Rotate(now, time.Time{}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]recordOfAKind{
		"a registration": {
			entry: "client.json", unreadable: registration.ErrUnreadable,
			data: data(registration.Encode(registration.Registration{Client: oauth2.Client{ID: "shop.app", UID: "u", Namespace: "shop", Name: "app", Tokens: oauth2.TokenForm{Lifetime: time.Hour}}})),
			decode: func(data map[string][]byte) error {
				_, err := registration.Decode(data)
				return err
			},
		},
		"the registration of a client of a trusted issuer": {
			entry: "client.json", unreadable: registration.ErrUnreadable,
			data: data(registration.Encode(registration.Registration{Client: oauth2.Client{
				ID: "shop.ci", UID: "u", Namespace: "shop", Name: "ci", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
				Credentials: oauth2.Credentials{Federated: &oauth2.Federated{IssuerName: "github", Subject: "repo:acme/shop:x"}},
			}})),
			decode: func(data map[string][]byte) error {
				_, err := registration.Decode(data)
				return err
			},
		},
		"a trusted issuer": {
			entry: "issuer.json", unreadable: registration.ErrUnreadable,
			data: data(registration.EncodeIssuer(oauth2.TrustedIssuer{Name: "github", UID: "u", Issuer: "https://issuer.test"})),
			decode: func(data map[string][]byte) error {
				_, err := registration.DecodeIssuer(data)
				return err
			},
		},
		"a resource": {
			entry: "resource.json", unreadable: registration.ErrUnreadable,
			data: data(registration.EncodeResource(oauth2.Resource{Identifier: "https://api.test", UID: "u", Namespace: "shop", Name: "api"})),
			decode: func(data map[string][]byte) error {
				_, err := registration.DecodeResource(data)
				return err
			},
		},
		"the record of a token": {
			entry: "token.json", unreadable: registration.ErrUnreadable,
			data: data(registration.EncodeToken(oauth2.Minted{UID: "u", Namespace: "shop", Name: "t", ClientID: "shop.app", ClientUID: "c", ClientName: "app"})),
			decode: func(data map[string][]byte) error {
				_, err := registration.DecodeToken(data)
				return err
			},
		},
		"the signing keys": {
			entry: "ring.json", unreadable: keyring.ErrUnreadable, data: data(registration.EncodeKeys(ring)),
			decode: func(data map[string][]byte) error {
				_, err := registration.DecodeKeys(data)
				return err
			},
		},
		"the sealing keys": {
			entry: "sealing.json", unreadable: seal.ErrUnreadable, data: data(registration.EncodeSealing(sealing)),
			decode: func(data map[string][]byte) error {
				_, err := registration.DecodeSealing(data)
				return err
			},
		},
	}
}

// An upgrade from the first release, which knows no oldest reader, writes no record again.
func TestRecordsOfTheFirstVersionNameNoOldestReader(t *testing.T) {
	for name, c := range recordsOfAllKinds(t) {
		if strings.HasPrefix(versionIn.FindString(string(c.data[c.entry])), `"version":2`) {
			continue // the first release did not have it
		}
		if strings.Contains(string(c.data[c.entry]), "minReader") || len(c.data) != 1 {
			t.Errorf("%s: %s", name, cmp.Diff(nil, c.data))
		}
	}
}

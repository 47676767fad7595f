// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

func mintedRecord() oauth2.Minted {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return oauth2.Minted{
		UID: "t", Namespace: "shop", Name: "printer", ClientID: "shop.legacy", ClientUID: "c", ClientName: "legacy",
		Tokens: []oauth2.MintedToken{
			{ID: "a", Digest: oauth2.Digest{1}, KeyID: "k", Audience: "https://hallpass.test/ns/shop", Scopes: []string{"read"}, IssuedAt: at, ExpiresAt: at.Add(time.Hour)},
			{ID: "b", Digest: oauth2.Digest{2}, Audience: "https://hallpass.test/ns/shop", IssuedAt: at.Add(time.Minute), ExpiresAt: at.Add(2 * time.Hour), Exclusive: true, Cause: "TokenRenewed"},
		},
	}
}

func TestTheRecordOfAnOAuth2TokenIsReadAsItWasWritten(t *testing.T) {
	opaque := mintedRecord()
	opaque.Opaque = true
	empty := mintedRecord()
	empty.Tokens = nil
	for name, record := range map[string]oauth2.Minted{"JWTs": mintedRecord(), "opaque tokens": opaque, "no token": empty} {
		data, err := registration.EncodeToken(record)
		if err != nil {
			t.Fatal(err)
		}
		got, err := registration.DecodeToken(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(record, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
}

func TestAnUnsoundRecordOfAnOAuth2TokenIsNotRead(t *testing.T) {
	for name, change := range map[string]func(m *oauth2.Minted){
		"without an owner":               func(m *oauth2.Minted) { m.UID = "" },
		"without a client":               func(m *oauth2.Minted) { m.ClientUID = "" },
		"with a client_id of no sense":   func(m *oauth2.Minted) { m.ClientID = "a b" },
		"with a namespace of no sense":   func(m *oauth2.Minted) { m.Namespace = "a/b" },
		"with more tokens than may be":   func(m *oauth2.Minted) { m.Tokens = make([]oauth2.MintedToken, oauth2.MaxMinted+1) },
		"with a token without an id":     func(m *oauth2.Minted) { m.Tokens[0].ID = "" },
		"with a token without a hash":    func(m *oauth2.Minted) { m.Tokens[0].Digest = oauth2.Digest{} },
		"with a token for nobody":        func(m *oauth2.Minted) { m.Tokens[0].Audience = "" },
		"with a token that never lives":  func(m *oauth2.Minted) { m.Tokens[0].ExpiresAt = m.Tokens[0].IssuedAt },
		"with a scope that is none":      func(m *oauth2.Minted) { m.Tokens[0].Scopes = []string{"a b"} },
		"with a client of another space": func(m *oauth2.Minted) { m.ClientName = "" },
	} {
		m := mintedRecord()
		change(&m)
		if _, err := registration.EncodeToken(m); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	data, err := registration.EncodeToken(mintedRecord())
	if err != nil {
		t.Fatal(err)
	}
	for entry, document := range data {
		for name, broken := range map[string][]byte{
			"of another version":    bytes.Replace(document, []byte(`"version":1`), []byte(`"version":7`), 1),
			"with half a hash":      bytes.Replace(document, []byte(`"digest":"AQ`), []byte(`"digest":"AQ==","x":"`), 1),
			"that is no JSON":       document[1:],
			"with nothing in it":    nil,
			"whose owner has no ID": []byte(strings.Replace(string(document), `"uid":"t"`, `"uid":""`, 1)),
		} {
			if _, err := registration.DecodeToken(map[string][]byte{entry: broken}); !errors.Is(err, registration.ErrUnreadable) {
				t.Errorf("a record %s: %v", name, err)
			}
		}
	}
}

func FuzzDecodeToken(f *testing.F) {
	data, err := registration.EncodeToken(mintedRecord())
	if err != nil {
		f.Fatal(err)
	}
	for _, document := range data {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		m, err := registration.DecodeToken(map[string][]byte{"token.json": document})
		if err != nil {
			return
		}
		written, err := registration.EncodeToken(m)
		if err != nil {
			t.Fatal("what was read cannot be written:", err)
		}
		if again, err := registration.DecodeToken(written); err != nil || !cmp.Equal(m, again) {
			t.Errorf("%v, then %v: %v", m, again, err)
		}
	})
}

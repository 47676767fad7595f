// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package codegrant_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/loginport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/seal"
)

var (
	now  = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	anna = oauth2.Person{Issuer: "corp", Subject: "9f3b"}
)

func ticketOf() codegrant.Ticket {
	return codegrant.Ticket{
		ClientID: "shop.web", ClientUID: "uid", RedirectURI: "https://app.example/cb", State: "x\x00y\u00e9", Challenge: challenge, Resource: "https://orders.example",
		Scopes: []string{"orders.read", "orders.write"}, IssuerName: "corp", IssuerUID: "issuer-uid", ExpiresAt: now.Add(codegrant.TicketLifetime),
	}
}

func codeOf(t testing.TB) codegrant.Code {
	t.Helper()
	code, err := codegrant.NewCode(ticketOf(), anna, now.Add(-time.Hour), now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func refreshOf(t testing.TB) codegrant.Refresh {
	t.Helper()
	refresh, ok := codegrant.NewRefresh(codeOf(t), oauth2.Refreshing{Lifetime: 8 * time.Hour}, now)
	if !ok {
		t.Fatal("there is no refresh token")
	}
	return refresh
}

func TestSealedValuesAreReadBack(t *testing.T) {
	ticket, code, refresh := ticketOf(), codeOf(t), refreshOf(t)
	refresh.Generation, refresh.Refreshes, refresh.Scopes = 300, 70000, nil
	code.RedirectOmitted = true
	ticket.RedirectOmitted = true
	readTicket, err := codegrant.DecodeTicket(ticket.Encode())
	if diff := cmp.Diff(ticket, readTicket); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	readCode, err := codegrant.DecodeCode(code.Encode())
	if diff := cmp.Diff(code, readCode); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	readRefresh, err := codegrant.DecodeRefresh(refresh.Encode())
	if diff := cmp.Diff(refresh, readRefresh); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A value of another version, a part of one and a longer one are refused.
func TestDamagedValuesAreRefused(t *testing.T) {
	ticket, code, refresh := ticketOf().Encode(), codeOf(t).Encode(), refreshOf(t).Encode()
	for name, c := range map[string]struct {
		value  []byte
		decode func([]byte) error
	}{
		"ticket":  {ticket, func(b []byte) error { _, err := codegrant.DecodeTicket(b); return err }},
		"code":    {code, func(b []byte) error { _, err := codegrant.DecodeCode(b); return err }},
		"refresh": {refresh, func(b []byte) error { _, err := codegrant.DecodeRefresh(b); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.decode(c.value); err != nil {
				t.Fatal(err)
			}
			for i := range c.value {
				if err := c.decode(c.value[:i]); !errors.Is(err, codegrant.ErrUnreadable) {
					t.Errorf("the first %d bytes are read: %v", i, err)
				}
			}
			if err := c.decode(append(slices.Clone(c.value), 0)); !errors.Is(err, codegrant.ErrUnreadable) {
				t.Errorf("it is read with a byte after it: %v", err)
			}
			for _, version := range []byte{0, 2, 255} {
				other := slices.Clone(c.value)
				other[0] = version
				if err := c.decode(other); !errors.Is(err, codegrant.ErrUnreadable) {
					t.Errorf("version %d is read: %v", version, err)
				}
			}
		})
	}
	noPerson, badID, badGrant := codeOf(t), codeOf(t), codeOf(t)
	noPerson.Person, badID.ID, badGrant.Grant = oauth2.Person{}, strings.ToUpper(badID.ID[:31])+"A", badGrant.Grant[:21]+"\n"
	for _, code := range []codegrant.Code{noPerson, badID, badGrant} {
		if _, err := codegrant.DecodeCode(code.Encode()); !errors.Is(err, codegrant.ErrUnreadable) {
			t.Errorf("%+v is read: %v", code, err)
		}
	}
	many := ticketOf()
	many.Scopes = slices.Repeat([]string{"a"}, 257)
	if _, err := codegrant.DecodeTicket(many.Encode()); !errors.Is(err, codegrant.ErrUnreadable) {
		t.Errorf("257 scopes are read: %v", err)
	}
}

// A ticket that fits is not longer than a cookie may be once it is sealed, and a code and a refresh
// token of it can be opened.
func TestTheLongestValuesFit(t *testing.T) {
	ring, _, err := seal.Ring{}.Rotate(now, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://hallpass.example"
	ticket := ticketOf()
	for ticket.Fits() == nil {
		ticket.Scopes = append(ticket.Scopes, fmt.Sprintf("a-scope-%03d", len(ticket.Scopes)))
	}
	if err := ticket.Fits(); err == nil {
		t.Error("each ticket fits")
	}
	ticket.Scopes = ticket.Scopes[:len(ticket.Scopes)-1]
	for ticket.Fits() == nil {
		ticket.State += "x"
	}
	ticket.State = ticket.State[1:]
	if err := ticket.Fits(); err != nil {
		t.Fatal(err)
	}
	sealed, err := ring.Seal(seal.Ticket, issuer, ticket.Encode(), now, rand.Reader)
	if err != nil || len(sealed) > loginport.MaxTicketBytes || len(sealed) < loginport.MaxTicketBytes-64 {
		t.Errorf("the longest ticket has %d of %d bytes: %v", len(sealed), loginport.MaxTicketBytes, err)
	}
	person := oauth2.Person{Issuer: strings.Repeat("i", 63), Subject: strings.Repeat("s", 255)}
	code, err := codegrant.NewCode(ticket, person, now, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	refresh, _ := codegrant.NewRefresh(code, oauth2.Refreshing{Lifetime: time.Hour}, now)
	for purpose, value := range map[seal.Purpose][]byte{seal.Code: code.Encode(), seal.Refresh: refresh.Encode()} {
		sealed, err := ring.Seal(purpose, issuer, value, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := ring.Open(purpose, issuer, sealed); err != nil || !bytes.Equal(opened, value) {
			t.Errorf("a %s of %d bytes does not open: %v", purpose, len(sealed), err)
		}
	}
}

func TestNewCodes(t *testing.T) {
	one, other := codeOf(t), codeOf(t)
	if one.ID == other.ID || one.Grant == other.Grant || len(one.ID) != 32 || len(one.Grant) != 22 {
		t.Errorf("the ids are %s and %s, the grants %s and %s", one.ID, other.ID, one.Grant, other.Grant)
	}
	if _, err := hex.DecodeString(one.ID); err != nil || one.ID != strings.ToLower(one.ID) {
		t.Errorf("the id %s does not name an object: %v", one.ID, err)
	}
	if !one.ExpiresAt.Equal(now.Add(time.Minute)) || one.Person != anna || one.IssuerUID != "issuer-uid" || !one.AuthTime.Equal(now.Add(-time.Hour)) {
		t.Errorf("the code is %+v", one)
	}
	if _, err := codegrant.NewCode(ticketOf(), anna, now, now, bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("there is a code without randomness")
	}
}

// FuzzDecode shows that what is read is written again with the same bytes, so that a value has one
// encoding.
func FuzzDecode(f *testing.F) {
	f.Add(ticketOf().Encode())
	f.Add(codeOf(f).Encode())
	f.Add(refreshOf(f).Encode())
	f.Fuzz(func(t *testing.T, value []byte) {
		if ticket, err := codegrant.DecodeTicket(value); err == nil && !bytes.Equal(ticket.Encode(), value) {
			t.Errorf("%x is read as %+v", value, ticket)
		}
		if code, err := codegrant.DecodeCode(value); err == nil && !bytes.Equal(code.Encode(), value) {
			t.Errorf("%x is read as %+v", value, code)
		}
		if refresh, err := codegrant.DecodeRefresh(value); err == nil && !bytes.Equal(refresh.Encode(), value) {
			t.Errorf("%x is read as %+v", value, refresh)
		}
	})
}

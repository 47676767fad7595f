// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// That a signature was found good before makes no token good: each of these is refused whether the token is remembered since
// it was issued, since it was introspected, or not at all.
func TestARememberedTokenIsDeniedAsAnyOther(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		denial oauth2.Reason
	}{
		"its time is over":        {func(w *world) { w.now = noon.Add(time.Hour) }, oauth2.ReasonTokenExpired},
		"its client is suspended": {func(w *world) { w.dir.known[reporting].Owner.Suspended = true }, oauth2.ReasonSuspended},
		"its client is being deleted": {
			func(w *world) { w.dir.known[reporting].Owner.Terminating = true }, oauth2.ReasonOwnerGone,
		},
		"its client is gone": {
			func(w *world) { delete(w.dir.known, reporting); delete(w.dir.source, reporting) }, oauth2.ReasonUnknownClient,
		},
		"its key was withdrawn": {func(w *world) {
			key, err := w.dir.ring.SigningKey(w.now)
			if err != nil {
				w.t.Fatal(err)
			}
			order := keyring.Order{Taint: []string{key.ID()}}
			rotation, err := keyring.Rotate(w.dir.ring, w.now, keyring.DefaultPolicy(time.Hour), order, keyring.Generate)
			if err != nil {
				w.t.Fatal(err)
			}
			w.dir.ring = rotation.Ring
		}, oauth2.ReasonTokenKeyWithdrawn},
		"no key of that name is known any more": {func(w *world) {
			w.dir.ring = newWorld(w.t).dir.ring
		}, oauth2.ReasonTokenKeyUnknown},
	} {
		for memory, prepare := range map[string]func(w *world, token string){
			"remembered since it was issued": func(*world, string) {},
			"remembered since it was introspected": func(w *world, token string) {
				w.server.verified = newVerified()
				w.do(w.introspect(reporting, token))
			},
			"not remembered": func(w *world, _ string) { w.server.verified = newVerified() },
		} {
			t.Run(name+", "+memory, func(t *testing.T) {
				w := newWorld(t)
				token := w.token(reporting)
				prepare(w, token)
				c.change(w)
				if answer := w.do(w.introspect(billing, token)); answer.Body.String() != inactive {
					t.Errorf("%d %s", answer.Code, answer.Body)
				}
				if got := w.lastAudit()["token_denial"]; got != string(c.denial) {
					t.Errorf("denied because of %v, want %s", got, c.denial)
				}
			})
		}
	}
}

func TestOnlyTheVeryTokenIsRemembered(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	if _, there := w.server.verified.get(token); !there {
		t.Fatal("an issued token is not remembered")
	}
	other := w.token(reporting)
	mixed := token[:strings.LastIndexByte(token, '.')] + other[strings.LastIndexByte(other, '.'):]
	for name, variant := range map[string]string{"another signature": mixed, "a longer one": token + "A", "a shorter one": token[:len(token)-1]} {
		if answer := w.do(w.introspect(reporting, variant)); answer.Body.String() != inactive {
			t.Errorf("%s: %s", name, answer.Body)
		}
		if _, there := w.server.verified.get(variant); there {
			t.Errorf("%s is remembered", name)
		}
	}
}

func TestWhatIsRememberedOfAnIssuedTokenIsWhatCanBeReadOfIt(t *testing.T) {
	w := newWorld(t)
	w.dir.known[reporting].Client.Claims = []oauth2.Claim{{Name: "teams", Values: []string{"a", "b"}}, {Name: "tier", Value: "gold"}}
	token := w.token(reporting)
	remembered, _ := w.server.verified.get(token)
	read, err := w.server.Issuer.Verify(token, w.dir.ring, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&read, remembered); diff != "" {
		t.Error("(-read +remembered):\n" + diff)
	}
}

func TestTheMemoryOfTokensIsBounded(t *testing.T) {
	v := newVerified()
	for i := range 5 * verifiedEntries {
		v.put(fmt.Sprint(i), oauth2.Verified{})
		v.get("0") // what is asked for stays
	}
	if size := len(v.young) + len(v.old); size > 2*verifiedEntries {
		t.Errorf("%d tokens are remembered", size)
	}
	if _, there := v.get("0"); !there {
		t.Error("a token in use was forgotten")
	}
	if _, there := v.get("1"); there {
		t.Error("a token that nobody asked for is remembered")
	}
}

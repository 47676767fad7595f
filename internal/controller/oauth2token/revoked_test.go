// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

func batchOf(ids ...string) *v1alpha1.TokenRevocation {
	var list []revocation.Entry
	for _, id := range ids {
		list = append(list, revocation.NewEntry(revocation.IDOf(id), noon.Add(time.Hour)))
	}
	object := &v1alpha1.TokenRevocation{}
	object.Name, object.Spec.Batch.Tokens = "batch", v1alpha1.RevocationEntries(revocation.Encode(list))
	return object
}

func selecting(namespace, clientID string, before time.Time) *v1alpha1.TokenRevocation {
	object := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "selecting", CreationTimestamp: metav1.NewTime(noon.Add(5 * time.Minute))}}
	object.Spec.Selector = v1alpha1.RevocationSelector{Namespace: namespace, ClientID: clientID, IssuedBefore: new(metav1.NewTime(before))}
	return object
}

func TestWhatIsTakenBackIsRemembered(t *testing.T) {
	unreadable := &v1alpha1.TokenRevocation{}
	unreadable.Spec.Batch.Tokens = "none of it"
	shop := oauth2.Client{ID: "shop.app", Namespace: "shop"}
	for name, c := range map[string]struct {
		learned *v1alpha1.TokenRevocation
		client  oauth2.Client
		minutes int
		want    bool
	}{
		"a token that was revoked":                          {batchOf("x", "a"), shop, 1, true},
		"another token":                                     {batchOf("x"), shop, 1, false},
		"a token that was revoked and has expired":          {batchOf("a"), shop, 61, false},
		"a token of a client that is taken back":            {selecting("", "shop.app", noon.Add(time.Minute)), shop, 1, true},
		"a token that was issued later":                     {selecting("", "shop.app", noon), shop, 1, false},
		"a time to come means all until the asking":         {selecting("", "shop.app", noon.Add(999*time.Hour)), shop, 6, true},
		"a token of another client":                         {selecting("", "shop.other", noon.Add(time.Minute)), shop, 1, false},
		"a token of a namespace that is taken back":         {selecting("shop", "", noon.Add(time.Minute)), shop, 1, true},
		"a token of another namespace":                      {selecting("other", "", noon.Add(time.Minute)), shop, 1, false},
		"a client that takes its tokens back itself":        {unreadable, oauth2.Client{ID: "shop.app", Revocation: oauth2.Revocation{Before: noon.Add(time.Second)}}, 1, true},
		"a client that took back what was issued before it": {unreadable, oauth2.Client{ID: "shop.app", Revocation: oauth2.Revocation{Before: noon}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var b revocations
			b.learn(c.learned, noon)
			if got := b.has(madeAt("a", 0), &c.client, noon.Add(time.Duration(c.minutes)*time.Minute)); got != c.want {
				t.Errorf("taken back: %t, want %t", got, c.want)
			}
		})
	}
}

func TestWhatIsKnownIsNoNewsAndASelectorThatGoesGivesBack(t *testing.T) {
	var b revocations
	if news := b.learn(batchOf("a", "b"), noon); len(news) != 2 {
		t.Errorf("%d news, want both", len(news))
	}
	if news := b.learn(batchOf("a", "b", "c"), noon); len(news) != 1 || news[0] != revocation.IDOf("c") {
		t.Errorf("news %v of a merged batch, want the one that was not known", news)
	}
	b.learn(batchOf("d"), noon.Add(2*time.Hour))
	if tokens, _ := b.known.Len(); tokens != 0 {
		t.Errorf("%d tokens are remembered that have expired", tokens)
	}
	client := oauth2.Client{ID: "shop.app", Namespace: "shop"}
	b.learn(selecting("shop", "", noon.Add(time.Minute)), noon)
	b.known.Deselect("selecting")
	if b.has(madeAt("a", 0), &client, noon.Add(time.Minute)) {
		t.Error("a selector that is gone takes back")
	}
}

func TestATokenThatWasTakenBackIsReplacedOnceItIsNotQuiteNew(t *testing.T) {
	ring, err := keyring.New(noon.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.SigningKey(noon)
	if err != nil {
		t.Fatal(err)
	}
	current := madeAt("a", 0)
	current.KeyID = key.ID()
	now := clocktesting.NewFakeClock(noon)
	m := &minter{Config: &Config{Clock: now}}
	object := &v1alpha1.OAuth2Token{Spec: v1alpha1.OAuth2TokenSpec{Mode: v1alpha1.TokenRefreshing}}
	look := func() (string, *state) {
		s := &state{record: oauth2.Minted{UID: "t", Tokens: []oauth2.MintedToken{current}}, delivered: delivered{value: valueOf("a")}, grant: oauth2.Grant{Audience: "a"}}
		return m.needed(object, s, ring), s
	}
	now.SetTime(noon.Add(minAge / 2))
	if reason, _ := look(); reason != "" {
		t.Fatalf("a token that is good is replaced: %s", reason)
	}
	m.revoked.learn(batchOf("a"), now.Now())
	reason, s := look()
	if wait := s.lookAgain(object, time.Time{}, now.Now()); reason != "" || wait != minAge/2 {
		t.Errorf("a token that was made a moment ago: %q, and looked at again in %s; want nothing, and in %s", reason, wait, minAge/2)
	}
	now.SetTime(noon.Add(minAge))
	if reason, _ := look(); reason != reasonRevoked {
		t.Errorf("replaced because %q, want %s", reason, reasonRevoked)
	}
	object.Spec.Mode, object.Spec.ExpirationTime = v1alpha1.TokenFixed, new(metav1.NewTime(noon.Add(time.Hour)))
	if reason, _ := look(); reason != "" {
		t.Errorf("a Fixed token is replaced: %s", reason)
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func valueOf(id string) oauth2.Secret { return oauth2.NewSecret("token " + id) }

// madeAt is a token of an hour that was made some minutes after noon.
func madeAt(id string, minutes int) oauth2.MintedToken {
	at := noon.Add(time.Duration(minutes) * time.Minute)
	return oauth2.MintedToken{ID: id, Digest: oauth2.DigestMinted("t", valueOf(id)), Audience: "a", IssuedAt: at, ExpiresAt: at.Add(time.Hour)}
}

func TestATokenCoversOneThatSaysNoMore(t *testing.T) {
	token := func(audience string, scopes ...string) oauth2.MintedToken {
		return oauth2.MintedToken{Audience: audience, Scopes: slices.Clone(scopes)}
	}
	for _, c := range []struct {
		fresh, old oauth2.MintedToken
		want       bool
	}{
		{token("a", "read"), token("a", "read"), true},
		{token("a", "read", "write"), token("a", "read"), true},
		{token("a", "read"), token("a", "read", "write"), false},
		{token("b", "read"), token("a", "read"), false},
	} {
		if covers(c.fresh, c.old) != c.want {
			t.Errorf("%v covers %v: want %t", c.fresh, c.old, c.want)
		}
	}
}

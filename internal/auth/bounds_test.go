// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

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

func TestLongTokensAreBoundedByTheirLength(t *testing.T) {
	v := newVerified()
	long := strings.Repeat("a", 8<<10)
	for i := range 2 * verifiedEntries {
		v.put(fmt.Sprint(i, long), oauth2.Verified{})
	}
	if size := (len(v.young) + len(v.old)) * len(long); size > 2*verifiedBytes {
		t.Errorf("tokens of %d bytes are remembered, want at most %d", size, 2*verifiedBytes)
	}
}

// reviewer is a Cluster with one verdict.
type reviewer struct {
	Cluster

	verdict oauth2.Verdict
}

func (r *reviewer) Review(context.Context, oauth2.Secret, oauth2.UsedAccountToken, string) oauth2.Verdict {
	return r.verdict
}

func TestReviewsHaveABudgetAndABoundedMemory(t *testing.T) {
	now, cluster := noon, &reviewer{verdict: oauth2.Honoured}
	reviews := New(Config{Cluster: cluster, Now: func() time.Time { return now }}).reviews
	used := oauth2.UsedAccountToken{Account: "system:serviceaccount:shop:worker", UID: "uid-of-worker", ExpiresAt: now.Add(time.Hour)}
	for i := range 500 {
		if err := reviews.check(t.Context(), Payer{Client: "shop.worker", Namespace: "shop"}, oauth2.NewSecret("token-"+strconv.Itoa(i)), used); err != nil {
			t.Fatal(err)
		}
	}
	if err := reviews.check(t.Context(), Payer{Client: "shop.worker", Namespace: "shop"}, oauth2.NewSecret("one more"), used); oauth2.ReasonOf(err) != oauth2.ReasonLookupUnavailable {
		t.Errorf("beyond the budget: %v", err)
	}
	if err := reviews.check(t.Context(), Payer{Client: "shop.worker", Namespace: "shop"}, oauth2.NewSecret("token-0"), used); err != nil {
		t.Errorf("one that was reviewed: %v", err)
	}
	cluster.verdict = oauth2.Dishonoured
	now = now.Add(10 * time.Second) // the verdicts above are no longer fresh
	store := func(namespace string, i int) {
		t.Helper()
		key := reviewKey(sha256.Sum256([]byte(namespace + strconv.Itoa(i))))
		if _, err := reviews.store(key, namespace, oauth2.Dishonoured, used.ExpiresAt); err != nil {
			t.Fatal(err)
		}
		if v, there := reviews.entries[key]; !there || v.honoured {
			t.Fatalf("verdict %d of %s is not remembered", i, namespace)
		}
	}
	for i := range reviewShare {
		store("shop", i)
	}
	// more than there is room for, by a namespace that replaces its own
	for i := range reviewEntries + 100 {
		store("evil", i)
	}
	for i := range reviewShare {
		store("orders", i)
	}
	if n, own := len(reviews.entries), len(reviews.owned["shop"]); n != reviewLent+3*reviewShare || own != reviewShare {
		t.Errorf("%d verdicts are remembered, %d of them of the namespace that came first", n, own)
	}
	now = now.Add(2 * time.Hour)
	if _, err := reviews.store(reviewKey{1}, "shop", oauth2.Honoured, now.Add(time.Hour)); err != nil || len(reviews.entries) != 1 || len(reviews.owned) != 1 {
		t.Errorf("%d verdicts outlive their tokens", len(reviews.entries)-1)
	}
}

func TestATokenIsFoundByTheWholeOfIt(t *testing.T) {
	v := newVerified()
	token := "header.payload.signature"
	read := oauth2.Verified{Claims: &oauth2.Claims{ID: "jti"}}
	v.put(token, read)
	if got, there := v.get(token); !there || cmp.Diff(read, got) != "" {
		t.Errorf("%v, %t", got, there)
	}
	for _, variant := range []string{"header.payload.Signature", token + "A", token[:len(token)-1]} {
		if _, there := v.get(variant); there {
			t.Errorf("%s is remembered", variant)
		}
	}
	long := string(make([]byte, 2000))
	if hashOf(long) != sha256.Sum256([]byte(long)) {
		t.Error("the hash of a long token is another")
	}
}

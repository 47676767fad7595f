// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// remembered is a token with claims of its own, which are parts of one text as those of an Issuer.
func remembered(i, scopes int) (token string, read oauth2.Verified) {
	text := fmt.Sprintf("%022d team-%d.service-%d https://hallpass.test/ns/team-%d %s", i, i/10, i, i/10, strings.Repeat("x", 200))
	for n := range scopes {
		text += fmt.Sprintf(" s%d", n)
	}
	fields := strings.Fields(text)
	return strings.Repeat("h", 176) + base64.RawURLEncoding.EncodeToString([]byte(text)), oauth2.Verified{Claims: &oauth2.Claims{
		ID: fields[0], ClientID: fields[1], Audience: fields[2], Scopes: slices.Clip(fields[4:]),
	}}
}

// has reports whether a token is remembered, and is no use of it.
func (v *verified) has(token string) bool {
	key := hashOf(token)
	found := v.tokens[firstOf(key)]
	return found != nil && found.key == key
}

func TestTheMemoryOfTokensIsBounded(t *testing.T) {
	for _, scopes := range []int{0, 2, 64} {
		heap := func() int {
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			return int(stats.HeapAlloc) //nolint:gosec // far below the largest int
		}
		before, v := heap(), newVerified()
		inUse, read := remembered(0, scopes)
		v.put("shop", inUse, read)
		n := MaxVerifiedBytes / sizeOfVerified(inUse, read.Claims)
		for i := range 2 * n {
			token, read := remembered(i+1, scopes)
			v.put("shop", token, read)
			if i%100 == 0 {
				v.get(inUse) // what is asked for stays
			}
		}
		if took := heap() - before; took > MaxVerifiedBytes {
			t.Errorf("%d tokens with %d scopes take %d bytes, at most %d", len(v.tokens), scopes, took, MaxVerifiedBytes)
		}
		if len(v.tokens) < n*9/10 {
			t.Errorf("%d tokens with %d scopes are remembered, of %d for which there is room", len(v.tokens), scopes, n)
		}
		if _, there := v.get(inUse); !there {
			t.Error("a token in use was forgotten")
		}
		if first, _ := remembered(1, scopes); v.has(first) {
			t.Error("the oldest token, which was not asked for, is remembered")
		}
	}
}

// A namespace has its part of the memory of tokens whatever others put there, before it or after
// it, and whether they use it or not. What it leaves is lent.
func TestANamespaceThatFillsTheMemoryOfTokensForgetsItsOwn(t *testing.T) {
	const each = 1000 - verifiedEntry // the length of a token
	const room = MaxVerifiedBytes / 1000
	put := func(v *verified, namespace string, first, n int, use bool) {
		for i := first; i < first+n; i++ {
			token := fmt.Sprintf("%-*s", each, namespace+" "+strconv.Itoa(i))
			if v.put(namespace, token, oauth2.Verified{Claims: &oauth2.Claims{}}); use {
				v.get(token)
			}
		}
	}
	count := func(v *verified, namespace string, first, n int) (there int) {
		for i := first; i < first+n; i++ {
			if v.has(fmt.Sprintf("%-*s", each, namespace+" "+strconv.Itoa(i))) {
				there++
			}
		}
		return there
	}
	for name, fill := range map[string]func(v *verified){
		"before it": func(v *verified) {
			put(v, "evil", 0, 2*room, true)
			if n := count(v, "evil", 0, 2*room); n != room {
				t.Errorf("a namespace alone has %d tokens, want all %d", n, room)
			}
			put(v, "shop", 0, room/3, false)
		},
		"after it": func(v *verified) {
			put(v, "shop", 0, room/3, false)
			put(v, "evil", 0, 2*room, true)
		},
		"as two namespaces": func(v *verified) {
			put(v, "shop", 0, room/3, false)
			for i := range 20 {
				put(v, "evil", i*room/10, room/10, true)
				put(v, "worse", i*room/10, room/10, true)
			}
		},
		"without a client that is known": func(v *verified) {
			put(v, "shop", 0, room/3, false)
			put(v, "", 0, 2*room, true)
		},
		"by one new token of each namespace": func(v *verified) {
			put(v, "shop", 0, 100, false)
			for i := range 2 * room {
				put(v, "evil", i, 1, true)
			}
			put(v, "shop", 100, room/3-100, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerified()
			fill(v)
			if n := count(v, "shop", 0, room/3); n != room/3 {
				t.Errorf("%d of %d tokens of a namespace within its part are remembered", n, room/3)
			}
			sum := 0
			for _, holder := range v.most {
				sum += holder.bytes
			}
			if len(v.tokens) != room || sum != v.bytes || v.bytes > MaxVerifiedBytes || len(v.most) != len(v.holders) {
				t.Errorf("%d tokens of %d namespaces take %d bytes, the sum is %d", len(v.tokens), len(v.holders), v.bytes, sum)
			}
		})
	}
}

func TestNamespacesWithoutTokensAreForgotten(t *testing.T) {
	v := newVerified()
	token := strings.Repeat("a", MaxVerifiedBytes/8)
	for i := range 100 {
		v.put(strconv.Itoa(i), strconv.Itoa(i)+token, oauth2.Verified{Claims: &oauth2.Claims{}})
	}
	if len(v.tokens) != 7 || len(v.holders) != 7 || len(v.most) != 7 {
		t.Errorf("%d tokens of %d and %d namespaces", len(v.tokens), len(v.holders), len(v.most))
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	v := newVerified()
	token, read := remembered(1, 2)
	v.put("shop", token, read)
	if n := testing.AllocsPerRun(100, func() { v.get(token) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTokensAreRememberedAtOnce(t *testing.T) {
	v := newVerified()
	var running sync.WaitGroup
	for _, namespace := range []string{"shop", "orders", ""} {
		running.Go(func() {
			for i := range 3000 {
				token := fmt.Sprintf("%-*d", 8<<10, i)
				v.put(namespace, token, oauth2.Verified{Claims: &oauth2.Claims{}, KeyID: strconv.Itoa(i)})
				if read, there := v.get(token); there && read.KeyID != strconv.Itoa(i) {
					t.Errorf("token %d is that of key %s", i, read.KeyID)
				}
			}
		})
	}
	running.Wait()
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

// The namespace of a payer is a part of the text of its client's record.
func TestAVerdictDoesNotHoldTheRecordOfItsClient(t *testing.T) {
	const verdicts, length = 100, 64 << 10
	heap := func() int {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc) //nolint:gosec // far below the largest int
	}
	reviews := New(Config{Cluster: &reviewer{verdict: oauth2.Honoured}, Now: func() time.Time { return noon }}).reviews
	used := oauth2.UsedAccountToken{Account: "system:serviceaccount:shop:worker", UID: "uid-of-worker", ExpiresAt: noon.Add(time.Hour)}
	before := heap()
	for i := range verdicts {
		record := fmt.Sprintf("shop-%03d.worker %s", i, strings.Repeat("x", length))
		payer := Payer{Client: record[:len("shop-000.worker")], Namespace: record[:len("shop-000")]}
		if err := reviews.check(t.Context(), payer, oauth2.NewSecret("token-"+strconv.Itoa(i)), used); err != nil {
			t.Fatal(err)
		}
	}
	if took := heap() - before; took > verdicts*length/10 {
		t.Errorf("%d verdicts take %d bytes", len(reviews.entries), took)
	}
	runtime.KeepAlive(reviews)
}

func TestATokenIsFoundByTheWholeOfIt(t *testing.T) {
	v := newVerified()
	token := "header.payload.signature"
	read := oauth2.Verified{Claims: &oauth2.Claims{ID: "jti"}}
	v.put("shop", token, read)
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

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// lastingToken is the entry of the n-th token of a test, which lives for three months.
func lastingToken(n int) Entry {
	r := revokedToken(n, noon)
	r.Until, r.IssuedAt = seconds(noon.Add(90*24*time.Hour)), 0
	return r
}

// A tenant can make tokens that live for months, revoke them, and make others. None of them is
// collapsed, so a namespace has a bound.
func TestRevocationsOfTokensThatLiveLongAreBounded(t *testing.T) {
	var r State
	revoke := func(n int, of Client) error {
		err := r.Room(lastingToken(n), of)
		if err == nil {
			r.Revoke(lastingToken(n), of, noon)
		}
		return err
	}
	for n := range (lastingShare + lastingLent) / 2 {
		if err := revoke(n, shopApp); err != nil {
			t.Fatalf("the %d. token: %v", n, err)
		}
	}
	if err := revoke(maxLasting, Client{"shop.other", "shop"}); oauth2.ReasonOf(err) != oauth2.ReasonRevocationNotDurable {
		t.Errorf("beyond what is lent to a namespace: %v", err)
	}
	if err := r.Room(lastingToken(0), shopApp); err != nil {
		t.Errorf("one that is revoked already: %v", err)
	}
	if err := r.Room(revokedToken(maxLasting, noon), shopApp); err != nil {
		t.Errorf("a token of an hour: %v", err)
	}
	for n := range lastingShare {
		if err := revoke(maxLasting+n, ordersApp); err != nil {
			t.Fatalf("the %d. token of another namespace: %v", n, err)
		}
	}

	r.Sweep(noon.Add(91 * 24 * time.Hour))
	if left, _ := r.Len(); left != 0 || r.Room(lastingToken(0), ordersApp) != nil {
		t.Errorf("%d are left once they have expired, and %v", left, r.Room(lastingToken(0), ordersApp))
	}
}

// Of what is lent for months one namespace gets half at most. Whatever namespaces borrow, one after
// the other or in turns, what is never lent is enough for the whole shares of others.
func TestWhatIsLentForMonthsLeavesOthersTheirShares(t *testing.T) {
	for name, c := range map[string]struct {
		bounds

		whole int // shares
	}{"tokens that live long": {lastingBounds, 48}, "grants with a generation": {grantBounds, 32}} {
		for _, borrowers := range []int{1, 2, c.whole / 2, c.whole - 1} {
			for _, inTurns := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d borrowers of %s, in turns %t", borrowers, name, inTurns), func(t *testing.T) {
					var s shares
					take := func(namespace string, most int) (took int) {
						for ; took < most && s.room(namespace, c.bounds); took++ {
							s.add(namespace, c.bounds)
						}
						return took
					}
					atOnce := c.all
					if inTurns {
						atOnce = 1
					}
					for took := 1; took > 0; {
						took = 0
						for n := range borrowers {
							took += take(fmt.Sprint("borrower-", n), atOnce)
						}
					}
					if has := s.namespaces["borrower-0"]; has < c.share || has > (c.lent+c.share)/2 {
						t.Errorf("one borrower has %d", has)
					}
					for n := range c.whole - borrowers {
						if got := take(fmt.Sprint("other-", n), c.share); got != c.share {
							t.Errorf("of the share of the %d. other namespace %d are left", n, got)
						}
					}
					if s.all > c.all {
						t.Errorf("there are %d", s.all)
					}
				})
			}
		}
	}
}

// Where more namespaces have whole shares than there is room for, whatever they borrowed before,
// the next ones have parts of shares, and none is refused its first.
func TestWhereMoreNamespacesHaveSharesThanFitOthersHaveParts(t *testing.T) {
	for name, c := range map[string]struct {
		bounds

		whole int // shares
	}{"tokens that live long": {lastingBounds, 48}, "grants with a generation": {grantBounds, 32}, "redeemed codes": {redeemedBounds, 16}} {
		t.Run(name, func(t *testing.T) {
			var s shares
			take := func(namespace string) (took int) {
				for ; s.room(namespace, c.bounds); took++ {
					s.add(namespace, c.bounds)
				}
				return took
			}
			for n := range c.whole {
				if got := take(fmt.Sprint("whole-", n)); got < c.share {
					t.Fatalf("of %d namespaces the %d. has %d", c.whole, n, got)
				}
			}
			before := c.share
			for n := range 32 {
				got := take(fmt.Sprint("further-", n))
				if got < 1 || got > before || n == 0 && got < c.share*3/4 {
					t.Errorf("beyond the whole shares the %d. namespace has %d, and the one before it %d", n, got, before)
				}
				before = got
			}
			if s.all > c.all || s.borrowed > c.lent {
				t.Errorf("there are %d, of which %d are borrowed", s.all, s.borrowed)
			}
		})
	}
}

func TestARevocationOfATokenThatLivesLongOutlastsACollapse(t *testing.T) {
	var r State
	r.Revoke(lastingToken(1<<20), shopApp, noon)
	r.fill(0, maxOfClient+1, shopApp, noon)
	selectors := r.excess()
	if len(selectors) != 1 || selectors[0].IssuedBefore.Before(noon) {
		t.Fatalf("the selectors are %v: the token that lives long is one of the half", selectors)
	}
	r.Select(selectors[0].Name(), selectors[0])
	r.Sweep(noon)
	r.Deselect(selectors[0].Name()) // which the manager deletes after an hour
	claims := claimsOf(lastingToken(1<<20), shopApp)
	if !r.Revoked(claims, "shop", noon.Add(time.Hour)) {
		t.Error("a token is good again that lives longer than the selector")
	}
}

// storedBatches keeps the batches that a Journal writes.
type storedBatches []Batch

func (s *storedBatches) WriteRevocations(_ context.Context, _ string, batch Batch) error {
	*s = append(*s, batch)
	return nil
}

// The other replicas, and those that start later, count the same.
func TestTokensThatLiveLongCountAtEachReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stored storedBatches
		j := NewJournal(&stored, func() time.Time { return noon }, func(bool, int) {}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			j.Run(ctx)
		}()
		if err := j.Revoke(ctx, lastingToken(1), shopApp); err != nil {
			t.Fatal(err)
		}
		stop()
		<-done
		read, err := UnpackBatch(stored[0].Pack())
		if err != nil {
			t.Fatal(err)
		}
		merged := Merge(Margins{}, func(Entry, Client) bool { return true }, read)
		var first, second State
		first.Learn(merged, noon)
		for i := range Parts {
			second.Learn(first.Part(i), noon)
		}
		for name, r := range map[string]*State{"that reads the batch": &first, "that reads the snapshot": &second} {
			if counted := r.holders.lasting.namespaces["shop"]; counted != 1 {
				t.Errorf("a replica %s counts %d", name, counted)
			}
		}
	})
}

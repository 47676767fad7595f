// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var errForged = errors.New("forged")

// spendFailures uses up what a payer may have verified in vain.
func spendFailures(v *verification, payer Payer, at time.Time) {
	for range failedVerifications.Burst {
		_, _ = verify(v, payer, at, func() (int, error) { return 0, errForged })
	}
}

func TestAPayerWithoutBudgetHasOneSignatureCheckedAtATime(t *testing.T) {
	const requests = 50
	v, guesser := newVerification(), Payer{Source: "192.0.2.1"}
	spendFailures(v, guesser, noon)
	var running sync.WaitGroup
	var atOnce, most, checked atomic.Int32
	for i := range requests {
		running.Go(func() {
			_, err := verify(v, guesser, noon, func() (int, error) {
				// alone, so that nothing is lost between the two
				most.Store(max(most.Load(), atOnce.Add(1)))
				defer atOnce.Add(-1)
				checked.Add(1)
				runtime.Gosched() // let others begin if they may
				if i%2 == 0 {
					return 0, errForged
				}
				return i, nil
			})
			if (err != nil) != (i%2 == 0) {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	running.Wait()
	if most.Load() != 1 || checked.Load() != requests {
		t.Errorf("%d of %d signatures were checked, %d at once", checked.Load(), requests, most.Load())
	}
}

// Payers with a budget do not wait for others: all their checks are under way before the first one
// ends.
func TestPayersWithABudgetAreCheckedAtOnce(t *testing.T) {
	v := newVerification()
	spendFailures(v, Payer{Source: "192.0.2.1"}, noon)
	spendFailures(v, Payer{Client: "evil.client", Namespace: "evil"}, noon)
	payers := []Payer{
		{Source: "192.0.2.2"}, {Source: "192.0.2.2"}, {Client: "shop.reporting", Namespace: "shop"}, {Client: "192.0.2.1", Namespace: "shop"},
		{Source: "evil.client"},
	}
	var running, begun sync.WaitGroup
	begun.Add(len(payers))
	for _, payer := range payers {
		running.Go(func() {
			if got, err := verify(v, payer, noon, func() (int, error) {
				begun.Done()
				begun.Wait()
				return 1, nil
			}); got != 1 || err != nil {
				t.Errorf("%v: %d, %v", payer, got, err)
			}
		})
	}
	running.Wait()
}

func TestTheBudgetOfFailedVerifications(t *testing.T) {
	v, payer := newVerification(), Payer{Source: "192.0.2.1"}
	for range 1000 {
		_, _ = verify(v, payer, noon, func() (int, error) { return 0, nil })
	}
	if v.turn(payer, noon) != nil {
		t.Error("right credentials cost budget")
	}
	spendFailures(v, payer, noon)
	if v.turn(payer, noon) == nil {
		t.Fatal("no budget is used up by failures")
	}
	for i := range 50_000 { // other sources, as many as there are entries and more
		_, _ = verify(v, Payer{Source: strconv.Itoa(i)}, noon, func() (int, error) { return 0, errForged })
	}
	if v.turn(payer, noon) == nil {
		t.Error("other sources let a guesser off")
	}
	if v.turn(payer, noon.Add(failedVerifications.Interval)) != nil {
		t.Error("the budget does not come back")
	}
}

// A chain of certificates costs its source as much as signatures that fail, also a good one. While
// one is verified of a source without a budget, that of another source is.
func TestChainsCostTheBudgetOfTheirSource(t *testing.T) {
	a := &Authority{verification: newVerification()}
	const hostile, honest, chain = "192.0.2.1", "192.0.2.2", 4
	for range failedVerifications.Burst/chain + 1 {
		if err := a.VerifyCertificates(hostile, noon, chain, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if a.verification.turn(Payer{Source: hostile}, noon) == nil {
		t.Fatal("no budget is used up by chains")
	}
	var running sync.WaitGroup
	var atOnce, most atomic.Int32
	verifying, done := make(chan struct{}, 100), make(chan struct{})
	for range 50 {
		running.Go(func() {
			if err := a.VerifyCertificates(hostile, noon, chain, func() error {
				most.Store(max(most.Load(), atOnce.Add(1)))
				defer atOnce.Add(-1)
				verifying <- struct{}{}
				<-done
				return errForged
			}); !errors.Is(err, errForged) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	<-verifying
	if err := a.VerifyCertificates(honest, noon, chain, func() error { return nil }); err != nil {
		t.Error(err)
	}
	close(done)
	running.Wait()
	if most.Load() != 1 {
		t.Errorf("%d chains were verified at once", most.Load())
	}
}

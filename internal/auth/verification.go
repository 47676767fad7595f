// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
)

// failedVerifications are what a payer may have verified in vain at any time, several at once.
var failedVerifications = budget.Level{Burst: 50, Interval: 50 * time.Millisecond} //nolint:gochecknoglobals // a constant

// verification limits how many signatures are checked in vain for one payer: of assertions, of
// tokens of service accounts, and of access tokens that were not seen before. A payer that has used
// up its budget has one signature checked at a time. It is never refused for that, so a right
// credential passes whatever came before it from the same source.
type verification struct {
	failures *budget.Budget
	seed     maphash.Seed
	// turns are held while a payer without a budget has a signature checked. Several payers may
	// have the same one.
	turns [256]sync.Mutex
}

func newVerification() *verification {
	return &verification{failures: budget.New(failedVerifications), seed: maphash.MakeSeed()}
}

// verify checks a signature for a payer, and counts a failure.
func verify[T any](v *verification, payer Payer, at time.Time, check func() (T, error)) (T, error) {
	turn := v.turn(payer, at)
	if turn != nil {
		turn.Lock()
		defer turn.Unlock()
	}
	result, err := check()
	if err != nil {
		v.failures.Take(at, payer.own())
	}
	return result, err
}

// turn is what a payer without a budget waits for, or nil.
func (v *verification) turn(payer Payer, at time.Time) *sync.Mutex {
	own := payer.own()
	if v.failures.Has(at, own) {
		return nil
	}
	return &v.turns[maphash.String(v.seed, own.Who)%uint64(len(v.turns))]
}

// VerifyCertificates calls verify, which verifies a chain of so many certificates for a source.
// Each of them counts as a signature that fails, also if the chain is good: a source that has used
// up its budget has one chain verified at a time. It returns the error of verify.
func (a *Authority) VerifyCertificates(source string, at time.Time, certificates int, verify func() error) error {
	payer := Payer{Source: source}
	if turn := a.verification.turn(payer, at); turn != nil {
		turn.Lock()
		defer turn.Unlock()
	}
	err := verify()
	for range certificates {
		a.verification.failures.Take(at, payer.own())
	}
	return err
}

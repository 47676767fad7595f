// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keyring

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
)

// The least that an installation may set.
const (
	// MinLead is longer than verifiers cache a key set and than a replica may lag behind its watch.
	MinLead = time.Hour
	// MinSkew is how far two clocks of the installation may differ.
	MinSkew = 5 * time.Minute
	// RetirementMargin is what a retired key stays beyond the longest token lifetime.
	RetirementMargin = 15 * time.Minute
)

// Policy is how the keys of an installation live. A change of it moves no instant of a key that signs already.
type Policy struct {
	// Algorithms are those that tokens may be signed with, the default first. One that is taken away, or is the default no
	// more, leaves by the same life: its successor is published for the lead before it signs.
	Algorithms []jws.Algorithm
	// Period is how long a key signs.
	Period time.Duration
	// Lead is how long a key is in the JWK set before it signs.
	Lead time.Duration
	// Retirement is how long a key stays in the JWK set after it signed the last token: the longest token lifetime and
	// RetirementMargin.
	Retirement time.Duration
	// Skew is how far two clocks may differ. A key that must sign at once is active since that long, so that replicas whose
	// clocks are behind take it too; one that is new is published that much longer.
	Skew time.Duration
}

// DefaultPolicy is ES256 keys that sign for thirty days and are published six hours before, for tokens of that lifetime at
// most.
func DefaultPolicy(longestToken time.Duration) Policy {
	return Policy{
		Algorithms: []jws.Algorithm{jws.ES256}, Period: 30 * 24 * time.Hour, Lead: 6 * time.Hour,
		Retirement: longestToken + RetirementMargin, Skew: MinSkew,
	}
}

// Validate refuses a policy by which a verifier could meet a token before its key.
func (p Policy) Validate() error {
	var errs []error
	if p.Lead < MinLead {
		errs = append(errs, fmt.Errorf("the lead of %s is shorter than %s", p.Lead, MinLead))
	}
	if p.Skew < MinSkew {
		errs = append(errs, fmt.Errorf("the clock skew of %s is smaller than %s", p.Skew, MinSkew))
	}
	if p.Retirement <= RetirementMargin {
		errs = append(errs, fmt.Errorf("the retirement of %s is not a token lifetime and %s", p.Retirement, RetirementMargin))
	}
	return errors.Join(append(errs, p.consistent())...)
}

// consistent is what Rotate needs whatever the size of the figures: one key has gone before the next but one is published.
func (p Policy) consistent() error {
	var errs []error
	if len(p.Algorithms) == 0 {
		errs = append(errs, errors.New("no signing algorithm"))
	}
	for i, algorithm := range p.Algorithms {
		if !Signs(algorithm) {
			errs = append(errs, fmt.Errorf("tokens are not signed with %q; use ES256, RS256 or EdDSA", algorithm))
		}
		if slices.Contains(p.Algorithms[:i], algorithm) {
			errs = append(errs, fmt.Errorf("the algorithm %s is there twice", algorithm))
		}
	}
	if p.Lead < time.Second || p.Retirement < time.Second || p.Skew < 0 {
		errs = append(errs, errors.New("lead and retirement must be set, and no span of time may be negative"))
	}
	if least := 2*p.Lead + p.Skew + p.Retirement; p.Period < least {
		errs = append(errs, fmt.Errorf("the period of %s is shorter than %s, the lead twice, the retirement and the skew", p.Period, least))
	}
	return errors.Join(errs...)
}

// Signs reports whether tokens are signed with an algorithm.
func Signs(algorithm jws.Algorithm) bool {
	return algorithm == jws.ES256 || algorithm == jws.RS256 || algorithm == jws.EdDSA
}

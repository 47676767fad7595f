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

// The lower bounds of a policy.
const (
	// minLead exceeds how long verifiers cache a key set, and the delay of watches.
	minLead = time.Hour
	// minSkew is the least difference of two clocks that is allowed for.
	minSkew = 5 * time.Minute
	// RetirementMargin is how long a retired key stays beyond the longest token lifetime.
	RetirementMargin = 15 * time.Minute
)

// Policy sets the lives of keys. Changing it moves no instant of a key that signs already.
type Policy struct {
	// Algorithms sign tokens, the default first. The keys of a removed one live on until the
	// keys of the default one have been published for the lead.
	Algorithms []jws.Algorithm
	// Period is how long a key signs.
	Period time.Duration
	// Lead is how long a key is published before it signs.
	Lead time.Duration
	// Retirement is how long a retired key stays in the JWK set: the longest token lifetime and
	// RetirementMargin.
	Retirement time.Duration
	// Skew is how far two clocks may differ. A key that must sign at once is active since that
	// long ago, and a new one is published that much longer.
	Skew time.Duration
}

// DefaultPolicy is ES256 keys that are published for six hours and then sign for thirty days.
func DefaultPolicy(longestToken time.Duration) Policy {
	return Policy{
		Algorithms: []jws.Algorithm{jws.ES256}, Period: 30 * 24 * time.Hour, Lead: 6 * time.Hour,
		Retirement: longestToken + RetirementMargin, Skew: minSkew,
	}
}

// Validate refuses a policy by which a verifier could see a token before its key.
func (p Policy) Validate() error {
	var errs []error
	if p.Lead < minLead {
		errs = append(errs, fmt.Errorf("the lead of %s is shorter than %s", p.Lead, minLead))
	}
	if p.Skew < minSkew {
		errs = append(errs, fmt.Errorf("the clock skew of %s is smaller than %s", p.Skew, minSkew))
	}
	if p.Retirement <= RetirementMargin {
		errs = append(errs, fmt.Errorf("the retirement of %s is not a token lifetime and %s", p.Retirement, RetirementMargin))
	}
	return errors.Join(append(errs, p.consistent())...)
}

// consistent checks what Rotate needs, whatever the bounds are: a key is gone before the
// successor of its successor is published.
func (p Policy) consistent() error {
	var errs []error
	if len(p.Algorithms) == 0 {
		errs = append(errs, errors.New("no signing algorithm"))
	}
	for i, algorithm := range p.Algorithms {
		if !Signs(algorithm) {
			errs = append(errs, fmt.Errorf("tokens are not signed with %q; use ES256, RS256, EdDSA or Ed25519", algorithm))
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
	return slices.Contains([]jws.Algorithm{jws.ES256, jws.RS256, jws.EdDSA, jws.Ed25519}, algorithm)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// The whole life of a second algorithm: not there, published, signing, retired, gone. A client that
// asks for it gets it or the reason why not; it never gets another.
func TestAClientGetsTheAlgorithmItAsksForOrNone(t *testing.T) {
	policy := keyring.DefaultPolicy(time.Hour)
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rotate := func(ring keyring.Ring, now time.Time, algorithms ...jws.Algorithm) keyring.Ring {
		t.Helper()
		policy.Algorithms = algorithms
		rotation, err := keyring.Rotate(ring, keyring.At(now), policy, keyring.Order{}, keyring.Generate)
		if err != nil {
			t.Fatal(err)
		}
		return rotation.Ring
	}
	one := rotate(keyring.Ring{}, start, jws.ES256)
	both := rotate(one, start, jws.ES256, jws.EdDSA)
	signing := start.Add(policy.Lead + policy.Skew)
	dropped := rotate(both, signing.Add(time.Hour), jws.ES256)
	for _, step := range []struct {
		name   string
		ring   keyring.Ring
		at     time.Time
		reason oauth2.Reason
		code   oauth2.ErrorCode
	}{
		{"not enabled", one, start, oauth2.ReasonAlgorithmNotEnabled, oauth2.UnauthorizedClient},
		{"published", both, start, oauth2.ReasonAlgorithmNotReady, oauth2.TemporarilyUnavailable},
		{"a moment before it signs", both, signing.Add(-time.Second), oauth2.ReasonAlgorithmNotReady, oauth2.TemporarilyUnavailable},
		{"signing", both, signing, "", ""},
		{"taken away", dropped, signing.Add(time.Hour), oauth2.ReasonAlgorithmNotEnabled, oauth2.UnauthorizedClient},
	} {
		t.Run(step.name, func(t *testing.T) {
			key, err := oauth2.SigningKey(&oauth2.Client{Tokens: oauth2.TokenForm{Algorithm: jws.EdDSA}}, step.ring, step.at)
			if refusal, _ := errors.AsType[*oauth2.Error](err); oauth2.ReasonOf(err) != step.reason || step.code != "" && refusal.Code != step.code {
				t.Errorf("got %v for %q, want %s for %s", err, oauth2.ReasonOf(err), step.code, step.reason)
			}
			if err == nil && key.Algorithm() != jws.EdDSA {
				t.Errorf("a key of %s", key.Algorithm())
			}
			if key, err := oauth2.SigningKey(&oauth2.Client{}, step.ring, step.at); err != nil || key.Algorithm() != jws.ES256 {
				t.Errorf("a client that asks for nothing: %v (%v)", key, err)
			}
		})
	}
	for name, c := range map[string]struct {
		algorithm jws.Algorithm
		ring      keyring.Ring
		at        time.Time
	}{
		"without any key":                         {ring: keyring.Ring{}, at: start},
		"by a clock that is behind":               {ring: both, at: start.AddDate(-1, 0, 0)},
		"by a clock that is behind, an algorithm": {algorithm: jws.EdDSA, ring: one, at: start.AddDate(-1, 0, 0)},
	} {
		_, err := oauth2.SigningKey(&oauth2.Client{Tokens: oauth2.TokenForm{Algorithm: c.algorithm}}, c.ring, c.at)
		if refusal, _ := errors.AsType[*oauth2.Error](err); refusal == nil || refusal.Code != oauth2.TemporarilyUnavailable || refusal.Reason != oauth2.ReasonNoSigningKey {
			t.Errorf("%s: %v", name, err)
		}
	}
}

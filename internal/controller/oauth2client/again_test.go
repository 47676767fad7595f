// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestAClientIsLookedAtAgainWhenSomethingIsDue(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ending := func(after time.Duration) decision {
		return decision{plan: credential.Keep(credential.Record{Verifiers: []oauth2.Verifier{{ExpiresAt: now.Add(after)}}}, keyring.At(now))}
	}
	due := func(after time.Duration) decision { return decision{plan: credential.Plan{Due: now.Add(after)}} }
	with := func(d decision, condition metav1.Condition) decision {
		d.obstacle = &condition
		return d
	}
	for name, c := range map[string]struct {
		decision decision
		want     time.Duration
	}{
		"nothing is due":                       {decision{}, 0},
		"a rotation":                           {due(time.Hour), time.Hour},
		"one that was due before":              {due(-time.Hour), time.Second},
		"a secret that ends":                   {ending(time.Minute), time.Minute},
		"a change of the signing keys":         {decision{keysChangeAt: now.Add(time.Minute)}, time.Minute},
		"a name that somebody's Secret has":    {with(decision{}, v1alpha1.SecretConflict("a")), 0},
		"a name that somebody's ConfigMap has": {with(decision{}, v1alpha1.ConfigMapConflict("a")), 0},
		"a Secret that is not there yet":       {with(decision{}, v1alpha1.SecretNotFound("a")), 0},
		"a secret that ends before that":       {with(ending(time.Second), v1alpha1.SecretConflict("a")), time.Second},
		"a service account that is not there":  {with(decision{}, v1alpha1.ServiceAccountNotFound("a")), 0},
	} {
		if got := c.decision.again(now, time.Time{}, time.Time{}); got != c.want {
			t.Errorf("%s: in %s, want %s", name, got, c.want)
		}
	}
}

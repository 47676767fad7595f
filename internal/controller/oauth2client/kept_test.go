// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

func TestTheStatusSaysWhyASecretLivesOn(t *testing.T) {
	since := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		answer  usage.Answer
		reason  v1alpha1.KeptReason
		message string
	}{
		"it is in use":              {usage.Answer{Finding: usage.NotUnusedForLong, Since: since}, v1alpha1.KeptInUse, "it has not been used for 24h"},
		"nothing is reported":       {usage.Answer{Finding: usage.NotReported}, v1alpha1.KeptForWantOfProof, "No replica"},
		"a replica does not report": {usage.Answer{Finding: usage.NotReported, Replica: "web-1", Since: since}, v1alpha1.KeptForWantOfProof, "Replica web-1 of the token server may have accepted it: it has not reported all that it accepted since 2026-05-01T12:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			reason, message := keptBecause(row.answer, 24*time.Hour)
			if reason != row.reason || !strings.Contains(message, row.message) {
				t.Errorf("%s %q", reason, message)
			}
		})
	}
}

func TestWhatNobodyHasJudgedKeepsItsReason(t *testing.T) {
	since := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	end := since.Add(48 * time.Hour)
	type kept struct {
		reason  v1alpha1.KeptReason
		message string
	}
	before := kept{v1alpha1.KeptForWantOfProof, "Replica web-1 is silent."}
	c := &v1alpha1.OAuth2Client{Status: v1alpha1.OAuth2ClientStatus{
		Credentials: []v1alpha1.CredentialStatus{{ID: "old", KeptReason: before.reason, KeptMessage: before.message}},
	}}
	judged := map[string]usage.Answer{"old": {Finding: usage.NotUnusedForLong}}
	inUse := kept{v1alpha1.KeptInUse, "It ends once it has not been used for 0s, or when its overlap is over."}
	watched := oauth2.Verifier{ID: "old", ExpiresAt: end, WatchedSince: since}
	for name, row := range map[string]struct {
		verifier oauth2.Verifier
		judged   map[string]usage.Answer
		want     kept
	}{
		"nobody has judged":       {watched, nil, before},
		"somebody has":            {watched, judged, inUse},
		"nothing was said so far": {oauth2.Verifier{ID: "new", ExpiresAt: end, WatchedSince: since}, nil, kept{}},
		"it is not watched":       {oauth2.Verifier{ID: "old", ExpiresAt: end}, nil, kept{v1alpha1.KeptForOverlap, "It is accepted until its overlap is over."}},
		"it is the current one":   {oauth2.Verifier{ID: "old"}, judged, kept{}},
	} {
		t.Run(name, func(t *testing.T) {
			if reason, message := whyKept(c, credential.Plan{Kept: row.judged}, row.verifier); reason != row.want.reason || message != row.want.message {
				t.Errorf("%s %q, want %+v", reason, message, row.want)
			}
		})
	}
}

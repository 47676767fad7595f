// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const testUID = "0b7c1f3e-7f4b-4d69-9b0e-6a3f3a0f2d11"

var start = time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)

// of makes a verifier of a secret that is called as its id, was made so long after start and ends
// so long after it; zero for one without an end.
func of(id string, made, end time.Duration) oauth2.Verifier {
	v := oauth2.Verifier{ID: id, Digest: oauth2.DigestSecret(testUID, oauth2.NewSecret(id)), CreatedAt: start.Add(made)}
	if end > 0 {
		v.ExpiresAt = start.Add(end)
	}
	return v
}

// encode tries whether the verifiers may be published.
func encode(r credential.Record) error {
	c := oauth2.Client{ID: "shop.app", Namespace: "shop", Name: "app", UID: testUID, Tokens: oauth2.TokenForm{Lifetime: time.Hour}, Credentials: oauth2.Credentials{Verifiers: r.Verifiers}}
	_, err := registration.Encode(registration.Registration{Client: c, Rotation: r.Rotation})
	return err
}

// The Secret refuses each write for days. Whatever is proposed meanwhile, what reached the Secret
// before stays to its end.
func TestFailedWritesPushOutNoSecretThatApplicationsHold(t *testing.T) {
	r := credential.Record{Verifiers: []oauth2.Verifier{of("c", 2*time.Hour, 0), of("b", time.Hour, 90*24*time.Hour), of("a", 0, 80*24*time.Hour)}}
	for try := range 1000 {
		now := start.Add(3*time.Hour + time.Duration(try)*time.Second)
		id := fmt.Sprint("try", try)
		r = credential.Plan{Record: r}.Propose(credential.Proposal{Credential: oauth2.Credential{ID: id, Value: oauth2.NewSecret(id)}, At: keyring.At(now)}, credential.Policy{UID: testUID}).Record
		for _, value := range []string{"a", "b", "c", id} {
			if !slices.ContainsFunc(r.Verifiers, func(v oauth2.Verifier) bool { return v.ID == value && v.Live(now) }) {
				t.Fatalf("after %d tries %s is gone: %v", try, value, r.Verifiers)
			}
		}
		if err := encode(r); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing that Hallpass writes has as many secrets that reached a Secret. Such a record is not made
// to fit by taking one of them away.
func TestARecordThatIsFullOfSecretsIsNotWritten(t *testing.T) {
	var all []oauth2.Verifier
	for i := range oauth2.MaxVerifiers {
		all = append(all, of(fmt.Sprint(i), time.Duration(i), time.Hour))
	}
	r := credential.Plan{Record: credential.Record{Verifiers: all}}.Propose(credential.Proposal{Credential: oauth2.Credential{ID: "new", Value: oauth2.NewSecret("new")}, At: keyring.At(start)}, credential.Policy{UID: testUID}).Record
	if err := encode(r); err == nil || len(r.Verifiers) != oauth2.MaxVerifiers+1 {
		t.Errorf("%v: %v", err, r.Verifiers)
	}
}

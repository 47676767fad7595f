// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"crypto/rand"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// The decision is a function of the spec and of what was seen: whatever stands first in the order
// of obstacles is reported, and only without one anything is done.
func TestDecide(t *testing.T) {
	issuer, err := oauth2.ParseIssuer("https://tokens.example", false)
	if err != nil {
		t.Fatal(err)
	}
	minted, err := oauth2.NewClientSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)
	record := credential.Plan{}.Create(credential.Proposal{Credential: minted, At: keyring.At(now)}, credential.Policy{UID: "u"}, keyring.At(now)).Record
	registered := registration.Registration{Client: oauth2.Client{Credentials: oauth2.Credentials{Verifiers: record.Verifiers}}, Rotation: record.Rotation}
	one := oauth2.Ceilings{Numbers: oauth2.Numbers{Clients: new(1)}}
	conflict := new(v1alpha1.SecretConflict("app"))
	missing := found{obstacle: new(v1alpha1.SecretNotFound("app"))}
	chosen := v1alpha1.OAuth2ClientSpec{ClientID: "com.acme.orders"}
	named := oauth2.Ceilings{ClientIDs: [][]string{{chosen.ClientID}}}
	reserved := found{obstacle: new(v1alpha1.ClientIDReserved(chosen.ClientID, "com"))}
	there := found{object: &corev1.Secret{}, value: minted.Value}
	spec := func(change func(*v1alpha1.OAuth2ClientSpec)) v1alpha1.OAuth2ClientSpec {
		var s v1alpha1.OAuth2ClientSpec
		change(&s)
		return s
	}
	nothing := spec(func(*v1alpha1.OAuth2ClientSpec) {})
	account := spec(func(s *v1alpha1.OAuth2ClientSpec) {
		s.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: "web"}}
	})
	keys := spec(func(s *v1alpha1.OAuth2ClientSpec) {
		s.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: `{"keys": 1}`}}
	})
	existing := spec(func(s *v1alpha1.OAuth2ClientSpec) { s.Secret.Source = v1alpha1.SecretExisting })
	template := spec(func(s *v1alpha1.OAuth2ClientSpec) { s.Secret.Template = v1alpha1.SecretTemplate{"a": "$(nothing)"} })
	for name, c := range map[string]struct {
		spec     v1alpha1.OAuth2ClientSpec
		seen     seen
		obstacle string
		action   action
		mint     credential.Reason
		live     int // secrets that are registered then
	}{
		"all is there":                      {nothing, seen{inRegistry: inRegistry{registered: registered, held: true}, found: there}, "", apply, credential.None, 1},
		"the id is another client's":        {template, seen{inRegistry: inRegistry{taken: true}}, v1alpha1.ReasonClientIDConflict, apply, credential.None, 0},
		"the id takes a policy":             {chosen, seen{}, v1alpha1.ReasonClientIDNotAllowed, apply, credential.None, 0},
		"the id is a namespace's":           {chosen, seen{ceilings: named, found: reserved}, v1alpha1.ReasonClientIDReserved, apply, credential.None, 0},
		"the id was the client's before":    {chosen, seen{inRegistry: inRegistry{held: true, registered: registered}, found: there}, "", apply, credential.None, 1},
		"there is no room":                  {template, seen{room: room{beyond: true}, ceilings: one}, v1alpha1.ReasonTooManyClients, apply, credential.None, 0},
		"a client that is held has room":    {nothing, seen{inRegistry: inRegistry{held: true, registered: registered}, room: room{beyond: true}, ceilings: one, found: there}, "", apply, credential.None, 1},
		"the Secret is another owner's":     {template, seen{inRegistry: inRegistry{registered: registered}, found: found{obstacle: conflict}}, v1alpha1.ReasonSecretConflict, apply, credential.None, 1},
		"the template is wrong":             {template, seen{inRegistry: inRegistry{registered: registered}, found: there}, v1alpha1.ReasonInvalidTemplate, apply, credential.None, 1},
		"the Secret is missing":             {nothing, seen{inRegistry: inRegistry{registered: registered}}, "", lookLive, credential.Repaired, 1},
		"the Secret is missing, seen live":  {nothing, seen{inRegistry: inRegistry{registered: registered}, found: found{live: true}}, "", apply, credential.Repaired, 1},
		"nothing is there":                  {nothing, seen{}, "", lookLive, credential.Created, 0},
		"nothing was ever written":          {nothing, seen{found: found{unknown: true}}, "", create, credential.Created, 0},
		"it was written a moment ago":       {nothing, seen{found: found{unknown: true}, earlier: earlier{expected: true}}, "", await, credential.Created, 0},
		"a declared Secret is missing":      {existing, seen{inRegistry: inRegistry{registered: registered}, found: missing}, v1alpha1.ReasonSecretNotFound, apply, credential.None, 1},
		"a declared Secret is there":        {existing, seen{inRegistry: inRegistry{registered: registered}, found: there}, "", apply, credential.None, 1},
		"the service account is missing":    {account, seen{}, v1alpha1.ReasonServiceAccountNotFound, apply, credential.None, 0},
		"the ConfigMap is missing":          {account, seen{inRegistry: inRegistry{registered: registered}, accountUID: "a"}, "", lookLive, credential.None, 0},
		"the ConfigMap is missing, live":    {account, seen{accountUID: "a", found: found{live: true}}, "", apply, credential.None, 0},
		"the keys are none":                 {keys, seen{}, v1alpha1.ReasonInvalidJWKS, apply, credential.None, 0},
		"the keys are none, nor the Secret": {keys, seen{found: found{obstacle: conflict}}, v1alpha1.ReasonSecretConflict, apply, credential.None, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.at = keyring.At(now)
			object := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "u"}, Spec: c.spec}
			d := decide(object, methodOf(object, nil, nil, nil, generationKeys{}), issuer, c.seen)
			obstacle := ""
			if d.obstacle != nil {
				obstacle = d.obstacle.Reason
			}
			if obstacle != c.obstacle || d.action != c.action || d.plan.Reason != c.mint || len(d.registration().Client.Credentials.Verifiers) != c.live {
				t.Errorf("%q, action %d, reason %d, %d secrets; want %q, %d, %d, %d",
					obstacle, d.action, d.plan.Reason, len(d.registration().Client.Credentials.Verifiers), c.obstacle, c.action, c.mint, c.live)
			}
			if (d.data == nil) != (obstacle != "") {
				t.Errorf("rendered %d entries with the obstacle %q", len(d.data), obstacle)
			}
		})
	}
}

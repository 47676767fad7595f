// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// scopesOf are scopes of 128 letters, of which a registration has room for some 80.
func scopesOf(from, to int) []v1alpha1.Scope {
	var scopes []v1alpha1.Scope
	for i := from; i < to; i++ {
		scopes = append(scopes, v1alpha1.Scope(fmt.Sprintf("%0128d", i)))
	}
	return scopes
}

func TestTheSizeOfARegistrationIsLimited(t *testing.T) {
	issuer, err := oauth2.ParseIssuer("https://tokens.example", false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)
	access := func(resource string, scopes []v1alpha1.Scope) v1alpha1.Access {
		return v1alpha1.Access{ResourceNamespace: "orders", ResourceName: resource, Scopes: scopes}
	}
	small := v1alpha1.OAuth2ClientSpec{Scopes: scopesOf(0, 3), Access: []v1alpha1.Access{access("a", scopesOf(0, 2))}}
	large := v1alpha1.OAuth2ClientSpec{Scopes: scopesOf(0, 30), Access: []v1alpha1.Access{access("a", scopesOf(0, 30)), access("b", scopesOf(0, 30))}}
	otherwise := v1alpha1.OAuth2ClientSpec{Scopes: scopesOf(2, 60), Access: []v1alpha1.Access{access("b", scopesOf(0, 60)), access("a", scopesOf(1, 60))}}
	object := func(spec v1alpha1.OAuth2ClientSpec) *v1alpha1.OAuth2Client {
		return &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "app", UID: "u", Labels: map[string]string{"app": "shop"},
		}, Spec: spec}
	}
	for name, c := range map[string]struct {
		before *v1alpha1.OAuth2ClientSpec // what is registered
		spec   v1alpha1.OAuth2ClientSpec
		// obstacle keeps the client from being registered, shortfall from being ready, and
		// limits is reported beside.
		obstacle, shortfall, limits string
		scopes                      []v1alpha1.Scope
		access                      []oauth2.Access
	}{
		"a small one": {nil, small, "", "", "", small.Scopes, []oauth2.Access{
			{Resource: oauth2.ObjectName{Namespace: "orders", Name: "a"}, Scopes: texts(scopesOf(0, 2))},
		}},
		"a new one that is too large": {nil, large, v1alpha1.ReasonTooLarge, "", "", large.Scopes, nil},
		"one that was too large before": {&large, large, "", "", v1alpha1.ReasonTooLarge, large.Scopes, []oauth2.Access{
			{Resource: oauth2.ObjectName{Namespace: "orders", Name: "a"}, Scopes: texts(scopesOf(0, 30))},
			{Resource: oauth2.ObjectName{Namespace: "orders", Name: "b"}, Scopes: texts(scopesOf(0, 30))},
		}},
		"one that has become smaller": {&large, small, "", "", "", small.Scopes, []oauth2.Access{
			{Resource: oauth2.ObjectName{Namespace: "orders", Name: "a"}, Scopes: texts(scopesOf(0, 2))},
		}},
		"one that has become too large keeps what it still lists": {&small, otherwise, "", v1alpha1.ReasonTooLarge, "", scopesOf(2, 3), []oauth2.Access{
			{Resource: oauth2.ObjectName{Namespace: "orders", Name: "a"}, Scopes: texts(scopesOf(1, 2))},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			labels := object(c.spec).Labels
			s := seen{at: keyring.At(now), labels: labels, found: found{object: &corev1.Secret{}, live: true}}
			if c.before != nil {
				s.held, s.registered = true, registration.Registration{Client: compile(object(*c.before), seen{labels: labels})}
			}
			o := object(c.spec)
			d := decide(o, methodOf(o, nil, nil, nil, generationKeys{}), issuer, s)
			reason := func(condition *metav1.Condition) string {
				if condition == nil {
					return ""
				}
				return condition.Reason
			}
			got := []string{reason(d.obstacle), reason(d.shortfall), reason(d.limits)}
			if diff := cmp.Diff([]string{c.obstacle, c.shortfall, c.limits}, got); diff != "" {
				t.Errorf("obstacle, shortfall, limits (-want +got):\n%s", diff)
			}
			if c.obstacle != "" {
				return // nothing is registered
			}
			registered := d.registration().Client
			if diff := cmp.Diff(texts(c.scopes), registered.Scopes); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.access, registered.Access); diff != "" {
				t.Errorf("access (-want +got):\n%s", diff)
			}
			if c.shortfall != "" && registration.Listed(registered) > registration.MaxListed {
				t.Errorf("%d bytes are registered", registration.Listed(registered))
			}
			for _, grant := range d.grants {
				if grant.Resource.Name == "" && len(grant.Scopes) != len(c.scopes) {
					t.Errorf("the status has %d scopes of its own audience, %d are registered", len(grant.Scopes), len(c.scopes))
				}
			}
		})
	}
}

// A client whose tokens do not fit is registered, because a request may name some of the scopes.
func TestAClientWhoseTokensDoNotFitIsNotReady(t *testing.T) {
	issuer, err := oauth2.ParseIssuer("https://tokens.example", false)
	if err != nil {
		t.Fatal(err)
	}
	name := oauth2.ObjectName{Namespace: "orders", Name: "api"}
	resource := &oauth2.Resource{Identifier: "https://api.test", Namespace: "orders", Name: "api", Scopes: texts(scopesOf(0, 64))}
	for granted, shortfall := range map[int]bool{0: false, 30: false, 64: true} {
		resource.Consents = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: texts(scopesOf(0, granted))}}
		o := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "u"}, Spec: v1alpha1.OAuth2ClientSpec{
			Access: []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api", Scopes: scopesOf(0, 64)}},
		}}
		s := seen{at: keyring.At(time.Unix(0, 0)), found: found{object: &corev1.Secret{}, live: true}, consents: consents{resources: policy.Declared{name: resource}}}
		d := decide(o, methodOf(o, nil, nil, nil, generationKeys{}), issuer, s)
		if d.obstacle != nil || (d.shortfall != nil) != shortfall || len(d.registration().Client.Access[0].Scopes) != 64 {
			t.Errorf("%d scopes are granted: obstacle %v, shortfall %v", granted, d.obstacle, d.shortfall)
		}
	}
}

func TestLabelsAndClaimsThatMakeAClientTooLargeAreNotRegistered(t *testing.T) {
	before := oauth2.Client{
		Labels: map[string]string{"app": "shop", "tier": "gold"},
		Tokens: oauth2.TokenForm{Claims: []oauth2.Claim{{Name: "a/b", Value: "1"}, {Name: "a/c", Values: []string{"1", "2"}}}},
	}
	compiled := oauth2.Client{
		Labels: map[string]string{"app": "shop", "tier": "platinum", "new": "yes"},
		Tokens: oauth2.TokenForm{Claims: []oauth2.Claim{{Name: "a/b", Value: "2"}, {Name: "a/c", Values: []string{"1", "2"}}, {Name: "a/d", Value: "1"}}},
	}
	if !restrict(&compiled, before) {
		t.Error("nothing was removed")
	}
	want := oauth2.Client{Labels: map[string]string{"app": "shop"}, Tokens: oauth2.TokenForm{Claims: []oauth2.Claim{{Name: "a/c", Values: []string{"1", "2"}}}}}
	if diff := cmp.Diff(want, compiled); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if restrict(&compiled, before) {
		t.Error("something was removed of what was registered before")
	}
}

func texts(scopes []v1alpha1.Scope) []string {
	var names []string
	for _, scope := range scopes {
		names = append(names, string(scope))
	}
	return names
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// action is what is to be done about the client's secret.
type action int

const (
	// all is brought up to date; where the plan has a reason, a secret is minted first.
	apply    action = iota
	lookLive        // it is decided again on what the API server has
	// the first secret of a client and its registration are written at the same time.
	create
	await // the cache does not have the first secret yet
)

// decision is what has to be true of a client. It is computed from what was seen, and never read
// back.
type decision struct {
	// client is what is registered, but for the verifiers, which are the plan's.
	client oauth2.Client
	plan   credential.Plan
	action action
	// data are the entries of the Secret or ConfigMap, with the secret that the plan has.
	data map[string][]byte
	// grants are the result of each scope that the client asks for.
	grants []v1alpha1.GrantStatus
	// obstacle is why nothing is done, shortfall why all is done and the client is not ready.
	// failure is why what was to be done is not.
	obstacle, shortfall, failure *metav1.Condition
	// conflict is why the ConfigMap beside an Existing Secret is not written.
	conflict *metav1.Condition
	// keys is why some keys of the client are left out, claims is about its custom claims,
	// limits is the limit beyond which it exists; or nil.
	keys, claims, limits *metav1.Condition
	// keysChangeAt is when another key may sign for the client, if it asks for an algorithm.
	keysChangeAt time.Time
	// wants is what the registration would weigh that there is no room for; zero if there is.
	// What is registered then only takes rights away.
	wants int
}

// registration is what has to be registered.
func (d decision) registration() registration.Registration {
	c := d.client
	c.Credentials.Verifiers = d.plan.Record.Verifiers
	return registration.Registration{Client: c, Rotation: d.plan.Record.Rotation}
}

// condition is why the client is not ready; nil if it is.
func (d decision) condition() *metav1.Condition {
	if d.obstacle != nil {
		return d.obstacle
	}
	return d.shortfall
}

// decide is a pure function of the spec and of what was seen.
func decide(c *v1alpha1.OAuth2Client, m method, issuer oauth2.Issuer, s seen) decision {
	d := decision{client: compile(c, s), conflict: s.conflict}
	d.client.Tokens.Claims, d.claims = compileClaims(c, issuer, s.ceilings)
	unusable, incomplete := m.compile(&d.client, s.accountUID)
	unusable = cmp.Or(unusable, s.issuerObstacle(c))
	var tooLarge, tooMany *metav1.Condition
	tooLarge, d.limits = limitSize(&d.client, s)
	tooMany, d.wants = limitBytes(&d.client, s)
	if s.held && s.beyond {
		d.limits = new(v1alpha1.KeptBeyondLimit(v1alpha1.TooManyClients(*s.ceilings.Limits().Clients)))
	}
	if s.held && lacksContacts(c, s) {
		d.limits = cmp.Or(d.limits, new(v1alpha1.KeptBeyondLimit(v1alpha1.ContactsMissing())))
	}
	d.grants = grantsOf(c, &d.client, issuer, s)
	d.obstacle = forbidden(c, s)
	if d.obstacle == nil && !s.held {
		d.obstacle = cmp.Or(tooLarge, tooMany)
	}
	if d.obstacle == nil {
		if d.obstacle = s.obstacle; d.obstacle == nil || s.live {
			d.keys = incomplete
		}
	}
	if d.obstacle == nil {
		d.obstacle = unusable
	}
	if d.obstacle == nil {
		var because *metav1.Condition
		d.data, because = render(c, m, issuer, s, &d.client, s.value)
		s.found = s.unwritten(c, m, because)
		d.obstacle, d.conflict = s.obstacle, s.conflict
	}
	if d.obstacle != nil {
		d.plan = m.keep(s)
		return d
	}
	d.plan, d.action = m.plan(s, policyOf(c))
	d.shortfall, d.keysChangeAt = checkAlgorithm(c, &d.client, s)
	d.shortfall = cmp.Or(tooLarge, tooMany, d.shortfall, redirectsRefused(c, s), s.loginObstacle(&d.client), limitTokens(&d.client, issuer, s))
	return d
}

// forbidden is what policies forbid, and an id that another client holds. An identifier that is
// registered already stays the client's, and so does a place in a namespace that is full. One that
// is not allowed is refused as such: no caller learns from it which identifiers others hold.
func forbidden(c *v1alpha1.OAuth2Client, s seen) *metav1.Condition {
	switch {
	case !s.held && c.Spec.ClientID != "" && !s.ceilings.AllowClientID(c.Spec.ClientID):
		return new(clientIDRefused(c.Spec.ClientID))
	case s.taken:
		return new(v1alpha1.ClientIDConflict(c.ClientID()))
	case s.unreadable():
		return s.obstacle
	case methodRefused(c, s) != nil:
		return methodRefused(c, s)
	case grantTypeRefused(c, s) != nil:
		return grantTypeRefused(c, s)
	case s.held:
	case lacksContacts(c, s):
		return new(v1alpha1.ContactsMissing())
	case s.beyond:
		return new(v1alpha1.TooManyClients(*s.ceilings.Limits().Clients))
	}
	return nil
}

func clientIDRefused(clientID string) metav1.Condition {
	if oauth2.IsExactClientID(clientID) {
		return v1alpha1.ClientIDNotNamed(clientID)
	}
	return v1alpha1.ClientIDNotAllowed()
}

func lacksContacts(c *v1alpha1.OAuth2Client, s seen) bool {
	return s.ceilings.ContactsRequired && len(c.Spec.Contacts) == 0
}

// defaultOverlap is how long a replaced secret still works unless the spec sets another time.
const defaultOverlap = 24 * time.Hour

// policyOf is the policy of the spec for the client's secrets.
func policyOf(c *v1alpha1.OAuth2Client) credential.Policy {
	return credential.Policy{
		UID:       string(c.UID),
		Interval:  c.Spec.Rotation.Interval.Or(0),
		Overlap:   c.Spec.Rotation.Overlap.Or(defaultOverlap),
		UnusedFor: c.Spec.Rotation.RetireWhenUnusedFor.Or(0),
		Request:   output.Short(c.Annotations[v1alpha1.AnnotationRotate]),
		AtOnce:    c.Annotations[v1alpha1.AnnotationRotateWithoutOverlap] == c.Annotations[v1alpha1.AnnotationRotate],
	}
}

// again is when something is due that no watch announces. stalls is when the client becomes
// Stalled, heals when repairs that did not hold continue, or are forgotten.
func (d decision) again(now, stalls, heals time.Time) time.Duration {
	first := credential.Earliest(stalls, heals, d.plan.Again(), d.keysChangeAt)
	if first.IsZero() {
		return 0
	}
	return max(first.Sub(now), time.Second)
}

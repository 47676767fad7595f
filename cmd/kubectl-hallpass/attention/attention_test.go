// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attention_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/attention"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(d)) }

const day = 24 * time.Hour

func ready(reason string) []metav1.Condition {
	status := metav1.ConditionTrue
	if reason != "Registered" {
		status = metav1.ConditionFalse
	}
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: "Message."}}
}

// client is one that needs no attention, with a change.
func client(change func(*v1alpha1.OAuth2Client)) v1alpha1.OAuth2Client {
	c := v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "shop", CreationTimestamp: at(-300 * day)}}
	c.Status.Conditions, c.Status.LastUsedAt = ready("Registered"), at(-day)
	change(&c)
	return c
}

func token(change func(*v1alpha1.OAuth2Token)) v1alpha1.OAuth2Token {
	t := v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Name: "t", Namespace: "shop", CreationTimestamp: at(-300 * day)}, Spec: v1alpha1.OAuth2TokenSpec{Mode: v1alpha1.TokenFixed}}
	t.Status.Conditions, t.Status.LastUsedAt, t.Status.ExpiresAt = ready("Registered"), at(-day), at(100*day)
	change(&t)
	return t
}

func TestWhatNeedsAttention(t *testing.T) {
	missing := []v1alpha1.GrantStatus{{Resource: v1alpha1.ResourceReference{Namespace: "orders", Name: "api"}, Scopes: []v1alpha1.ScopeGrant{
		{Name: "read", Decision: "NotAllowedByResource"}, {Name: "write", Decision: "NotAllowedByResource"},
	}}}
	for name, c := range map[string]struct {
		client   func(*v1alpha1.OAuth2Client)
		token    func(*v1alpha1.OAuth2Token)
		resource []metav1.Condition
		want     []attention.Topic
	}{
		"nothing":                {},
		"a client in conflict":   {client: func(c *v1alpha1.OAuth2Client) { c.Status.Conditions = ready(v1alpha1.ReasonClientIDConflict) }, want: []attention.Topic{attention.NotReady}},
		"a client that is new":   {client: func(c *v1alpha1.OAuth2Client) { c.Status.Conditions = nil }},
		"a suspended client":     {client: func(c *v1alpha1.OAuth2Client) { c.Status.Conditions = ready(v1alpha1.ReasonSuspended) }},
		"two scopes are missing": {client: func(c *v1alpha1.OAuth2Client) { c.Status.Grants = missing }, want: []attention.Topic{attention.MissingGrant}},
		"an old secret is used": {client: func(c *v1alpha1.OAuth2Client) {
			c.Status.StaleUses = []v1alpha1.StaleUseStatus{{Reason: "PreviousSecretUsed"}}
		}, want: []attention.Topic{attention.StaleUse}},
		"refusals":                {client: func(c *v1alpha1.OAuth2Client) { c.Status.Refusals = []v1alpha1.RefusalStatus{{Reason: "WrongSecret"}} }, want: []attention.Topic{attention.Refused}},
		"a rotation soon":         {client: func(c *v1alpha1.OAuth2Client) { c.Status.Rotation.NextAt = at(13 * day) }, want: []attention.Topic{attention.RotationDue}},
		"a rotation later":        {client: func(c *v1alpha1.OAuth2Client) { c.Status.Rotation.NextAt = at(15 * day) }},
		"a rotation that waits":   {client: func(c *v1alpha1.OAuth2Client) { c.Status.Rotation.Reason = v1alpha1.RotationTooManySecrets }, want: []attention.Topic{attention.RotationDue}},
		"a client that is unused": {client: func(c *v1alpha1.OAuth2Client) { c.Status.LastUsedAt = at(-91 * day) }, want: []attention.Topic{attention.Unused}},
		"a client used recently":  {client: func(c *v1alpha1.OAuth2Client) { c.Status.LastUsedAt = at(-89 * day) }},
		"a token that ends":       {token: func(t *v1alpha1.OAuth2Token) { t.Status.ExpiresAt = at(13 * day) }, want: []attention.Topic{attention.TokenEnds}},
		"a token that is replaced": {token: func(t *v1alpha1.OAuth2Token) {
			t.Spec.Mode, t.Status.ExpiresAt = v1alpha1.TokenRefreshing, at(time.Minute)
		}},
		"a token that has expired": {token: func(t *v1alpha1.OAuth2Token) {
			t.Status.ExpiresAt, t.Status.Conditions = at(-day), ready(v1alpha1.ReasonExpired)
		}},
		"an expired token is used": {
			token: func(t *v1alpha1.OAuth2Token) {
				t.Status.ExpiresAt, t.Status.Conditions = at(-day), ready(v1alpha1.ReasonExpired)
				t.Status.StaleUses = []v1alpha1.StaleUseStatus{{Reason: "ExpiredTokenUsed"}}
			}, want: []attention.Topic{attention.StaleUse},
		},
		"an API in conflict": {resource: ready(v1alpha1.ReasonIdentifierConflict), want: []attention.Topic{attention.NotReady}},
		"the order": {
			client: func(c *v1alpha1.OAuth2Client) {
				c.Status.Grants, c.Status.LastUsedAt = missing, at(-91*day)
				c.Status.Refusals = []v1alpha1.RefusalStatus{{Reason: "WrongSecret"}}
			}, token: func(t *v1alpha1.OAuth2Token) { t.Status.Conditions = ready(v1alpha1.ReasonClientNotFound) },
			want: []attention.Topic{attention.NotReady, attention.Refused, attention.MissingGrant, attention.Unused},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.client == nil {
				c.client = func(*v1alpha1.OAuth2Client) {}
			}
			if c.token == nil {
				c.token = func(*v1alpha1.OAuth2Token) {}
			}
			r := v1alpha1.OAuth2Resource{Status: v1alpha1.OAuth2ResourceStatus{Conditions: ready("Registered")}}
			if c.resource != nil {
				r.Status.Conditions = c.resource
			}
			items := attention.Find([]v1alpha1.OAuth2Client{client(c.client)}, []v1alpha1.OAuth2Resource{r}, []v1alpha1.OAuth2Token{token(c.token)}, now)
			var got []attention.Topic
			for _, item := range items {
				got = append(got, item.Topic)
				if item.Sentence == "" || item.Topic != attention.RotationDue && item.Topic != attention.NotReady && item.Do == "" {
					t.Errorf("it says nothing: %+v", item)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

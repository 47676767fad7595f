// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestTheOwnerOfAResourceConsentsToFixedTokens(t *testing.T) {
	created := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		namespace string
		longest   v1alpha1.Duration
		lives     time.Duration
		refused   string
	}{
		"the own namespace, left out":         {"orders", "", 90 * 24 * time.Hour, ""},
		"the own namespace, within":           {"orders", "24h", 24 * time.Hour, ""},
		"the own namespace, beyond":           {"orders", "24h", 24*time.Hour + time.Second, "later than 2026-05-02T12:00:00Z"},
		"another namespace, left out":         {"shop", "", time.Hour, "has not set maxFixedTokenLifetime"},
		"another namespace, within":           {"shop", "720h", 720 * time.Hour, ""},
		"another namespace, beyond":           {"shop", "720h", 721 * time.Hour, "later than 2026-05-31T12:00:00Z"},
		"another namespace, none are allowed": {"shop", "0s", time.Hour, "later than 2026-05-01T12:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			token := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, CreationTimestamp: metav1.NewTime(created)}}
			token.Spec.ExpirationTime = new(metav1.NewTime(created.Add(c.lives)))
			got := consent(token, &oauth2.Resource{Namespace: "orders", Name: "api"}, c.longest)
			if (got != nil) != (c.refused != "") || got != nil && !strings.Contains(got.Message, c.refused) {
				t.Errorf("%v, want %q", got, c.refused)
			}
		})
	}
}

// TestTheTokenLifetimeOfTheOwnNamespaceLimitsFixedTokens: the owner's limit of how long a token may
// be valid holds for Fixed tokens, too, unless maxFixedTokenLifetime is set.
func TestTheTokenLifetimeOfTheOwnNamespaceLimitsFixedTokens(t *testing.T) {
	const installation = 90 * 24 * time.Hour
	for name, c := range map[string]struct {
		namespace              string
		tokenLifetime, longest v1alpha1.Duration
		limit                  time.Duration
	}{
		"the own namespace, both left out":     {"orders", "", "", installation},
		"the own namespace with tokenLifetime": {"orders", "30m", "", 30 * time.Minute},
		"the own namespace with both":          {"orders", "30m", "24h", installation},
		"another namespace with both":          {"shop", "30m", "24h", installation},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			declared := &v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: "api"}}
			declared.Spec.TokenLifetime, declared.Spec.MaxFixedTokenLifetime = c.tokenLifetime, c.longest
			g := grants{&Config{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(declared).Build()}}
			token := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace}}
			token.Spec.ExpirationTime = new(metav1.NewTime(token.CreationTimestamp.Add(time.Hour)))
			found := &state{resource: &oauth2.Resource{Namespace: "orders", Name: "api", TokenLifetime: c.tokenLifetime.Or(0)}}
			limit := installation
			if err := g.checkConsent(t.Context(), token, found, &limit); err != nil || found.condition != nil || limit != c.limit {
				t.Errorf("%s, %v, %v; want %s", limit, found.condition, err, c.limit)
			}
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

func TestTheCurrentSecretComesFirstAndThenTheNewest(t *testing.T) {
	day := func(n int) metav1.Time { return metav1.NewTime(time.Date(2026, time.May, n, 0, 0, 0, 0, time.UTC)) }
	secret := func(id string, created, expires int) v1alpha1.CredentialStatus {
		c := v1alpha1.CredentialStatus{ID: id, CreatedAt: day(created)}
		if expires > 0 {
			c.ExpiresAt = day(expires)
		}
		return c
	}
	for name, c := range map[string]struct {
		given []v1alpha1.CredentialStatus
		want  string
	}{
		"after rotations":            {[]v1alpha1.CredentialStatus{secret("a", 1, 9), secret("c", 3, 0), secret("b", 2, 8)}, "cba"},
		"after the old was put back": {[]v1alpha1.CredentialStatus{secret("b", 2, 9), secret("a", 1, 0)}, "ab"},
		"none":                       {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			currentFirst(c.given)
			got := ""
			for _, credential := range c.given {
				got += credential.ID
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestTheResourceColumnHasAllThatIsGranted(t *testing.T) {
	grant := func(name, decision string) v1alpha1.GrantStatus {
		g := v1alpha1.GrantStatus{Scopes: []v1alpha1.ScopeGrant{{Name: "read", Decision: decision}, {Name: "write", Decision: "ScopeNotDefined"}}}
		if name != "" {
			g.Resource = v1alpha1.ResourceReference{Namespace: "orders", Name: name}
		}
		return g
	}
	got := grantedResources([]v1alpha1.GrantStatus{grant("", "Granted"), grant("a", "Granted"), grant("b", "NotAllowedByResource"), grant("c", "Granted")})
	if diff := cmp.Diff([]v1alpha1.ResourceName{"orders/a", "orders/c"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

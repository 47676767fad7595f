// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

func TestAClientThatIsGrantedNothingSaysSo(t *testing.T) {
	grant := func(decisions ...oauth2.Decision) v1alpha1.GrantStatus {
		var status v1alpha1.GrantStatus
		for _, decision := range decisions {
			status.Scopes = append(status.Scopes, v1alpha1.ScopeGrant{Name: "read", Decision: string(decision)})
		}
		return status
	}
	for name, c := range map[string]struct {
		grants []v1alpha1.GrantStatus
		state  v1alpha1.ClientState
		says   bool
	}{
		"it asks for nothing":               {nil, "", false},
		"it is granted all":                 {[]v1alpha1.GrantStatus{grant(oauth2.Granted)}, "", false},
		"it is granted something somewhere": {[]v1alpha1.GrantStatus{grant(oauth2.NotAllowedByPolicy), grant(oauth2.ScopeNotDefined, oauth2.Granted)}, "", false},
		"it is granted nothing":             {[]v1alpha1.GrantStatus{grant(oauth2.NotAllowedByPolicy), grant(oauth2.ResourceNotFound)}, "", true},
		"it may be granted something":       {[]v1alpha1.GrantStatus{grant(oauth2.NotAllowedByPolicy), grant(undecided)}, "", false},
		"it is suspended":                   {[]v1alpha1.GrantStatus{grant(oauth2.NotAllowedByPolicy)}, v1alpha1.ClientSuspended, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Spec: v1alpha1.OAuth2ClientSpec{State: c.state}}
			status, _ := statusOf(o, methodOf(o, nil, nil, nil, generationKeys{}), seen{}, decision{grants: c.grants})
			ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
			if says := strings.Contains(ready.Message, "granted none"); says != c.says {
				t.Errorf("%s", ready.Message)
			}
		})
	}
}

// TestAResourceOfANewerVersionIsNotMissing: after a rollback the manager cannot read the record of
// a resource. It does not report that there is none, and leaves the client's Secret as it is.
func TestAResourceOfANewerVersionIsNotMissing(t *testing.T) {
	const identifier = "https://orders.test"
	orders := v1alpha1.ResourceReference{Namespace: "shop", Name: "orders"}
	w := newWorld(t)
	w.create(&v1alpha1.OAuth2Resource{ObjectMeta: metav1.ObjectMeta{Name: "orders"}, Spec: v1alpha1.OAuth2ResourceSpec{Identifier: identifier}})
	record := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: registryOfWorld, Name: registration.ResourceSecretName(identifier)},
		Type:       registration.ResourceSecretType, Data: map[string][]byte{"resource.json": []byte(`{"version":9,"minReader":9}`)},
	}
	w.must(w.server.Create(t.Context(), record))
	c := clientOfWorld("app")
	c.Spec.Access = []v1alpha1.Access{{ResourceNamespace: "shop", ResourceName: "orders", Scopes: []v1alpha1.Scope{"read"}}}
	c.Spec.DefaultResource = orders
	w.create(c)
	w.rest("app")
	grants := w.get("app").Status.Grants
	want := []v1alpha1.GrantStatus{{Resource: orders, Scopes: []v1alpha1.ScopeGrant{{Name: "read", Decision: v1alpha1.ReasonNewerVersion}}}}
	if diff := cmp.Diff(want, grants); diff != "" {
		t.Errorf("status.grants (-want +got):\n%s", diff)
	}
	complete, ready := w.condition("app", v1alpha1.ConditionGrantsComplete), w.condition("app", v1alpha1.ConditionReady)
	if complete.Status != metav1.ConditionFalse || !strings.Contains(complete.Message, "a newer version of Hallpass wrote") {
		t.Errorf("GrantsComplete is %+v", complete)
	}
	if ready.Status != metav1.ConditionTrue || strings.Contains(ready.Message, "granted none") {
		t.Errorf("Ready is %+v", ready)
	}
	if got := string(w.secret("app").Data[keyResource]); got != identifier {
		t.Errorf("the entry %s of the Secret is %q", keyResource, got)
	}
}

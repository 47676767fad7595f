// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
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
		"it is suspended":                   {[]v1alpha1.GrantStatus{grant(oauth2.NotAllowedByPolicy)}, v1alpha1.ClientSuspended, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Spec: v1alpha1.OAuth2ClientSpec{State: c.state}}
			status, _ := statusOf(o, methodOf(o, nil, nil, nil), seen{}, decision{grants: c.grants})
			ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
			if says := strings.Contains(ready.Message, "granted none"); says != c.says {
				t.Errorf("%s", ready.Message)
			}
		})
	}
}

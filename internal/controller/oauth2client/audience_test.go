// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestTheInternalURLIsThereWhereTheInstallationHasOne(t *testing.T) {
	issuer, err := oauth2.ParseIssuer("https://hallpass.example.com", false)
	if err != nil {
		t.Fatal(err)
	}
	both, err := oauth2.ParseIssuers("https://hallpass.example.com", "https://tokens.hallpass-system.svc", false)
	if err != nil {
		t.Fatal(err)
	}
	c := &v1alpha1.OAuth2Client{}
	if got := internalItem(c, issuer); !got.Omitted {
		t.Errorf("without one there is %v", got)
	}
	want := output.Item{Name: "internal_token_url", Value: "https://tokens.hallpass-system.svc/oauth2/token"}
	if diff := cmp.Diff(want, internalItem(c, both)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := both.URL(oauth2.TokenPath); got != "https://hallpass.example.com/oauth2/token" {
		t.Errorf("the issuer's own is %s", got)
	}
}

func TestTheResourceEntryIsWhatARequestWithoutOneMeans(t *testing.T) {
	issuer, err := oauth2.ParseIssuer("https://hallpass.example.com", false)
	if err != nil {
		t.Fatal(err)
	}
	orders := v1alpha1.ResourceReference{Namespace: "orders", Name: "api"}
	access := []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api", Scopes: []v1alpha1.Scope{"read"}}}
	declared := policy.Declared{{Namespace: "orders", Name: "api"}: {Identifier: "https://orders.example.com"}}
	for name, c := range map[string]struct {
		spec     v1alpha1.OAuth2ClientSpec
		declared policy.Declared
		newer    map[oauth2.ObjectName]string
		want     output.Item
	}{
		"a client of its namespace alone": {v1alpha1.OAuth2ClientSpec{}, nil, nil, output.Item{Value: "https://hallpass.example.com/ns/shop", Omitted: true}},
		"no default among the declared":   {v1alpha1.OAuth2ClientSpec{Access: access}, declared, nil, output.Item{Value: "https://hallpass.example.com/ns/shop"}},
		"a default":                       {v1alpha1.OAuth2ClientSpec{Access: access, DefaultResource: orders}, declared, nil, output.Item{Value: "https://orders.example.com"}},
		"a default that is not declared":  {v1alpha1.OAuth2ClientSpec{Access: access, DefaultResource: orders}, policy.Declared{}, nil, output.Item{Omitted: true}},
		"a default that only a newer version can read": {
			v1alpha1.OAuth2ClientSpec{Access: access, DefaultResource: orders}, nil,
			map[oauth2.ObjectName]string{{Namespace: "orders", Name: "api"}: "https://orders.example.com"}, output.Item{Value: "https://orders.example.com"},
		},
		"a template of that name": {
			v1alpha1.OAuth2ClientSpec{Access: access, Secret: v1alpha1.SecretSpec{Template: v1alpha1.SecretTemplate{"resource": "x"}}}, declared, nil,
			output.Item{Value: "https://hallpass.example.com/ns/shop", Omitted: true},
		},
		"another entry of that name": {
			v1alpha1.OAuth2ClientSpec{Access: access, Secret: v1alpha1.SecretSpec{Keys: v1alpha1.SecretKeys{Scope: "resource"}}}, declared, nil,
			output.Item{Value: "https://hallpass.example.com/ns/shop", Omitted: true},
		},
		"a name of its own": {
			v1alpha1.OAuth2ClientSpec{Access: access, Secret: v1alpha1.SecretSpec{
				Keys: v1alpha1.SecretKeys{Resource: "AUDIENCE", Scope: "resource"},
			}}, declared, nil, output.Item{Renamed: "AUDIENCE", Value: "https://hallpass.example.com/ns/shop"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Name = "resource"
			got := resourceItem(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "caller"}, Spec: c.spec}, issuer, seen{consents: consents{resources: c.declared, newer: c.newer}})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

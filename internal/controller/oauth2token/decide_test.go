// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// A record that only a newer version can read is none that is absent.
func TestAResourceOfANewerVersionIsNotOneThatGrantsNothing(t *testing.T) {
	const identifier = "https://orders.test"
	for name, c := range map[string]struct{ record, reason string }{
		"no record":                   {"", v1alpha1.ReasonTargetNotGranted},
		"an unreadable record":        {`{"version":1,"identifier":7}`, v1alpha1.ReasonTargetNotGranted},
		"a record of a newer version": {`{"version":9,"minReader":9}`, v1alpha1.ReasonNewerVersion},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			if err := corev1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&v1alpha1.OAuth2Resource{
				ObjectMeta: metav1.ObjectMeta{Namespace: "orders", Name: "api", UID: "u"}, Spec: v1alpha1.OAuth2ResourceSpec{Identifier: identifier},
			})
			if c.record != "" {
				builder.WithObjects(&corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: registration.Namespace, Name: registration.ResourceSecretName(identifier)},
					Type:       registration.ResourceSecretType, Data: map[string][]byte{"resource.json": []byte(c.record)},
				})
			}
			cluster := builder.Build()
			issuer, err := oauth2.ParseIssuer("https://hallpass.test", false)
			if err != nil {
				t.Fatal(err)
			}
			g := grants{&Config{
				Client: cluster, Issuer: issuer, RegistryNamespace: registration.Namespace,
				Policy: &policy.Source{Client: cluster, Issuer: issuer, RegistryNamespace: registration.Namespace},
			}}
			s := state{client: oauth2.Client{ID: "shop.app", Namespace: "shop", Name: "app", Access: []oauth2.Access{{Resource: oauth2.ObjectName(types.NamespacedName{Namespace: "orders", Name: "api"})}}}}
			token := &v1alpha1.OAuth2Token{Spec: v1alpha1.OAuth2TokenSpec{Resource: identifier}}
			if err := g.decide(t.Context(), token, &s); err != nil || s.condition == nil || s.condition.Reason != c.reason {
				t.Errorf("%v, %v; want %s", s.condition, err, c.reason)
			}
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestWhatOnlyTheConfigMapLacksHoldsUpNoSecret changes an Existing Secret while the ConfigMap
// beside it cannot be written.
func TestWhatOnlyTheConfigMapLacksHoldsUpNoSecret(t *testing.T) {
	const first, second = "u2Fv9Qk1ZpX7mB4nT0sJcA", "Zx9cV8bN7mA6sD5fG4hJ3k"
	bundle := types.NamespacedName{Namespace: registryOfWorld, Name: "ca"}
	brokenTemplate := func(w *world) {
		w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Template = v1alpha1.SecretTemplate{"url": "$(host)"} })
	}
	mendedTemplate := func(w *world) {
		w.edit("app", func(c *v1alpha1.OAuth2Client) {
			c.Spec.Secret.Template = v1alpha1.SecretTemplate{"url": "mended $(client_id)"}
		})
	}
	noAuthority := func(w *world) { w.r.Installation.CABundle = bundle }
	authority := func(w *world) {
		w.must(w.server.Create(w.t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: bundle.Namespace, Name: bundle.Name}, Data: map[string]string{output.KeyCACertificate: "mended"},
		}))
	}
	for name, c := range map[string]struct {
		broken, mended func(w *world)
		says           string
	}{
		"a template": {brokenTemplate, mendedTemplate, `until then ConfigMap "app" stays as it is.`},
		"the CA":     {noAuthority, authority, `Could not write ConfigMap "app", because`},
	} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the ConfigMap is there: %t", name, before), func(t *testing.T) {
				w := newWorld(t)
				client := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app"}}
				client.Spec.Secret.Source = v1alpha1.SecretExisting
				w.create(client)
				secret := declaredSecret("app", first)
				w.create(secret)
				if before {
					w.rest("app")
				}
				was := w.settings("app")
				c.broken(w)
				w.rest("app")
				secret.Data[keyClientSecret] = []byte(second)
				w.must(w.server.Update(t.Context(), secret))
				w.rest("app")
				r, _ := w.registered("shop.app")
				record := credential.Record{Verifiers: r.Client.Credentials.Verifiers, Rotation: r.Rotation}
				for _, value := range []string{first, second} {
					if !record.Accepts(oauth2.NewSecret(value), policyOf(w.get("app")), w.clock.Now()) {
						t.Errorf("%s is not accepted", value)
					}
				}
				ready := meta.FindStatusCondition(w.get("app").Status.Conditions, v1alpha1.ConditionReady)
				if ready.Status != metav1.ConditionTrue || !strings.Contains(ready.Message, c.says) || strings.Contains(ready.Message, "the Secret") {
					t.Errorf("Ready is %s: %s", ready.Status, ready.Message)
				}
				if is := w.settings("app"); (is == nil) != (was == nil) || is != nil && is.ResourceVersion != was.ResourceVersion {
					t.Errorf("the ConfigMap was written: %+v", is)
				}
				c.mended(w)
				w.rest("app")
				is, ready := w.settings("app"), meta.FindStatusCondition(w.get("app").Status.Conditions, v1alpha1.ConditionReady)
				if is == nil || !strings.Contains(fmt.Sprint(is.Data), "mended") || strings.Contains(ready.Message, "ConfigMap") {
					t.Errorf("afterwards the ConfigMap is %+v, and Ready says: %s", is, ready.Message)
				}
			})
		}
	}
}

func TestAConfigMapIsKeptUntilThereIsOneUnderTheNewName(t *testing.T) {
	w := newWorld(t)
	client := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app"}}
	client.Spec.Secret.Source = v1alpha1.SecretExisting
	w.create(client)
	w.create(declaredSecret("app", "u2Fv9Qk1ZpX7mB4nT0sJcA"))
	w.create(declaredSecret("other", "Zx9cV8bN7mA6sD5fG4hJ3k"))
	w.rest("app")
	w.edit("app", func(c *v1alpha1.OAuth2Client) {
		c.Spec.Secret.Name, c.Spec.Secret.Template = "other", v1alpha1.SecretTemplate{"url": "$(host)"}
	})
	w.rest("app")
	if former, current := w.settings("app"), w.settings("other"); former == nil || current != nil {
		t.Errorf("with a wrong template the ConfigMaps are %v and %v", former, current)
	}
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Template = nil })
	w.rest("app")
	if former, current := w.settings("app"), w.settings("other"); former != nil || current == nil {
		t.Errorf("afterwards the ConfigMaps are %v and %v", former, current)
	}
}

func declaredSecret(name, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
		Data:       map[string][]byte{keyClientSecret: []byte(value)},
	}
}

// settings is the ConfigMap of that name; nil if there is none.
func (w *world) settings(name string) *corev1.ConfigMap {
	w.t.Helper()
	var found corev1.ConfigMap
	err := w.server.Get(w.t.Context(), types.NamespacedName{Namespace: "shop", Name: name}, &found)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return &found
}

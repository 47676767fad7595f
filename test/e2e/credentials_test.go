// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// declared creates an Existing Secret.
func declared(t *testing.T, namespace, name string, labelled bool, data map[string]string) *corev1.Secret {
	t.Helper()
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data}
	if labelled {
		secret.Labels = map[string]string{v1alpha1.LabelCredentials: "true"}
	}
	must(t, cluster.Create(t.Context(), secret))
	return secret
}

// status of a token request with a client_id and a secret.
func request(t *testing.T, clientID, secret string) int {
	t.Helper()
	status, _ := post(t, &corev1.Secret{Data: map[string][]byte{
		"client_id": []byte(clientID), "client_secret": []byte(secret), "token_url": []byte(hallpass.Issuer.URL("/oauth2/token")),
	}}, "token_url", url.Values{"grant_type": {"client_credentials"}})
	return status
}

func TestAnExistingSecretIsReadAndNeverWritten(t *testing.T) {
	const first, second = "u2Fv9Qk1ZpX7mB4nT0sJcA", "Xy8#kL3%mN5+pQ7/rS9=tV1w"
	c := newClient("caller")
	c.Namespace = "declared"
	c.Spec.Secret = v1alpha1.SecretSpec{Name: "sealed", Source: v1alpha1.SecretExisting}
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "declared"}})))
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)

	secret := declared(t, "declared", "sealed", false, map[string]string{"client_secret": first})
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSecretNotLabelled)

	change := func(f func(*corev1.Secret)) {
		t.Helper()
		secret = get(t, &corev1.Secret{}, "declared", "sealed")
		f(secret)
		must(t, cluster.Update(t.Context(), secret))
	}
	change(func(s *corev1.Secret) { s.Labels = map[string]string{v1alpha1.LabelCredentials: "true"} })
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	if status := request(t, "declared.caller", first); status != http.StatusOK {
		t.Errorf("the declared secret gets %d", status)
	}

	for reason, data := range map[string]map[string][]byte{
		v1alpha1.ReasonSecretKeyNotFound: {"client_secret": {}, "password": []byte(second)},
		v1alpha1.ReasonSecretTooWeak:     {"client_secret": []byte("changeme")},
		v1alpha1.ReasonClientIDMismatch:  {"client_secret": []byte(second), "client_id": []byte("declared.other")},
	} {
		change(func(s *corev1.Secret) { s.Data = data })
		condition(t, c, metav1.ConditionFalse, reason)
		message := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady).Message
		if reason == v1alpha1.ReasonSecretKeyNotFound && !strings.Contains(message, `the entry "client_secret"`) {
			t.Errorf("the condition does not name the entry: %s", message)
		}
		if strings.Contains(message, "changeme") || strings.Contains(message, second) {
			t.Errorf("the condition shows the secret: %s", message)
		}
		if status := request(t, "declared.caller", first); status != http.StatusOK {
			t.Errorf("%s: the last good secret gets %d", reason, status)
		}
	}
	change(func(s *corev1.Secret) { s.Data = map[string][]byte{"client_secret": []byte(second)} })
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	// a change by hand is a rotation with overlap
	for _, value := range []string{first, second} {
		if status := request(t, "declared.caller", value); status != http.StatusOK {
			t.Errorf("after the change %q gets %d", value, status)
		}
	}
	if after := get(t, &corev1.Secret{}, "declared", "sealed"); after.ResourceVersion != secret.ResourceVersion {
		t.Errorf("the user's Secret was written: %+v", after.ObjectMeta)
	}
	if len(c.Status.Credentials) != 2 {
		t.Errorf("credentials %+v, want the current one and the one before", c.Status.Credentials)
	}
}

func TestAClientMovesBetweenGeneratedAndExisting(t *testing.T) {
	const value = "Qw3rT7yU1iO9pA5sD2fG6h"
	c := apply(t, "switch", newClient("caller"))
	generated := credentials(t, c)
	update(t, c, func() { c.Spec.Secret = v1alpha1.SecretSpec{Name: "mine", Source: v1alpha1.SecretExisting} })
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	message := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady).Message
	if !strings.Contains(message, v1alpha1.GeneratedStays("caller")) {
		t.Errorf("the condition does not say what is deleted next: %s", message)
	}
	fetch(t, credentials(t, &v1alpha1.OAuth2Client{ObjectMeta: generated.ObjectMeta}))
	declared(t, "switch", "mine", true, map[string]string{"client_secret": value})
	eventually(t, "the declared secret is accepted", func() bool { return request(t, "switch.caller", value) == http.StatusOK })
	gone(t, generated)
	eventually(t, "an event names the Secret that is deleted", func() bool {
		var list eventsv1.EventList
		must(t, cluster.List(t.Context(), &list, client.InNamespace("switch")))
		return slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool {
			return e.Reason == "GeneratedSecretDeleted" && strings.Contains(e.Note, "Secret caller") && strings.Contains(e.Note, "Secret mine")
		})
	})
	settings := get(t, &corev1.ConfigMap{}, "switch", "mine")
	fetch(t, generated) // for the overlap
	update(t, c, func() { c.Spec.Secret = v1alpha1.SecretSpec{} })
	eventually(t, "a generated Secret is there again", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(generated), &corev1.Secret{}) == nil
	})
	gone(t, settings)
	fetch(t, credentials(t, c))
	if mine := get(t, &corev1.Secret{}, "switch", "mine"); string(mine.Data["client_secret"]) != value {
		t.Error("the user's Secret was touched")
	}
}

// TestAConfigMapHasWhatAnExistingSecretLacks mounts both, as an application does: the secret is the
// user's, and the URLs and the CA are Hallpass's.
func TestAConfigMapHasWhatAnExistingSecretLacks(t *testing.T) {
	const value, another = "Zx9cV8bN7mA6sD5fG4hJ3k", "pL0oK9iJ8uH7yG6tF5rD4e"
	declared(t, "beside", "sealed", true, map[string]string{"client_secret": value})
	c := newClient("caller")
	c.Spec.Secret = v1alpha1.SecretSpec{
		Name: "sealed", Source: v1alpha1.SecretExisting, Keys: v1alpha1.SecretKeys{TokenURL: "TOKEN_URL"},
		Labels: v1alpha1.SecretLabels{"team": "blue"}, Template: v1alpha1.SecretTemplate{".env": "ID=$(client_id)"}, Omit: []v1alpha1.OmittedEntry{v1alpha1.OmitScope},
	}
	apply(t, "beside", c)
	if c.Status.Secret.Name != "sealed" || c.Status.ConfigMap.Name != "sealed" {
		t.Errorf("status: Secret %q, ConfigMap %q", c.Status.Secret.Name, c.Status.ConfigMap.Name)
	}
	settings := get(t, &corev1.ConfigMap{}, "beside", "sealed")
	if diff := cmp.Diff([]string{".env", "TOKEN_URL", "ca.crt", "client_id", "introspection_url", "issuer_url", "jwks_url"}, slices.Sorted(maps.Keys(settings.Data))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if settings.Data[".env"] != "ID=beside.caller" || settings.Labels["team"] != "blue" || len(settings.OwnerReferences) != 1 || settings.OwnerReferences[0].UID != c.UID {
		t.Errorf("ConfigMap %+v", settings)
	}
	status, _ := post(t, &corev1.Secret{Data: map[string][]byte{
		"client_id": []byte(settings.Data["client_id"]), "client_secret": []byte(value), "token_url": []byte(settings.Data["TOKEN_URL"]),
	}}, "token_url", url.Values{"grant_type": {"client_credentials"}})
	if status != http.StatusOK {
		t.Errorf("with the Secret and the ConfigMap: %d", status)
	}
	must(t, cluster.Delete(t.Context(), settings))
	eventually(t, "the ConfigMap is healed", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(settings), &corev1.ConfigMap{}) == nil
	})

	own := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "beside", Name: "own"}, Data: map[string]string{"token_url": "mine"}}
	must(t, cluster.Create(t.Context(), own))
	declared(t, "beside", "own", true, map[string]string{"client_secret": another})
	other := newClient("other")
	other.Spec.Secret = v1alpha1.SecretSpec{Name: "own", Source: v1alpha1.SecretExisting}
	apply(t, "beside", other)
	message := meta.FindStatusCondition(other.Status.Conditions, v1alpha1.ConditionReady).Message
	if !strings.Contains(message, `ConfigMap "own" exists`) {
		t.Errorf("Ready does not name the ConfigMap that is not written: %s", message)
	}
	if status := request(t, "beside.other", another); status != http.StatusOK {
		t.Errorf("with a ConfigMap of the user's own: %d", status)
	}
	if found := get(t, &corev1.ConfigMap{}, "beside", "own"); found.Data["token_url"] != "mine" {
		t.Errorf("the user's ConfigMap was changed: %v", found.Data)
	}
	must(t, cluster.Delete(t.Context(), own))
	eventually(t, "the ConfigMap is written once the name is free", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(other), other))
		return other.Status.ConfigMap.Name == "own"
	})
	must(t, cluster.Delete(t.Context(), c))
	gone(t, settings)
	get(t, &corev1.Secret{}, "beside", "sealed")
}

// TestAWrongTemplateHoldsUpNoExistingSecret rotates the secret while the ConfigMap beside it cannot
// be rendered.
func TestAWrongTemplateHoldsUpNoExistingSecret(t *testing.T) {
	const value, next = "Zx9cV8bN7mA6sD5fG4hJ3k", "mN1bV2cX3zL4kJ5hG6fD7s"
	declared(t, "unrendered", "sealed", true, map[string]string{"client_secret": value})
	c := newClient("caller")
	c.Spec.Secret = v1alpha1.SecretSpec{Name: "sealed", Source: v1alpha1.SecretExisting}
	apply(t, "unrendered", c)
	settings := get(t, &corev1.ConfigMap{}, "unrendered", "sealed")
	update(t, c, func() { c.Spec.Secret.Template = v1alpha1.SecretTemplate{".env": "HOST=$(host)"} })
	eventually(t, "Ready names the template", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready.Status == metav1.ConditionTrue && strings.Contains(ready.Message, `until then ConfigMap "sealed" stays as it is`)
	})
	secret := get(t, &corev1.Secret{}, "unrendered", "sealed")
	secret.Data = map[string][]byte{"client_secret": []byte(next)}
	must(t, cluster.Update(t.Context(), secret))
	eventually(t, "the next value is accepted", func() bool { return request(t, "unrendered.caller", next) == http.StatusOK })
	if after := get(t, &corev1.ConfigMap{}, "unrendered", "sealed"); after.ResourceVersion != settings.ResourceVersion {
		t.Errorf("the ConfigMap was written: %v", after.Data)
	}
	update(t, c, func() { c.Spec.Secret.Template = v1alpha1.SecretTemplate{".env": "ID=$(client_id)"} })
	eventually(t, "the corrected template is rendered", func() bool {
		return get(t, &corev1.ConfigMap{}, "unrendered", "sealed").Data[".env"] == "ID=unrendered.caller"
	})
}

func TestASecretIsRenamedWithTheSameCredential(t *testing.T) {
	c := apply(t, "rename", newClient("caller"))
	old := credentials(t, c)
	update(t, c, func() {
		c.Spec.Secret.Name = "other"
		c.Spec.Secret.Keys.ClientSecret = "PASSWORD"
	})
	eventually(t, "the old Secret is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(old), &corev1.Secret{}))
	})
	fresh := get(t, &corev1.Secret{}, "rename", "other")
	if string(fresh.Data["PASSWORD"]) != string(old.Data["client_secret"]) {
		t.Error("the credential changed with the name")
	}
	eventually(t, "the status says so", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return c.Status.Secret.Name == "other" && len(c.Status.Credentials) == 1
	})
	fetch(t, old)
}

func TestARetainedSecretOutlivesItsClientAndIsTakenUpAgain(t *testing.T) {
	c := newClient("caller")
	c.Spec.Secret.DeletionPolicy = v1alpha1.DeletionRetain
	c = apply(t, "retained", c)
	secret := credentials(t, c)
	if len(secret.OwnerReferences) != 0 {
		t.Errorf("a retained Secret is owned by %v", secret.OwnerReferences)
	}
	must(t, cluster.Delete(t.Context(), c))
	eventually(t, "its credential is refused", func() bool {
		return request(t, "retained.caller", string(secret.Data["client_secret"])) == http.StatusUnauthorized
	})
	again := apply(t, "retained", newClient("caller"))
	if kept := credentials(t, again); kept.UID != secret.UID || string(kept.Data["client_secret"]) != string(secret.Data["client_secret"]) {
		t.Error("the retained Secret was not taken up")
	}
	fetch(t, secret)
}

func TestTemplatesAndOmittedEntries(t *testing.T) {
	c := newClient("caller")
	c.Spec.Secret.Omit = []v1alpha1.OmittedEntry{v1alpha1.OmitJWKSURL, v1alpha1.OmitCACertificate, v1alpha1.OmitScope}
	c.Spec.Secret.Template = map[string]v1alpha1.TemplateText{".env": "ID=$(client_id)\nSECRET=$(client_secret)\nURL=$(token_url)\nPRICE=5$$ $HOME\n"}
	c = apply(t, "templates", c)
	secret := credentials(t, c)
	want := fmt.Sprintf("ID=templates.caller\nSECRET=%s\nURL=%s\nPRICE=5$ $HOME\n", secret.Data["client_secret"], secret.Data["token_url"])
	if got := string(secret.Data[".env"]); got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
	for _, omitted := range []string{"jwks_url", "ca.crt", "scope"} {
		if _, there := secret.Data[omitted]; there {
			t.Errorf("entry %s is there", omitted)
		}
	}
	for template, problem := range map[v1alpha1.TemplateText]string{
		"$(client_secert)": "$(client_secert) is unknown",
		"$(client_id":      "not closed",
	} {
		update(t, c, func() { c.Spec.Secret.Template = map[string]v1alpha1.TemplateText{".env": template} })
		condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonInvalidTemplate)
		if message := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(message, problem) {
			t.Errorf("message %q, want %q in it", message, problem)
		}
		if after := credentials(t, c); after.ResourceVersion != secret.ResourceVersion {
			t.Error("the Secret was written although its template is wrong")
		}
		fetch(t, secret)
		update(t, c, func() { c.Spec.Secret.Template = nil })
		condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
		eventually(t, "the entry is gone", func() bool { secret = credentials(t, c); return secret.Data[".env"] == nil })
	}
	update(t, c, func() { c.Spec.Secret.Template = map[string]v1alpha1.TemplateText{"client_id": "x"} })
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonInvalidTemplate)
}

func TestAChosenClientIDTakesAnInstallationThatAllowsIt(t *testing.T) {
	c := newClient("migrated")
	c.Namespace = "chosen"
	c.Spec.ClientID = "LfXJilIBdzj5JPRn4xb5QQ.."
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "chosen"}})))
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
	takesNoDeadClientsID(t)
	must(t, hallpass.StopManager())
	hallpass.AllowClientID = true
	defer func() {
		must(t, hallpass.StopManager())
		hallpass.AllowClientID = false
		must(t, hallpass.StartManager(t.Context()))
	}()
	must(t, hallpass.StartManager(t.Context()))
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	secret := credentials(t, c)
	if string(secret.Data["client_id"]) != c.Spec.ClientID {
		t.Errorf("client_id %s", secret.Data["client_id"])
	}
	fetch(t, secret)

	second := newClient("second")
	second.Namespace = "chosen"
	second.Spec.ClientID = c.Spec.ClientID
	must(t, cluster.Create(t.Context(), second))
	condition(t, second, metav1.ConditionFalse, v1alpha1.ReasonClientIDConflict)
	must(t, cluster.Delete(t.Context(), c))
	condition(t, second, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	for what, change := range map[string]func(*v1alpha1.OAuth2Client){
		"changed": func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = "another-id" },
		"removed": func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = "" },
	} {
		refusedUpdate(t, second, what, change)
	}
	plain := apply(t, "chosen", &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "plain"}})
	refusedUpdate(t, plain, "set later", func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = "later" })
}

// refusedUpdate tries to change the chosen id of a client; a race with the manager's own write is
// tried again.
func refusedUpdate(t *testing.T, c *v1alpha1.OAuth2Client, what string, change func(*v1alpha1.OAuth2Client)) {
	t.Helper()
	eventually(t, "a clientID that is "+what+" is answered", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		change(c)
		err := cluster.Update(t.Context(), c)
		if apierrors.IsConflict(err) {
			return false
		}
		if err == nil || !strings.Contains(err.Error(), "spec.clientID is fixed when the OAuth2Client is created") {
			t.Errorf("a clientID that is %s: %v", what, err)
		}
		return true
	})
}

// takesNoDeadClientsID makes a client ask for an id whose holder is dead and not swept yet, where
// no id may be chosen.
func takesNoDeadClientsID(t *testing.T) {
	t.Helper()
	must(t, hallpass.StopManager())
	data, err := registration.Encode(registration.Registration{Client: oauth2.Client{
		ID: "Dead-Holder", UID: "long-gone", Namespace: "chosen", Name: "dead", Tokens: oauth2.TokenForm{Lifetime: oauth2.MaxTokenLifetime},
	}})
	must(t, err)
	left := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: registration.SecretName("Dead-Holder")},
		Type:       registration.SecretType, Data: data,
	}
	must(t, cluster.Create(t.Context(), left))
	c := newClient("heir")
	c.Namespace = "chosen"
	c.Spec.ClientID = "Dead-Holder"
	must(t, cluster.Create(t.Context(), c))
	must(t, hallpass.StartManager(t.Context()))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonClientIDNotAllowed)
	stored := &corev1.Secret{}
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(left), stored); err == nil {
		if found, err := registration.Decode(stored.Data); err != nil || found.Client.UID != "long-gone" {
			t.Errorf("a client that may not choose its id holds it: %+v (%v)", found.Client, err)
		}
	}
}

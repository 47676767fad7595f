// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

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

func TestASecretHasEverythingAClientLibraryNeeds(t *testing.T) {
	c := apply(t, "layout", &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Name: "caller"},
		Spec: v1alpha1.OAuth2ClientSpec{
			Scopes: []v1alpha1.Scope{"read", "write"},
			Secret: v1alpha1.SecretSpec{
				Name: "credentials", Keys: v1alpha1.SecretKeys{ClientID: "CLIENT_ID", ClientSecret: "CLIENT_SECRET"},
				Labels:      map[string]v1alpha1.LabelValue{"team": "shop"},
				Annotations: map[string]v1alpha1.AnnotationValue{"example.com/reload": "yes"},
			},
		},
	})
	secret := get(t, &corev1.Secret{}, "layout", "credentials")
	ca := get(t, &corev1.ConfigMap{}, installation.SystemNamespace, "hallpass-ca").Data["ca.crt"]
	issuer := hallpass.Issuer.String()
	for entry, want := range map[string]string{
		"CLIENT_ID": "layout.caller", "issuer_url": issuer, "token_url": issuer + "/oauth2/token", "jwks_url": issuer + "/oauth2/jwks",
		"introspection_url": issuer + "/oauth2/introspect", "scope": "read write", "ca.crt": ca,
	} {
		if got := string(secret.Data[entry]); got != want || got == "" {
			t.Errorf("entry %s is %q, want %q", entry, got, want)
		}
	}
	if _, err := oauth2.ParseClientSecret(oauth2.NewSecret(string(secret.Data["CLIENT_SECRET"]))); err != nil {
		t.Errorf("the client secret: %v", err)
	}
	if len(secret.Data) != 8 || secret.Type != v1alpha1.SecretTypeClient || secret.Labels["team"] != "shop" || secret.Annotations["example.com/reload"] != "yes" {
		t.Errorf("a Secret of type %s with %d entries, labels %v, annotations %v", secret.Type, len(secret.Data), secret.Labels, secret.Annotations)
	}
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.UID != c.UID || *owner.BlockOwnerDeletion {
		t.Errorf("owned by %+v, want the client, without blocking its deletion", owner)
	}
	if c.Status.ClientID != "layout.caller" || c.Status.Secret.Name != "credentials" || c.Status.ObservedGeneration != c.Generation || len(c.Status.Credentials) != 1 {
		t.Errorf("status %+v", c.Status)
	}
	eventually(t, "an event tells of it", func() bool { return slices.Contains(eventReasons(t, c), "CredentialsCreated") })
}

func TestASecretThatIsDeletedOrEditedIsHealed(t *testing.T) {
	c := apply(t, "healing", newClient("caller"))
	before := credentials(t, c)
	for name, harm := range map[string]func(*corev1.Secret){
		"deleted": func(s *corev1.Secret) { must(t, cluster.Delete(t.Context(), s)) },
		"emptied": func(s *corev1.Secret) { s.Data = nil; must(t, cluster.Update(t.Context(), s)) },
		"scribbled on": func(s *corev1.Secret) {
			s.Data["client_secret"] = []byte("scribble")
			must(t, cluster.Update(t.Context(), s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := credentials(t, c)
			harm(credentials(t, c))
			var healed *corev1.Secret
			eventually(t, "the Secret is whole again and new", func() bool {
				healed = &corev1.Secret{}
				err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), healed)
				return err == nil && string(healed.Data["token_url"]) != "" && len(healed.Data["client_secret"]) > 20 &&
					string(healed.Data["client_secret"]) != string(old.Data["client_secret"])
			})
			fetch(t, healed)
		})
	}
	t.Run("derived entries come back without a new secret", func(t *testing.T) {
		old := credentials(t, c)
		broken := old.DeepCopy()
		broken.Data["token_url"] = []byte("https://elsewhere.example")
		must(t, cluster.Update(t.Context(), broken))
		eventually(t, "the entry is right again", func() bool {
			return string(credentials(t, c).Data["token_url"]) == string(old.Data["token_url"])
		})
		if string(credentials(t, c).Data["client_secret"]) != string(old.Data["client_secret"]) {
			t.Error("the client secret changed although only the URL was wrong")
		}
	})
	if status, _ := post(t, before, "token_url", url.Values{"grant_type": {"client_credentials"}}); status != http.StatusUnauthorized && status != http.StatusOK {
		t.Errorf("the first secret gets %d", status)
	}
	eventually(t, "an event tells of the repairs", func() bool { return slices.Contains(eventReasons(t, c), "SecretRepaired") })
}

func TestAForeignSecretIsNotTouched(t *testing.T) {
	apply(t, "conflict", newClient("other"))
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "conflict", Name: "caller"}, Data: map[string][]byte{"mine": []byte("yes")}}
	must(t, cluster.Create(t.Context(), foreign))
	c := newClient("caller")
	c.Namespace = "conflict"
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("a conflict that only a user can mend is not Stalled")
	}
	after := get(t, &corev1.Secret{}, "conflict", "caller")
	if after.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the foreign Secret was written: %+v", after)
	}
	eventually(t, "an event says what is in the way", func() bool { return slices.Contains(eventReasons(t, c), v1alpha1.ReasonSecretConflict) })
	removed := time.Now()
	must(t, cluster.Delete(t.Context(), foreign))
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	if meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Error("Stalled is still there")
	}
	eventually(t, "an event tells of the Secret", func() bool { return slices.Contains(eventReasons(t, c), "CredentialsCreated") })
	var events eventsv1.EventList
	must(t, cluster.List(t.Context(), &events, client.InNamespace(c.Namespace)))
	for _, event := range events.Items {
		if event.Regarding.UID == c.UID && event.Reason != v1alpha1.ReasonSecretConflict && event.EventTime.Before(new(metav1.NewMicroTime(removed))) {
			t.Errorf("an event tells of a Secret that was not written: %s", event.Note)
		}
	}
}

func TestAClientIDHasOneHolder(t *testing.T) {
	holder := apply(t, "holder", newClient("first"))
	// As if the other one had been registered under this client's name before.
	name := registration.SecretName("taken.second")
	data, err := registration.Encode(registration.Registration{Client: oauth2.Client{
		ID: "taken.second", UID: string(holder.UID), Namespace: "holder", Name: "first", Tokens: oauth2.TokenForm{Lifetime: oauth2.MaxTokenLifetime},
	}})
	must(t, err)
	squatter := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: name}, Type: registration.SecretType, Data: data,
	}
	must(t, cluster.Create(t.Context(), squatter))
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})))
	c := newClient("second")
	c.Namespace = "taken"
	must(t, cluster.Create(t.Context(), c))
	condition(t, c, metav1.ConditionFalse, v1alpha1.ReasonClientIDConflict)
	message := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady).Message
	if strings.Contains(message, "holder") || strings.Contains(message, "first") {
		t.Errorf("the message names the holder: %s", message)
	}
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("credentials of a client without an id: %v", err)
	}
	must(t, cluster.Delete(t.Context(), holder))
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
}

func TestASecretIsRotatedOnDemandAndOnce(t *testing.T) {
	c := apply(t, "rotation", newClient("caller"))
	old := credentials(t, c)
	update(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "now"} })
	eventually(t, "the request is handled", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return c.Status.Rotation.HandledRequest == "now"
	})
	fresh := credentials(t, c)
	if string(fresh.Data["client_secret"]) == string(old.Data["client_secret"]) || len(c.Status.Credentials) != 2 {
		t.Errorf("%d credentials after a rotation, want a new one and the old one", len(c.Status.Credentials))
	}
	fetch(t, fresh)
	fetch(t, old) // for the overlap
	update(t, c, func() { c.Spec.Description = "reconcile again" })
	eventually(t, "the change is seen", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return c.Status.ObservedGeneration == c.Generation
	})
	if string(credentials(t, c).Data["client_secret"]) != string(fresh.Data["client_secret"]) {
		t.Error("the same request rotated twice")
	}
	update(t, c, func() {
		c.Spec.Rotation.Overlap = "0s"
		c.Annotations[v1alpha1.AnnotationRotate] = "again"
	})
	eventually(t, "the replaced secret is refused at once", func() bool {
		status, _ := post(t, fresh, "token_url", url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusUnauthorized
	})
	fetch(t, credentials(t, c))
	eventually(t, "an event tells of it", func() bool { return slices.Contains(eventReasons(t, c), "CredentialsRotated") })
}

func TestALostRegistrationIsWrittenAgainWithTheSameSecret(t *testing.T) {
	c := apply(t, "lost", newClient("caller"))
	secret := credentials(t, c)
	key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.SecretName("lost.caller")}
	stored := get(t, &corev1.Secret{}, key.Namespace, key.Name)
	must(t, cluster.Delete(t.Context(), stored))
	eventually(t, "the registration is there again", func() bool {
		again := &corev1.Secret{}
		return cluster.Get(t.Context(), key, again) == nil && again.UID != stored.UID
	})
	if string(credentials(t, c).Data["client_secret"]) != string(secret.Data["client_secret"]) {
		t.Error("the app's secret was replaced")
	}
	fetch(t, secret)
}

func TestARestoredNamespaceComesBackToLife(t *testing.T) {
	rotated := newClient("caller") // a request from before the backup is not one to rotate now
	rotated.Annotations = map[string]string{v1alpha1.AnnotationRotate: "before"}
	c := apply(t, "restored", rotated)
	backup := credentials(t, c)
	must(t, cluster.Delete(t.Context(), c))
	eventually(t, "everything is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(backup), &corev1.Secret{}))
	})
	// A backup tool strips owner references and status; the objects get new UIDs.
	restored := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: backup.Namespace, Name: backup.Name, Labels: backup.Labels, Annotations: backup.Annotations},
		Type:       backup.Type, Data: backup.Data,
	}
	must(t, cluster.Create(t.Context(), restored))
	rotated = newClient("caller")
	rotated.Annotations = map[string]string{v1alpha1.AnnotationRotate: "before"}
	again := apply(t, "restored", rotated)
	if string(credentials(t, again).Data["client_secret"]) != string(backup.Data["client_secret"]) {
		t.Error("the secret that the apps hold was replaced")
	}
	fetch(t, backup)
	if owner := metav1.GetControllerOf(credentials(t, again)); owner == nil || owner.UID != again.UID {
		t.Errorf("the restored Secret is owned by %+v", owner)
	}
}

// TestARegistryOfYesterdayTakesNoSecretAway puts back a registration that was backed up before a
// rotation: what applications hold is still accepted, and what was rotated out stays refused.
func TestARegistryOfYesterdayTakesNoSecretAway(t *testing.T) {
	c := newClient("caller")
	c.Spec.Rotation.Overlap = "0s"
	apply(t, "yesterday", c)
	old, backup := credentials(t, c), stored(t, c)
	update(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "since"} })
	eventually(t, "the secret is rotated", func() bool {
		return request(t, "yesterday.caller", string(old.Data["client_secret"])) == http.StatusUnauthorized
	})
	held := credentials(t, c)
	fetch(t, held)

	must(t, hallpass.StopManager())
	restored := stored(t, c)
	restored.Data, restored.Annotations = backup.Data, backup.Annotations
	must(t, cluster.Update(t.Context(), restored))
	eventually(t, "the backup is in force", func() bool {
		return request(t, "yesterday.caller", string(old.Data["client_secret"])) == http.StatusOK
	})
	must(t, hallpass.StartManager(context.WithoutCancel(t.Context())))
	eventually(t, "what was rotated out is refused again", func() bool {
		return request(t, "yesterday.caller", string(old.Data["client_secret"])) == http.StatusUnauthorized
	})
	fetch(t, held)
	if now := credentials(t, c); !bytes.Equal(now.Data["client_secret"], held.Data["client_secret"]) {
		t.Error("what applications hold was replaced")
	}
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
	if reasons := eventReasons(t, c); slices.Contains(reasons, "SecretRepaired") || c.Status.Rotation.HandledRequest != "since" {
		t.Errorf("events %q, and the request handled last is %q", reasons, c.Status.Rotation.HandledRequest)
	}
}

// condition waits until Ready has a status and a reason.
func condition(t *testing.T, c *v1alpha1.OAuth2Client, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, "Ready is "+string(status)+" because of "+reason, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Status == status && ready.Reason == reason
	})
}

func eventReasons(t *testing.T, o client.Object) []string {
	t.Helper()
	var events eventsv1.EventList
	must(t, cluster.List(t.Context(), &events, client.InNamespace(o.GetNamespace())))
	var reasons []string
	for _, event := range events.Items {
		if event.Regarding.UID == o.GetUID() {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}

func get[T client.Object](t *testing.T, into T, namespace, name string) T {
	t.Helper()
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into))
	return into
}

// TestARepairThatDoesNotHoldIsReported: something writes the Secret after each repair.
func TestARepairThatDoesNotHoldIsReported(t *testing.T) {
	c := apply(t, "fighting", newClient("app"))
	token := newToken("fighting", "legacy", "app", v1alpha1.TokenRefreshing)
	minted(t, token)
	for entry, o := range map[string]struct {
		client.Object
		conditions func() []metav1.Condition
	}{
		"client_secret": {c, func() []metav1.Condition { return c.Status.Conditions }},
		"token":         {token, func() []metav1.Condition { return token.Status.Conditions }},
	} {
		eventually(t, "the repairs of "+o.GetName()+" are damped", func() bool {
			var s corev1.Secret
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(o.Object), &s); err == nil && string(s.Data[entry]) != "by something else" {
				s.Data[entry] = []byte("by something else")
				_ = cluster.Update(t.Context(), &s) // the manager may be quicker
			}
			must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(o.Object), o.Object))
			stalled := meta.FindStatusCondition(o.conditions(), v1alpha1.ConditionStalled)
			return stalled != nil && stalled.Reason == v1alpha1.ReasonRepairDoesNotHold && !meta.IsStatusConditionTrue(o.conditions(), v1alpha1.ConditionReady)
		})
		eventually(t, "an event says so", func() bool { return slices.Contains(eventReasons(t, o.Object), v1alpha1.ReasonRepairDoesNotHold) })
	}
}

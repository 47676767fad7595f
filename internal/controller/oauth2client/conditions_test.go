// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

var secrets = schema.GroupResource{Resource: "secrets"}

// answers are what the API server may answer to a write, and whether that is a refusal.
func answers() map[string]struct {
	err     error
	refusal bool
} {
	webhook := apierrors.NewInternalError(errors.New(`failed calling webhook "guard.example.com": connection refused`))
	return map[string]struct {
		err     error
		refusal bool
	}{
		"an admission policy denies":        {errForbidden, true},
		"a quota is used up":                {apierrors.NewForbidden(secrets, "app", errors.New("exceeded quota: none, requested: secrets=1")), true},
		"the Secret is immutable":           {apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "app", nil), true},
		"a webhook that must be asked away": {webhook, true},
		"it is too large":                   {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), true},
		"no connection":                     {&url.Error{Op: "Post", URL: "https://10.0.0.1", Err: errors.New("connection refused")}, false},
		"a time-out":                        {context.DeadlineExceeded, false},
		"a time-out of the API server":      {apierrors.NewServerTimeout(secrets, "create", 1), false},
		"an internal error":                 {apierrors.NewInternalError(errors.New("etcdserver: leader changed")), false},
		"the API server is overloaded":      {apierrors.NewTooManyRequests("slow down", 1), false},
		"another write came first":          {apierrors.NewConflict(secrets, "app", errors.New("changed")), false},
	}
}

// TestARefusalShowsAtTheFirstAttempt also shows that what refuses nothing changes no condition.
func TestARefusalShowsAtTheFirstAttempt(t *testing.T) {
	for name, answer := range answers() {
		t.Run(name+": a client without its Secret", func(t *testing.T) {
			w := newWorld(t)
			w.create(clientOfWorld("app"))
			w.rest("app")
			before := w.get("app").Status
			w.must(w.server.Delete(t.Context(), w.secret("app")))
			w.refuse = refuseSecrets(answer.err)
			w.sync()
			w.pass(time.Hour)
			if _, err := w.reconcile("app"); err == nil {
				t.Fatal("no error")
			}
			ready, stalled := w.condition("app", v1alpha1.ConditionReady), w.condition("app", v1alpha1.ConditionStalled)
			if !answer.refusal {
				if after := w.get("app").Status; !slices.Equal(after.Conditions, before.Conditions) {
					t.Errorf("the conditions have changed: %+v", after.Conditions)
				}
				return
			}
			if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(ready.Message, words(answer.err)) {
				t.Errorf("Ready is %s %s: %s", ready.Status, ready.Reason, ready.Message)
			}
			if stalled.Reason != v1alpha1.ReasonWriteRefused {
				t.Errorf("Stalled: %+v", stalled)
			}
			w.refuse = nil
			w.pass(time.Minute)
			w.rest("app")
			if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue || w.condition("app", v1alpha1.ConditionStalled).Type != "" {
				t.Errorf("after it: %+v", w.get("app").Status.Conditions)
			}
		})
		t.Run(name+": a change of the registration", func(t *testing.T) {
			w := newWorld(t)
			w.create(clientOfWorld("app"))
			w.rest("app")
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Scopes = []v1alpha1.Scope{"read"} })
			w.refuse = func(verb string, o client.Object) error {
				if o.GetNamespace() == registryOfWorld && verb == "update" {
					return answer.err
				}
				return nil
			}
			w.sync()
			_, _ = w.reconcile("app")
			ready, reconciling := w.condition("app", v1alpha1.ConditionReady), w.condition("app", v1alpha1.ConditionReconciling)
			if ready.Status != metav1.ConditionTrue {
				t.Errorf("the client goes on being served, and Ready is %+v", ready)
			}
			if answer.refusal != strings.Contains(reconciling.Message, words(answer.err)) {
				t.Errorf("Reconciling: %+v", reconciling)
			}
		})
	}
}

// words are what a condition has to quote of an error.
func words(err error) string {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return strings.TrimRight(status.ErrStatus.Message, ".: ")
	}
	return err.Error()
}

func TestAClientIsReconcilingForFiveMinutesOfAGenerationAndThenStalled(t *testing.T) {
	for name, begin := range map[string]func(w *world){
		"a new client that is refused its Secret": func(w *world) { w.refuse = refuseSecrets(errForbidden); w.create(clientOfWorld("app")) },
		"a new client whose service account is not there yet": func(w *world) {
			c := clientOfWorld("app")
			c.Spec.Authentication.Method, c.Spec.Authentication.ServiceAccount.Name = v1alpha1.ByServiceAccount, "worker"
			w.create(c)
		},
		"a new client whose Existing Secret is not there yet": func(w *world) {
			c := clientOfWorld("app")
			c.Spec.Secret.Source = v1alpha1.SecretExisting
			w.create(c)
		},
		"an old client with a new spec": func(w *world) {
			w.create(clientOfWorld("app"))
			w.rest("app")
			w.pass(time.Hour)
			w.refuse = refuseSecrets(errForbidden)
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Keys.ClientSecret = "password" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			begin(w)
			w.sync()
			var wake time.Duration
			for range 8 {
				w.sync()
				if result, err := w.reconcile("app"); err == nil {
					wake = result.RequeueAfter
				}
				w.pass(30 * time.Second)
				if w.condition("app", v1alpha1.ConditionReconciling).Type == "" || w.condition("app", v1alpha1.ConditionStalled).Type != "" {
					t.Fatalf("%+v", w.get("app").Status.Conditions)
				}
			}
			if wake > 2*time.Minute { // where nothing fails, nothing else wakes it
				t.Errorf("it looks again after %s", wake)
			}
			w.pass(90 * time.Second)
			w.sync()
			_, _ = w.reconcile("app")
			if w.condition("app", v1alpha1.ConditionReconciling).Type != "" || w.condition("app", v1alpha1.ConditionStalled).Type == "" {
				t.Errorf("after five minutes: %+v", w.get("app").Status.Conditions)
			}
		})
	}
}

func TestAWrongValueInTheSecretIsNotReady(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	s := w.secret("app")
	s.Data[keyClientSecret] = []byte("scribble")
	w.must(w.server.Update(t.Context(), s))
	w.refuse = refuseSecrets(errForbidden)
	w.sync()
	_, _ = w.reconcile("app")
	if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonWriteRefused {
		t.Errorf("%+v", ready)
	}
}

func TestARotationThatFailsSaysSoOnce(t *testing.T) {
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	w.events()
	w.refuse = refuseSecrets(errForbidden)
	w.askToRotate("app", "leaked")
	asked := w.clock.Now().Truncate(time.Second)
	w.tries("app", time.Hour, 30*time.Second)
	c := w.get("app")
	rotation := c.Status.Rotation
	if rotation.Reason != v1alpha1.RotationRefused || !strings.Contains(rotation.Message, "guard") || rotation.HandledRequest != "" {
		t.Errorf("status.rotation %+v", rotation)
	}
	if !rotation.NextAt.Time.Equal(asked) {
		t.Errorf("it has been due since %s, and nextAt is %s: the alert on rotations that are overdue looks at it", asked, rotation.NextAt)
	}
	if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("the secret in the Secret is accepted, and Ready is %+v", ready)
	}
	if found := w.events(); len(found) != 1 || !strings.HasPrefix(found[0], "Warning RotationFailed ") {
		t.Errorf("events %q", found)
	}
	w.refuse = nil
	w.rest("app")
	if rotation := w.get("app").Status.Rotation; rotation.HandledRequest != "leaked" || rotation.Reason != "" || rotation.Message != "" {
		t.Errorf("once it is carried out: %+v", rotation)
	}
}

func TestARotationThatWaitsSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(w *world)
		want    v1alpha1.RotationReason
	}{
		"for room among the secrets that are accepted": {func(w *world) {
			w.create(clientOfWorld("app"))
			w.rest("app")
			for _, request := range []string{"1", "2"} {
				w.askToRotate("app", request)
				w.rest("app")
			}
		}, v1alpha1.RotationTooManySecrets},
		"because there are keys and no secret": {func(w *world) {
			c := clientOfWorld("app")
			c.Spec.Authentication.Method = v1alpha1.ByPrivateKeyJWT
			c.Spec.Authentication.PrivateKeyJWT.JWKS = ed25519Keys
			w.create(c)
			w.rest("app")
		}, v1alpha1.RotationNotGenerated},
		"because the client is not ready": {func(w *world) {
			c := clientOfWorld("app")
			c.Spec.Secret.Template = v1alpha1.SecretTemplate{"a": "$(nothing)"}
			w.create(c)
			w.rest("app")
		}, v1alpha1.RotationNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.prepare(w)
			w.events()
			w.askToRotate("app", "leaked")
			w.rest("app")
			if rotation := w.get("app").Status.Rotation; rotation.Reason != c.want || rotation.Message == "" || rotation.HandledRequest == "leaked" {
				t.Errorf("%+v", rotation)
			}
			if found := w.events(); len(found) != 1 || !strings.HasPrefix(found[0], "Warning RotationWaits ") {
				t.Errorf("events %q", found)
			}
		})
	}
}

// TestAnAutomaticRotationThatWaitsSaysSo: no request names it, and what is in the way of the client
// keeps it from being planned.
func TestAnAutomaticRotationThatWaitsSaysSo(t *testing.T) {
	w := newWorld(t)
	c := clientOfWorld("app")
	c.Spec.Rotation = v1alpha1.RotationSpec{Interval: "24h", Overlap: "1h"}
	w.create(c)
	w.rest("app")
	due := w.get("app").Status.Rotation.NextAt
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Template = v1alpha1.SecretTemplate{"a": "$(nothing)"} })
	w.rest("app")
	w.pass(6 * time.Minute) // it is Stalled by now
	w.rest("app")
	if rotation := w.get("app").Status.Rotation; !rotation.NextAt.Equal(&due) || rotation.Reason != "" {
		t.Errorf("before it is due: %+v, want it at %s", rotation, due)
	}
	w.sync()
	result, err := w.reconcile("app")
	w.must(err)
	if wake := w.clock.Now().Add(result.RequeueAfter); wake.After(due.Add(time.Minute)) || result.RequeueAfter < time.Minute && due.Sub(w.clock.Now()) > time.Hour {
		t.Errorf("it looks again at %s, and the rotation is due at %s", wake, due)
	}
	w.events()
	w.pass(25 * time.Hour)
	w.rest("app")
	rotation := w.get("app").Status.Rotation
	if !rotation.NextAt.Equal(&due) || rotation.Reason != v1alpha1.RotationNotReady || !strings.Contains(rotation.Message, "is due and waits") {
		t.Errorf("once it is due: %+v, and it has been due since %s", rotation, due)
	}
	if found := w.events(); len(found) != 1 || !strings.HasPrefix(found[0], "Warning RotationWaits ") {
		t.Errorf("events %q", found)
	}
	w.sync()
	if result, err = w.reconcile("app"); err != nil || result.RequeueAfter > 0 && result.RequeueAfter < time.Minute {
		t.Errorf("it looks again after %s: %v", result.RequeueAfter, err)
	}
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Template = nil })
	w.rest("app")
	if rotation := w.get("app").Status.Rotation; rotation.Reason != "" || !rotation.NextAt.After(w.clock.Now()) {
		t.Errorf("once nothing is in the way: %+v", rotation)
	}
}

func TestEachRejectionHasOneEvent(t *testing.T) {
	foreign := func(w *world) {
		w.must(w.server.Create(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}))
	}
	for name, c := range map[string]struct {
		prepare func(w *world)
		change  func(c *v1alpha1.OAuth2Client)
		want    string
	}{
		"the Secret is somebody else's": {foreign, func(*v1alpha1.OAuth2Client) {}, "Warning SecretConflict "},
		"a template that cannot be rendered": {nil, func(c *v1alpha1.OAuth2Client) {
			c.Spec.Secret.Template = v1alpha1.SecretTemplate{"a": "$(nothing)"}
		}, "Warning InvalidTemplate "},
		"keys that cannot be used": {nil, func(c *v1alpha1.OAuth2Client) {
			c.Spec.Authentication.Method, c.Spec.Authentication.PrivateKeyJWT.JWKS = v1alpha1.ByPrivateKeyJWT, `{"keys":[]}`
		}, "Warning InvalidJWKS "},
		"a claim that no policy allows": {nil, func(c *v1alpha1.OAuth2Client) {
			c.Spec.Claims = []v1alpha1.Claim{{Name: "tier", Value: "gold"}}
		}, "Warning ClaimNotAllowed "},
		"a write that is refused": {func(w *world) { w.refuse = refuseSecrets(errForbidden) }, func(*v1alpha1.OAuth2Client) {}, "Warning WriteRefused "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.prepare != nil {
				c.prepare(w)
			}
			object := clientOfWorld("app")
			c.change(object)
			w.create(object)
			w.tries("app", 20*time.Minute, 30*time.Second)
			w.start()
			// a manager that starts anew repeats nothing
			w.tries("app", 20*time.Minute, 30*time.Second)
			var found []string
			for _, event := range w.events() {
				if !strings.HasPrefix(event, "Normal CredentialsCreated ") {
					found = append(found, event)
				}
			}
			if len(found) != 1 || !strings.HasPrefix(found[0], c.want) {
				t.Errorf("%q, want %q once", found, c.want)
			}
		})
	}
}

// TestWhatIsExpectedIsNoWarningAtFirst: an account that is created after its client.
func TestWhatIsExpectedIsNoWarningAtFirst(t *testing.T) {
	w := newWorld(t)
	c := clientOfWorld("app")
	c.Spec.Authentication.Method, c.Spec.Authentication.ServiceAccount.Name = v1alpha1.ByServiceAccount, "worker"
	w.create(c)
	w.tries("app", 4*time.Minute, 30*time.Second)
	if found := w.events(); len(found) != 0 {
		t.Errorf("at first %q", found)
	}
	w.tries("app", 10*time.Minute, 30*time.Second)
	if found := w.events(); len(found) != 1 || !strings.HasPrefix(found[0], "Warning ServiceAccountNotFound ") {
		t.Errorf("after five minutes %q", found)
	}
}

func TestADeletedExistingSecretSaysHowToEndItsValue(t *testing.T) {
	w := newWorld(t)
	own := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
		Data:       map[string][]byte{keyClientSecret: []byte("K7mQ0Zt3bV9xYp2LwRc8Hd5NfSg1Ja6E")},
	}
	w.create(own)
	c := clientOfWorld("app")
	c.Spec.Secret.Source = v1alpha1.SecretExisting
	w.create(c)
	w.rest("app")
	w.events()
	w.must(w.server.Delete(t.Context(), own))
	w.rest("app")
	if !w.accepts("shop.app", "K7mQ0Zt3bV9xYp2LwRc8Hd5NfSg1Ja6E") {
		t.Error("the client secret ended with its Secret")
	}
	ready, stalled := w.condition("app", v1alpha1.ConditionReady), w.condition("app", v1alpha1.ConditionStalled)
	if ready.Reason != v1alpha1.ReasonSecretNotFound || !strings.Contains(ready.Message, "still accepted") || !strings.Contains(ready.Message, "suspend or delete") || stalled.Type == "" {
		t.Errorf("%+v", w.get("app").Status.Conditions)
	}
	if found := w.events(); len(found) != 1 || !strings.HasPrefix(found[0], "Warning SecretNotFound ") || !strings.Contains(found[0], "suspend or delete") {
		t.Errorf("events %q", found)
	}
}

// TestAConditionQuotesNoSecret: a webhook may quote the object that it refuses.
func TestAConditionQuotesNoSecret(t *testing.T) {
	w := newWorld(t)
	quoted := ""
	w.refuse = func(verb string, o client.Object) error {
		if s, ok := o.(*corev1.Secret); ok && o.GetNamespace() == "shop" && verb == "create" {
			quoted = string(s.Data[keyClientSecret])
			return apierrors.NewForbidden(secrets, "app", errors.New("no "+quoted+" here"))
		}
		return nil
	}
	w.create(clientOfWorld("app"))
	w.sync()
	_, err := w.reconcile("app")
	ready := w.condition("app", v1alpha1.ConditionReady)
	if quoted == "" || strings.Contains(ready.Message, quoted) || strings.Contains(err.Error(), quoted) || strings.Contains(strings.Join(w.events(), ""), quoted) ||
		!strings.Contains(ready.Message, "no REDACTED here") {
		t.Errorf("%s; %v", ready.Message, err)
	}
}

const ed25519Keys = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// TestALostRegistrationSwallowsNoRequest: nor does it rotate again for one that was carried out, or
// in a namespace that was restored without statuses.
func TestALostRegistrationSwallowsNoRequest(t *testing.T) {
	for name, c := range map[string]struct {
		after   func(w *world)
		rotates bool
	}{
		"a request that was carried out":   {func(*world) {}, false},
		"one that came in the meantime":    {func(w *world) { w.askToRotate("app", "leaked") }, true},
		"the status was not restored":      {func(w *world) { w.withoutStatus("app") }, false},
		"neither it nor the newest Secret": {func(w *world) { w.askToRotate("app", "leaked"); w.withoutStatus("app") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(clientOfWorld("app"))
			w.rest("app")
			w.askToRotate("app", "first")
			w.rest("app")
			held := w.value("app")
			_, stored := w.registered("shop.app")
			w.must(w.server.Delete(t.Context(), stored))
			c.after(w)
			w.rest("app")
			if rotated := w.value("app") != held; rotated != c.rotates {
				t.Errorf("rotated: %t", rotated)
			}
			if !w.accepts("shop.app", held) || !w.accepts("shop.app", w.value("app")) {
				t.Error("what applications hold is refused")
			}
		})
	}
}

// TestAClientThatIsRegisteredAsSuspendedIsNotReady: it is active again, and the registration cannot
// be written.
func TestAClientThatIsRegisteredAsSuspendedIsNotReady(t *testing.T) {
	w := newWorld(t)
	c := clientOfWorld("app")
	c.Spec.State = v1alpha1.ClientSuspended
	w.create(c)
	w.rest("app")
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientActive })
	w.refuse = func(verb string, o client.Object) error {
		if o.GetNamespace() == registryOfWorld && verb == "update" {
			return errForbidden
		}
		return nil
	}
	w.sync()
	_, _ = w.reconcile("app")
	if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonWriteRefused {
		t.Errorf("%+v", ready)
	}
}

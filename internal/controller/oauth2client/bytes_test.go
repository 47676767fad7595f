// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
)

// jwksOf is a JWK set of so many keys, of which each takes a hundred bytes or so.
func jwksOf(keys int) string {
	var list []string
	for i := range keys {
		list = append(list, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"%060d"}`, i))
	}
	return `{"keys":[` + strings.Join(list, ",") + `]}`
}

func withKeys(name string, keys int) *v1alpha1.OAuth2Client {
	c := clientOfWorld(name)
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: jwksOf(keys)}}
	return c
}

// isRegistered reports whether a client has a registration.
func (w *world) isRegistered(name string) bool {
	w.t.Helper()
	err := w.server.Get(w.t.Context(), types.NamespacedName{Namespace: registryOfWorld, Name: registrationKey(registryOfWorld, w.get(name)).Name}, &corev1.Secret{})
	if !apierrors.IsNotFound(err) {
		w.must(err)
	}
	return err == nil
}

func (w *world) readyFor(name, reason string) metav1.Condition {
	w.t.Helper()
	w.rest(name)
	ready := w.condition(name, v1alpha1.ConditionReady)
	if ready.Reason != reason {
		w.t.Fatalf("%s is %s for %s, want %s: %s", name, ready.Status, ready.Reason, reason, ready.Message)
	}
	return ready
}

// worldWithRoom has a namespace with room for 2000 bytes.
func worldWithRoom(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.r.Policy.Room = publish.NewRoom(publish.Bounds{All: 4000, Namespace: 2000, Guaranteed: 500, Reserved: 500})
	go func() { _ = w.r.Policy.Room.Start(t.Context()) }()
	return w
}

func TestANamespaceIsStoppedAtItsBytes(t *testing.T) {
	w := worldWithRoom(t)
	w.create(withKeys("first", 10))
	w.readyFor("first", v1alpha1.ReasonRegistered)
	w.create(withKeys("second", 12))
	ready := w.readyFor("second", v1alpha1.ReasonTooManyBytes)
	if w.isRegistered("second") || w.secret("second") != nil {
		t.Error("something is written for a client that there is no room for")
	}
	for _, want := range []string{"would take 2 KiB", "this namespace take 2 KiB", "may have 2 KiB", "1 KiB are guaranteed"} {
		if !strings.Contains(ready.Message, want) {
			t.Errorf("the message lacks %q: %s", want, ready.Message)
		}
	}
	w.create(withKeys("small", 3))
	w.readyFor("small", v1alpha1.ReasonRegistered)

	w.edit("first", func(c *v1alpha1.OAuth2Client) { c.Spec.Authentication.PrivateKeyJWT.JWKS = jwksOf(1) })
	w.readyFor("first", v1alpha1.ReasonRegistered)
	if woken := <-w.r.Policy.Room.Woken(kind); woken.Object.GetName() != "second" {
		t.Errorf("%s is woken", woken.Object.GetName())
	}
	w.readyFor("second", v1alpha1.ReasonRegistered)
}

// A client keeps what it has and still lists, and loses what is withdrawn.
func TestAClientGrowsNoFurtherThanThereIsRoom(t *testing.T) {
	w := worldWithRoom(t)
	first := withKeys("first", 4)
	first.Spec.Scopes = []v1alpha1.Scope{"read", "write"}
	w.create(first)
	w.readyFor("first", v1alpha1.ReasonRegistered)
	w.edit("first", func(c *v1alpha1.OAuth2Client) {
		c.Spec.Authentication.PrivateKeyJWT.JWKS = strings.Replace(jwksOf(40), fmt.Sprintf("%060d", 3), "replaced", 1)
		c.Spec.Scopes = []v1alpha1.Scope{"read", "new"}
	})
	if ready := w.readyFor("first", v1alpha1.ReasonTooManyBytes); !strings.Contains(ready.Message, "has no effect until there is room; the rest keeps working") {
		t.Error(ready.Message)
	}
	r, _ := w.registered("shop.first")
	if got := r.Client.Credentials.Keys.IDs(); len(got) != 3 || !slices.Equal(r.Client.Scopes, []string{"read"}) {
		t.Errorf("keys %v, scopes %v are registered", got, r.Client.Scopes)
	}
	w.edit("first", func(c *v1alpha1.OAuth2Client) {
		c.Spec.State = v1alpha1.ClientSuspended
		c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(w.clock.Now()))
	})
	w.rest("first")
	if r, _ := w.registered("shop.first"); !r.Client.Suspended || r.Client.Revocation.Before.IsZero() {
		t.Error("a client that there is no room for is not suspended, or does not revoke its tokens")
	}
}

// A rotation that there is no room for is reported. The secret before it is accepted.
func TestARotationWaitsForRoom(t *testing.T) {
	w := worldWithRoom(t)
	w.create(clientOfWorld("app"))
	w.readyFor("app", v1alpha1.ReasonRegistered)
	value := w.value("app")
	w.create(withKeys("first", 8))
	w.readyFor("first", v1alpha1.ReasonRegistered)
	reason := func(name string) string {
		w.rest(name)
		return w.condition(name, v1alpha1.ConditionReady).Reason
	}
	for n, full := 0, false; !full; n++ {
		name := fmt.Sprint("small-", n)
		w.create(clientOfWorld(name))
		full = reason(name) == v1alpha1.ReasonTooManyBytes
	}
	// until it fills the rest of the room
	for size := 128; size == 128 || reason("first") == v1alpha1.ReasonTooManyBytes; size-- {
		w.edit("first", func(c *v1alpha1.OAuth2Client) {
			c.Spec.Scopes = []v1alpha1.Scope{v1alpha1.Scope(strings.Repeat("s", size))}
		})
	}
	w.askToRotate("app", "r1")
	w.readyFor("app", v1alpha1.ReasonRegistered)
	rotation := w.get("app").Status.Rotation
	if rotation.Reason != v1alpha1.RotationRefused || !strings.Contains(rotation.Message, "There is no room") || w.value("app") != value || !w.accepts("shop.app", value) {
		t.Errorf("%+v, or the secret has changed", rotation)
	}
	w.edit("first", func(c *v1alpha1.OAuth2Client) { c.Spec.Authentication.PrivateKeyJWT.JWKS = jwksOf(1) })
	w.readyFor("first", v1alpha1.ReasonRegistered)
	for woken := ""; woken != "app" && !t.Failed(); {
		woken = (<-w.r.Policy.Room.Woken(kind)).Object.GetName()
	}
	w.readyFor("app", v1alpha1.ReasonRegistered)
	if rotation := w.get("app").Status.Rotation; rotation.Reason != "" || w.value("app") == value || !w.accepts("shop.app", w.value("app")) {
		t.Errorf("%+v, or the secret is the one before", rotation)
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

const ownSecret = "K7mQ0Zt3bV9xYp2LwRc8Hd5NfSg1Ja6E"

// changes are the words of the audit lines since it was called last.
func (w *world) changes() (words []string) {
	for _, line := range w.audit {
		words = append(words, regexp.MustCompile(`"change"="([a-z]+)"`).FindStringSubmatch(line)[1])
	}
	w.audit = nil
	return words
}

// TestEachChangeOfACredentialIsAnAuditLine also shows which of them have events, and that no line
// has a secret.
func TestEachChangeOfACredentialIsAnAuditLine(t *testing.T) {
	own := func(value string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: map[string]string{v1alpha1.LabelCredentials: "true"}},
			Data:       map[string][]byte{keyClientSecret: []byte(value)},
		}
	}
	overlap := func(d v1alpha1.Duration) func(*v1alpha1.OAuth2Client) {
		return func(c *v1alpha1.OAuth2Client) { c.Spec.Rotation.Overlap = d }
	}
	rotated := func(w *world) { w.askToRotate("app", w.clock.Now().String()); w.rest("app"); w.pass(time.Second) }
	for name, c := range map[string]struct {
		spec    func(c *v1alpha1.OAuth2Client)
		before  func(w *world)
		change  func(w *world)
		changes []string
		events  []string
	}{
		"the first secret": {nil, nil, func(*world) {}, []string{"made"}, []string{"Normal CredentialsCreated"}},
		"the first secret of a client with a chosen client_id": {
			func(c *v1alpha1.OAuth2Client) { c.Spec.ClientID = "Legacy" }, nil, func(*world) {}, []string{"made"}, []string{"Normal CredentialsCreated"},
		},
		"a rotation":                    {nil, nil, rotated, []string{"made", "rotated"}, []string{"Normal CredentialsCreated", "Normal CredentialsRotated"}},
		"a rotation without an overlap": {overlap("0s"), nil, rotated, []string{"made", "rotated", "replaced"}, []string{"Normal CredentialsCreated", "Normal CredentialsRotated"}},
		"the end of an overlap": {overlap("1h"), rotated, func(w *world) { w.pass(2 * time.Hour) },
			[]string{"made", "rotated", "expired"}, []string{"Normal CredentialsCreated", "Normal CredentialsRotated", "Normal CredentialExpired"}},
		"a Secret that was deleted": {nil, nil, func(w *world) { w.must(w.server.Delete(t.Context(), w.secret("app"))) },
			[]string{"made", "repaired"}, []string{"Normal CredentialsCreated", "Normal SecretRepaired"}},
		"a registration that was lost": {nil, nil, func(w *world) { _, stored := w.registered("shop.app"); w.must(w.server.Delete(t.Context(), stored)) },
			[]string{"made", "adopted"}, []string{"Normal CredentialsCreated"}},
		"repairs that take the place of a secret in its overlap": {nil, func(w *world) { rotated(w); rotated(w) }, func(w *world) { w.must(w.server.Delete(t.Context(), w.secret("app"))) },
			[]string{"made", "rotated", "rotated", "repaired", "ended"},
			[]string{"Normal CredentialsCreated", "Normal CredentialsRotated", "Normal CredentialsRotated", "Normal SecretRepaired", "Warning CredentialEnded"}},
		"keys in the place of a secret": {nil, nil, func(w *world) {
			w.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.Authentication.Method, c.Spec.Authentication.PrivateKeyJWT.JWKS = v1alpha1.ByPrivateKeyJWT, ed25519Keys
			})
		}, []string{"made", "ended"}, []string{"Normal CredentialsCreated", "Warning CredentialEnded"}},
		"tokens that are revoked by the spec": {nil, nil, func(w *world) {
			w.edit("app", func(c *v1alpha1.OAuth2Client) {
				c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(w.clock.Now().Add(time.Hour)))
			})
		}, []string{"made", "revoked"}, []string{"Normal CredentialsCreated"}},
		"a secret of the user's own, and another value of it": {
			func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Source = v1alpha1.SecretExisting },
			func(w *world) { w.create(own(ownSecret)) },
			func(w *world) {
				s := w.secret("app")
				s.Data[keyClientSecret] = []byte(ownSecret + "x2")
				w.must(w.server.Update(t.Context(), s))
			}, []string{"adopted", "adopted"}, []string{"Normal CredentialsRotated"},
		},
		"a manager that ended right after it had written the Secret": {nil, nil, func(w *world) {
			w.askToRotate("app", "leaked")
			w.refuse = func(verb string, o client.Object) error {
				if r, _ := w.registered("shop.app"); verb == "update" && o.GetNamespace() == registryOfWorld && len(r.Client.Credentials.Verifiers) > 1 {
					return apierrors.NewTimeoutError("away", 1)
				}
				return nil
			}
			w.sync()
			_, _ = w.reconcile("app")
			// nothing of what it wrote about it is there
			w.refuse, w.audit = nil, w.audit[:1]
			w.events()
			w.start()
		}, []string{"made", "rotated"}, []string{"Normal CredentialsRotated"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			object := clientOfWorld("app")
			if c.spec != nil {
				c.spec(object)
			}
			w.create(object)
			if object.Spec.Secret.Source == v1alpha1.SecretExisting {
				c.before(w)
			}
			w.rest("app")
			if c.before != nil && object.Spec.Secret.Source == "" {
				c.before(w)
			}
			values := []string{ownSecret, w.value("app")}
			c.change(w)
			w.rest("app")
			values = append(values, w.value("app"))
			for _, line := range w.audit {
				if slices.ContainsFunc(values, func(value string) bool { return value != "" && strings.Contains(line, value) }) || !strings.Contains(line, `"client"="shop/app"`) {
					t.Errorf("line %s", line)
				}
			}
			if diff := cmp.Diff(c.changes, w.changes()); diff != "" {
				t.Errorf("audit lines (-want +got):\n%s", diff)
			}
			var found []string
			for _, event := range w.events() {
				found = append(found, strings.Join(strings.Fields(event)[:2], " "))
			}
			if diff := cmp.Diff(c.events, found); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			w.start()
			w.rest("app")
			if more := w.changes(); len(more) > 0 || len(w.events()) > 0 {
				t.Errorf("a manager that starts anew writes %q again", more)
			}
		})
	}
}

// TestAnAutomaticRotationIsNoRepair: the write that confirms it is refused at first. The manager
// that has reported it does not report it again, and one that starts then does not call it a
// repair.
func TestAnAutomaticRotationIsNoRepair(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		restart bool
		lines   int
	}{"by the same manager": {false, 1}, "by the next manager": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			app := clientOfWorld("app")
			app.Spec.Rotation = v1alpha1.RotationSpec{Interval: "24h", Overlap: "1h"}
			w.create(app)
			w.rest("app")
			before, written := w.value("app"), false
			w.refuse = func(_ string, o client.Object) error {
				if o.GetNamespace() == registryOfWorld && written {
					return errForbidden
				}
				written = written || o.GetName() == "app" && w.kind(o) == "Secret"
				return nil
			}
			w.pass(24 * time.Hour)
			w.sync()
			if _, err := w.reconcile("app"); err == nil || w.value("app") == before {
				t.Fatalf("%v: %q", err, w.writes)
			}
			w.refuse = nil
			if c.restart {
				w.start()
			}
			w.tries("app", time.Minute, 10*time.Second)
			if value := w.value("app"); says(w.audit, "repaired", value) || strings.Count(strings.Join(w.audit, "\n"), `"rotated"`) != c.lines {
				t.Errorf("audit lines:\n%s", strings.Join(w.audit, "\n"))
			}
		})
	}
}

// TestAFirstSecretIsNeitherRotatedNorRepaired: the client came with a request to rotate. Its Secret
// is refused at first, and then the write that confirms it.
func TestAFirstSecretIsNeitherRotatedNorRepaired(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"by the same manager": false, "by the next manager": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			app := clientOfWorld("app")
			app.Spec.ClientID, app.Annotations = "chosen", map[string]string{v1alpha1.AnnotationRotate: "1"}
			w.create(app)
			refused, written := 0, false
			w.refuse = func(_ string, o client.Object) error {
				isSecret := w.kind(o) == "Secret" && o.GetNamespace() == "shop"
				if isSecret && refused == 0 || written && o.GetNamespace() == registryOfWorld {
					refused++
					return errForbidden
				}
				written = written || isSecret
				return nil
			}
			for range 2 {
				w.sync()
				_, _ = w.reconcile("app")
				w.pass(10 * time.Second)
			}
			if refused != 2 || !written {
				t.Fatalf("%d refused: %q", refused, w.writes)
			}
			w.refuse = nil
			if restart {
				w.start()
			}
			w.tries("app", time.Minute, 10*time.Second)
			if value := w.value("app"); says(w.audit, "repaired", value) || says(w.audit, "rotated", value) || !says(w.audit, "made", value) {
				t.Errorf("audit lines:\n%s", strings.Join(w.audit, "\n"))
			}
		})
	}
}

// TestARepairIsNoRotation: the Secret is edited while a rotation is due, and the write that
// confirms another value is refused at first. The manager that confirms it calls it what the one
// called it that wrote it.
func TestARepairIsNoRotation(t *testing.T) {
	t.Parallel()
	day := func(c *v1alpha1.OAuth2Client) { c.Spec.Rotation.Interval = "24h" }
	ask := func(request string) func(*world) {
		return func(w *world) { w.askToRotate("app", request) }
	}
	threeSecrets := func(w *world) {
		for _, request := range []string{"1", "2"} {
			w.askToRotate("app", request)
			w.rest("app")
			w.pass(time.Second)
		}
		w.askToRotate("app", "3")
		w.rest("app")
	}
	for name, c := range map[string]struct {
		spec   func(*v1alpha1.OAuth2Client)
		before func(*world)
	}{
		"a rotation is requested":           {nil, ask("1")},
		"a rotation is requested and waits": {nil, threeSecrets},
		"a rotation is due by the interval": {day, func(w *world) { w.pass(24 * time.Hour) }},
		"the registration is lost": {nil, func(w *world) {
			_, s := w.registered("shop.app")
			w.must(w.server.Delete(w.t.Context(), s))
		}},
	} {
		for who, restart := range map[string]bool{"by the same manager": false, "by the next manager": true} {
			t.Run(name+" "+who, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				app := clientOfWorld("app")
				if c.spec != nil {
					c.spec(app)
				}
				w.create(app)
				w.rest("app")
				c.before(w)
				s, written := w.secret("app"), false
				s.Data[keyClientSecret] = []byte("scribble")
				w.must(w.server.Update(t.Context(), s))
				w.refuse = func(_ string, o client.Object) error {
					if o.GetNamespace() == registryOfWorld && written {
						return errForbidden
					}
					written = written || o.GetName() == "app" && w.kind(o) == "Secret"
					return nil
				}
				w.sync()
				if _, err := w.reconcile("app"); err == nil || !says(w.audit, "repaired", w.value("app")) {
					t.Fatalf("%v: %q", err, w.audit)
				}
				value := w.value("app")
				w.refuse = nil
				if restart {
					w.start()
				}
				w.tries("app", time.Minute, 10*time.Second)
				if says(w.audit, "rotated", value) || says(w.audit, "made", value) || !w.accepts("shop.app", value) {
					t.Errorf("audit lines:\n%s", strings.Join(w.audit, "\n"))
				}
			})
		}
	}
}

// TestAWriteThatIsNotAnsweredHasItsAuditLines: the registration is written, and the answer is lost.
// The lines come once the manager has read it, and once.
func TestAWriteThatIsNotAnsweredHasItsAuditLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(*world)
		want []string
	}{
		"a rotation without an overlap": {func(w *world) { w.askToRotate("app", "2") }, []string{"rotated", "replaced"}},
		"the end of an overlap":         {func(w *world) { w.pass(2 * time.Hour) }, []string{"expired"}},
		"the loss of the registration": {func(w *world) {
			_, s := w.registered("shop.app")
			w.must(w.server.Delete(w.t.Context(), s))
		}, []string{"adopted"}},
		"a revocation": {func(w *world) {
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(w.clock.Now())) })
		}, []string{"revoked"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			app := clientOfWorld("app")
			app.Spec.Rotation.Overlap = "1h"
			w.create(app)
			w.rest("app")
			if strings.Contains(name, "overlap") {
				w.askToRotate("app", "1")
				w.rest("app")
			}
			if strings.HasPrefix(name, "a rotation") {
				w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Rotation.Overlap = "0s" })
				w.rest("app")
			}
			w.changes()
			w.refuse = func(verb string, o client.Object) error {
				if o.GetNamespace() == registryOfWorld && verb != "status" {
					return lost{context.DeadlineExceeded}
				}
				return nil
			}
			c.do(w)
			w.tries("app", time.Minute, 10*time.Second)
			w.refuse = nil
			w.tries("app", time.Minute, 10*time.Second)
			if diff := cmp.Diff(c.want, w.changes()); diff != "" {
				t.Errorf("changes in the audit log (-want +got):\n%s\n%q", diff, w.writes)
			}
		})
	}
}

// TestALateCacheLosesNoAuditLine: the registration is written, the answer is lost, and what the
// cache has is older: the attempts that begin there cannot be done.
func TestALateCacheLosesNoAuditLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := clientOfWorld("app")
	app.Spec.Rotation.Overlap = "0s"
	w.create(app)
	w.rest("app")
	w.changes()
	registry, isLost := 0, true
	w.refuse = func(_ string, o client.Object) error {
		if o.GetNamespace() != registryOfWorld || o.GetName() == registration.GenerationKeySecretName {
			return nil
		}
		if registry++; registry == 1 {
			return nil
		}
		if isLost {
			isLost = false
			return lost{context.DeadlineExceeded}
		}
		return context.DeadlineExceeded
	}
	w.askToRotate("app", "1")
	w.sync()
	if _, err := w.reconcile("app"); err == nil || isLost {
		t.Fatalf("the second write of the registration was answered: %q", w.writes)
	}
	s := w.secret("app")
	s.Data[keyClientSecret] = []byte("scribble")
	w.must(w.server.Update(t.Context(), s))
	w.sync("Secret shop/", "OAuth2Client ")
	if _, err := w.reconcile("app"); err == nil {
		t.Fatalf("a write of the registration was answered: %q", w.writes)
	}
	w.refuse = nil
	w.tries("app", time.Minute, 10*time.Second)
	if diff := cmp.Diff([]string{"rotated", "replaced", "repaired", "replaced"}, w.changes()); diff != "" {
		t.Errorf("changes in the audit log (-want +got):\n%s\n%q", diff, w.writes)
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
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
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestWhichNamesARegistrationRemembers(t *testing.T) {
	renamed := func(to string) v1alpha1.SecretSpec { return v1alpha1.SecretSpec{Name: to} }
	retained := func(to string) v1alpha1.SecretSpec {
		return v1alpha1.SecretSpec{Name: to, DeletionPolicy: v1alpha1.DeletionRetain}
	}
	for name, c := range map[string]struct {
		secret v1alpha1.SecretSpec
		there  bool
		// late is whether the cache lacks the Secret that is there.
		late         bool
		before, want string
		// left is what is remembered once the former Secrets are gone.
		left string
	}{
		"most clients need no memory":                {renamed(""), false, false, "", "", ""},
		"a Secret that was there before":             {renamed("b"), true, false, "", "", ""},
		"a new name":                                 {renamed("b"), false, false, "", "b", "b"},
		"another name":                               {renamed("c"), false, false, "b", "b c", "c"},
		"the first name again":                       {renamed(""), false, false, "b", "b app", "app"},
		"a name from before is the newest":           {renamed("b"), false, false, "b c", "c b", "b"},
		"a name that is remembered":                  {renamed("b"), true, false, "b", "b", "b"},
		"a Secret that the cache lacks":              {renamed("b"), true, true, "", "b", "b"},
		"one that has the client's name":             {renamed(""), true, true, "", "app", "app"},
		"a retained Secret has no other way":         {retained(""), true, false, "", "app", "app"},
		"a retained Secret is renamed":               {retained("b"), false, false, "app", "app b", "b"},
		"the user's own Secret is not to be removed": {v1alpha1.SecretSpec{Name: "mine", Source: v1alpha1.SecretExisting}, true, false, "b", "b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Spec: v1alpha1.OAuth2ClientSpec{Secret: c.secret}}
			s := seen{earlier: earlier{names: strings.Fields(c.before), uncached: !c.there || c.late}, found: found{unknown: !c.there && c.before == ""}}
			if c.there {
				s.object = &corev1.Secret{}
			}
			before := slices.Clone(s.names)
			got := methodOf(app, nil, nil, nil, generationKeys{}).remember(s)
			if diff := cmp.Diff([]string{c.want, c.left}, []string{strings.Join(got, " "), strings.Join(current(app, got), " ")}); diff != "" {
				t.Errorf("remembered and left (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, s.names) {
				t.Errorf("what was read was changed to %q", s.names)
			}
		})
	}
}

// TestASecretThatIsRenamedTwiceIsInherited: the cache lacks what the first rename has written, and
// the registration knew none of the names.
func TestASecretThatIsRenamedTwiceIsInherited(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(w *world){
		"the registration was lost": func(w *world) {
			_, lost := w.registered("shop.app")
			w.must(w.server.Delete(t.Context(), lost))
		},
		"the registration was restored": func(w *world) {
			_, restored := w.registered("shop.app")
			delete(restored.Annotations, annotationNames)
			w.must(w.server.Update(t.Context(), restored))
		},
		"the client was created again, and then the registration was lost": func(w *world) {
			c := w.get("app")
			w.must(w.server.Delete(t.Context(), c))
			w.create(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: c.Spec})
			w.sync("OAuth2Client ", "Secret "+registryOfWorld)
			// the cache keeps the Secret with the reference to the client of before
			_, err := w.reconcile("app")
			w.must(err)
			_, lost := w.registered("shop.app")
			w.must(w.server.Delete(t.Context(), lost))
		},
	} {
		for _, names := range [][3]string{{"other", "", "third"}, {"", "other", "third"}, {"other", "third", ""}} {
			// late is whether the cache is late from the first name on, and looked
			// whether there is a reconcile before the second.
			for _, c := range []struct{ late, looked bool }{{false, true}, {true, true}, {false, false}, {true, false}} {
				t.Run(fmt.Sprintf("%s, %q, %+v", name, names, c), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					w.create(clientOfWorld("app"))
					w.rest("app")
					w.renameWithALateCache(names[0])
					if !c.late {
						w.rest("app")
					}
					held := w.value(secretName(w.get("app")))
					forget(w)
					if c.looked {
						w.sync("OAuth2Client ", "Secret "+registryOfWorld)
						_, err := w.reconcile("app")
						w.must(err)
					}
					w.renameWithALateCache(names[1])
					w.renameWithALateCache(names[2])
					w.rest("app")
					if got := w.value(secretName(w.get("app"))); got != held || held == "" {
						t.Errorf("the value was replaced: %q", w.writes)
					}
					if left := w.names(); len(left) != 1 {
						t.Errorf("Secrets %q are left", left)
					}
				})
			}
		}
	}
}

// TestAnOldSecretUnderTheNewNameGetsTheCurrentValue: it could not be deleted when the client got
// another name, and has a value that was replaced since.
func TestAnOldSecretUnderTheNewNameGetsTheCurrentValue(t *testing.T) {
	t.Parallel()
	for _, overlap := range []v1alpha1.Duration{"0s", "24h"} {
		w := newWorld(t)
		c := clientOfWorld("app")
		c.Spec.Rotation.Overlap = overlap
		w.create(c)
		w.rest("app")
		w.refuse = func(verb string, _ client.Object) error {
			if verb == "delete" {
				return errForbidden
			}
			return nil
		}
		w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "other" })
		w.tries("app", time.Minute, 10*time.Second)
		w.askToRotate("app", "1")
		w.tries("app", time.Minute, 10*time.Second)
		held := w.value("other")
		if held == w.value("app") || !w.accepts("shop.app", held) {
			t.Fatalf("not rotated: %q", w.writes)
		}
		w.refuse = refuseSecrets(errForbidden)
		w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "" })
		w.tries("app", time.Minute, 10*time.Second)
		if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse {
			t.Errorf("overlap %s: the Secret has a value of before, and %+v", overlap, ready)
		}
		w.refuse = nil
		w.rest("app")
		if got := w.value("app"); got != held || len(w.names()) != 1 {
			t.Errorf("overlap %s: Secrets %q, and the value was replaced: %t", overlap, w.names(), got != held)
		}
	}
}

// renameWithALateCache gives the client's Secret another name. The cache may have a Secret that was
// deleted, and lack one that was created.
func (w *world) renameWithALateCache(to string) {
	w.t.Helper()
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = to })
	w.sync("OAuth2Client ", "Secret "+registryOfWorld)
	if _, err := w.reconcile("app"); !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		w.must(err)
	}
}

// TestAFirstSecretThatIsRenamedIsInherited: the manager that created it has ended, and the cache of
// the next one lacks it.
func TestAFirstSecretThatIsRenamedIsInherited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.sync()
	_, err := w.reconcile("app")
	w.must(err)
	held := w.value("app")
	w.start()
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "other" })
	w.sync("OAuth2Client ", "Secret "+registryOfWorld)
	_, err = w.reconcile("app")
	w.must(err)
	w.rest("app")
	if got := w.value("other"); got != held || held == "" || len(w.names()) != 1 {
		t.Errorf("Secrets %q, and the value was replaced: %t", w.names(), got != held)
	}
}

// TestASecretOfAnotherManagerIsInherited: the registration was lost, and a manager whose cache
// lacks the client's Secret registered a first secret that could not be written.
func TestASecretOfAnotherManagerIsInherited(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"", "other"} {
		w := newWorld(t)
		w.create(clientOfWorld("app"))
		w.sync("OAuth2Client ")
		_, err := w.reconcile("app")
		w.must(err)
		held := w.value("app")
		_, lost := w.registered("shop.app")
		w.must(w.server.Delete(t.Context(), lost))
		w.start()
		if _, err := w.reconcile("app"); err == nil || w.accepts("shop.app", held) {
			t.Fatalf("the value is registered: %v, %q", err, w.writes)
		}
		w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = to })
		w.sync("OAuth2Client ", "Secret "+registryOfWorld)
		_, _ = w.reconcile("app")
		w.rest("app")
		if got := w.value(secretName(w.get("app"))); got != held || held == "" || len(w.names()) != 1 || !w.accepts("shop.app", held) {
			t.Errorf("renamed to %q: Secrets %q, and the value was replaced: %t", to, w.names(), got != held)
		}
	}
}

// TestAnOlderFormerSecretHidesNoNewerOne: it could not be deleted, and has a value that was
// replaced since. The registration was restored without names.
func TestAnOlderFormerSecretHidesNoNewerOne(t *testing.T) {
	t.Parallel()
	// whether there is an edited Secret under the last name
	for _, edited := range []bool{false, true} {
		t.Run(fmt.Sprint("the name is that of an edited Secret: ", edited), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := clientOfWorld("app")
			c.Spec.Rotation.Overlap = "24h"
			w.create(c)
			w.rest("app")
			w.refuse = func(verb string, _ client.Object) error {
				if verb == "delete" || verb == "status" {
					return errForbidden
				}
				return nil
			}
			rename := func(to string) {
				w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = to })
				w.tries("app", time.Minute, 10*time.Second)
			}
			if edited {
				rename("third")
			}
			rename("other")
			w.askToRotate("app", "1")
			w.tries("app", time.Minute, 10*time.Second)
			held := w.value("other")
			if held == w.value("app") || !w.accepts("shop.app", held) || !w.accepts("shop.app", w.value("app")) {
				t.Fatalf("not rotated: %q", w.writes)
			}
			if s := w.secret("third"); s != nil {
				s.Data[keyClientSecret] = []byte("scribble")
				w.must(w.server.Update(t.Context(), s))
			}
			_, restored := w.registered("shop.app")
			delete(restored.Annotations, annotationNames)
			w.must(w.server.Update(t.Context(), restored))
			w.refuse = nil
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "third" })
			w.rest("app")
			if got := w.value("third"); got != held || len(w.names()) != 1 {
				t.Errorf("Secrets %q, and the value was replaced: %t", w.names(), got != held)
			}
		})
	}
}

// TestASecretIsInheritedAfterANameThatCouldNotBeUsed: the client had a name that others have, so
// that its own Secret kept another one. The registration was restored without names, and the cache
// lacks that Secret.
func TestASecretIsInheritedAfterANameThatCouldNotBeUsed(t *testing.T) {
	t.Parallel()
	// whether there is a reconcile after the restore
	for _, looked := range []bool{false, true} {
		t.Run(fmt.Sprint("reconciled in between: ", looked), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.must(w.server.Create(t.Context(), &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "taken", UID: "taken"}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"a": []byte("b")},
			}))
			w.create(clientOfWorld("app"))
			w.rest("app")
			_, backup := w.registered("shop.app") // without names
			w.renameWithALateCache("other")
			held := w.value("other")
			w.renameWithALateCache("taken")
			if ready := w.condition("app", v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonSecretConflict {
				t.Fatalf("Ready is %+v", ready)
			}
			if got := w.get("app").Status.Secret.Name; got != "other" || held == "" {
				t.Errorf("the status has the Secret %q, and the credentials are in %q", got, "other")
			}
			w.putBack(backup)
			if looked {
				w.sync("OAuth2Client ", "Secret "+registryOfWorld)
				_, err := w.reconcile("app")
				w.must(err)
			}
			w.renameWithALateCache("third")
			w.rest("app")
			if got := w.value("third"); got != held {
				t.Errorf("the value was replaced: %q", w.writes)
			}
			if left := w.names(); !slices.Equal(left, []string{"taken", "third"}) {
				t.Errorf("Secrets %q are left", left)
			}
		})
	}
}

// TestWhereTheSecretIsStaysReportedWhileItIsNotRead: what is read decides, where something is.
func TestWhereTheSecretIsStaysReportedWhileItIsNotRead(t *testing.T) {
	conflict := found{obstacle: new(v1alpha1.SecretConflict("b"))}
	forbidding := oauth2.Ceilings{Methods: []string{string(v1alpha1.ByPrivateKeyJWT)}}
	for name, c := range map[string]struct {
		seen     seen
		reported string
		want     bool
	}{
		"others have the new name":         {seen{inRegistry: inRegistry{held: true}, found: conflict}, "a", true},
		"others have the name that it had": {seen{inRegistry: inRegistry{held: true}, found: conflict}, "b", false},
		"it is not registered":             {seen{found: conflict}, "a", false},
		"the Secret is not there":          {seen{inRegistry: inRegistry{held: true}}, "a", false},
		"the Secret is there":              {seen{inRegistry: inRegistry{held: true}, found: found{object: &corev1.Secret{}}}, "a", false},
		"another obstacle":                 {seen{inRegistry: inRegistry{held: true}, found: found{obstacle: new(v1alpha1.SecretKeyNotFound("b", "k"))}}, "a", false},
		"a policy forbids the method":      {seen{inRegistry: inRegistry{held: true}, ceilings: forbidding}, "b", true},
	} {
		app := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
		app.Spec.Secret.Name, app.Status.Secret.Name = "b", c.reported
		if got := c.seen.isWhereReported(app); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

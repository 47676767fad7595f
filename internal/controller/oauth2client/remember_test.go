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

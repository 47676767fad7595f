// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// newLate returns an API server with one Refreshing token, and a reconcile of its manager after the
// cache got the objects whose keys begin with one of the prefixes, or all.
func newLate(t *testing.T) (w *world, look func(prefixes ...string) error) {
	t.Helper()
	w = newWorld(t)
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy"}}
	object.Spec.ClientRef.Name, object.Spec.Mode = "app", v1alpha1.TokenRefreshing
	w.create(object)
	m := w.managers[0]
	return w, func(prefixes ...string) error {
		m.cache.Sync(prefixes...)
		_, err := m.Reconcile(t.Context(), w.object())
		m.backoff.End(legacy)
		return err
	}
}

// rename gives the Secret of the token another name.
func (w *world) rename(to string) {
	edit(w, &v1alpha1.OAuth2Token{}, "shop", "legacy", func(o *v1alpha1.OAuth2Token) { o.Spec.Secret.Name = to })
}

// TestALateRecordLosesNoNewerToken: a Secret gets another name twice, and the cache does not have
// the record of the token that was made in between, because a user had deleted the Secret of
// before.
func TestALateRecordLosesNoNewerToken(t *testing.T) {
	t.Parallel()
	w, look := newLate(t)
	w.server.Must(look())
	former := w.secret("shop", "legacy")
	w.server.Must(w.server.Delete(t.Context(), former.DeepCopy()))
	w.rename("third")
	w.server.Must(look("OAuth2Token ", "Secret "+registryOfWorld))
	newest := string(w.secret("shop", "third").Data[keyToken])
	former.ResourceVersion = ""
	w.server.Must(w.server.Create(t.Context(), former))
	w.rename("second")
	if err := look("OAuth2Token ", "Secret shop/"); !apierrors.IsConflict(err) {
		t.Errorf("the record of before was taken for that of now: %v", err)
	}
	w.server.Must(look())
	if s := w.secret("shop", "second"); s == nil || string(s.Data[keyToken]) != newest {
		t.Errorf("the newest token is not in the Secret: %q", w.server.Writes)
	}
}

// TestALateCacheLosesNoTokenOfBefore: the Secret gets another name, and the cache does not have the
// one of before, which the status names.
func TestALateCacheLosesNoTokenOfBefore(t *testing.T) {
	t.Parallel()
	w, look := newLate(t)
	w.server.Must(look())
	token := string(w.secret("shop", "legacy").Data[keyToken])
	w.rename("second")
	w.server.Must(look("OAuth2Token ", "Secret "+registryOfWorld))
	if got := string(w.secret("shop", "second").Data[keyToken]); got != token {
		t.Errorf("the token is another one: %q", w.server.Writes)
	}
	w.server.Must(look())
	if w.secret("shop", "legacy") != nil {
		t.Errorf("the former Secret is still there: %q", w.server.Writes)
	}
}

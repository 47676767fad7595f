// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestALateRecordLosesNoNewerToken: a Secret gets another name twice, and the cache does not have
// the record of the token that was made in between.
func TestALateRecordLosesNoNewerToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy"}}
	object.Spec.ClientRef.Name, object.Spec.Mode = "app", v1alpha1.TokenRefreshing
	w.create(object)
	m := w.managers[0]
	look := func(prefixes ...string) error {
		m.cache.Sync(prefixes...)
		_, err := m.Reconcile(t.Context(), w.object())
		m.backoff.End(legacy)
		return err
	}
	rename := func(to string) {
		edit(w, object, "shop", "legacy", func(o *v1alpha1.OAuth2Token) { o.Spec.Secret.Name = to })
	}
	w.server.Must(look())
	rename("third")
	w.server.Must(look("OAuth2Token ", "Secret "+registryOfWorld))
	newest := string(w.secret("shop", "third").Data[keyToken])
	rename("second")
	if err := look("OAuth2Token ", "Secret shop/"); !apierrors.IsConflict(err) {
		t.Errorf("the record of before was taken for that of now: %v", err)
	}
	w.server.Must(look())
	if s := w.secret("shop", "second"); s == nil || string(s.Data[keyToken]) != newest {
		t.Errorf("the newest token is not in the Secret: %q", w.server.Writes)
	}
}

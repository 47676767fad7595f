// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// readCache is a cache that has what a client reads.
type readCache struct {
	cache.Cache

	from client.Reader
}

func (c readCache) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	return c.from.Get(ctx, key, into, options...)
}

func (c readCache) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	return c.from.List(ctx, into, options...)
}

// TestTheNewestTokenIsInherited: a former Secret that could not be deleted has an older token. The
// older one would end the newer one, which readers hold.
func TestTheNewestTokenIsInherited(t *testing.T) {
	for name, c := range map[string]struct {
		// secrets are the ids of the tokens in the Secrets; that of the object has the name
		// c.
		secrets map[string]string
		behind  bool
		want    string
	}{
		"the token stands under a former name":                  {map[string]string{"a": "new"}, false, "new"},
		"an older one stands under another":                     {map[string]string{"a": "old", "b": "new"}, false, "new"},
		"in another order":                                      {map[string]string{"a": "new", "b": "old"}, false, "new"},
		"the object's Secret has the newest":                    {map[string]string{"a": "old", "c": "new"}, false, "new"},
		"the object's Secret has an older one":                  {map[string]string{"a": "new", "c": "old"}, true, "new"},
		"the newest stands nowhere":                             {map[string]string{"c": "old"}, false, "old"},
		"no token on record stands anywhere":                    {map[string]string{"a": "unknown", "b": "unknown"}, false, ""},
		"the object's Secret was edited: another token is made": {map[string]string{"a": "new", "c": "unknown"}, false, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := errors.Join(v1alpha1.AddToScheme(scheme), clientgoscheme.AddToScheme(scheme)); err != nil {
				t.Fatal(err)
			}
			object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy", UID: "t"}}
			object.Spec.Secret.Name = "c"
			indexed := func(o client.Object) []string { return []string{output.NameOfOwner(o, v1alpha1.AnnotationToken)} }
			builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(object).WithIndex(&corev1.Secret{}, v1alpha1.AnnotationToken, indexed)
			for name, id := range c.secrets {
				builder.WithObjects(&corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: "shop", Name: name, Annotations: map[string]string{v1alpha1.AnnotationToken: "legacy"},
						OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "OAuth2Token", Name: "legacy", UID: "t"}},
					},
					Type: v1alpha1.SecretTypeToken, Data: map[string][]byte{keyToken: []byte(valueOf(id).Reveal())},
				})
			}
			cluster := builder.Build()
			d := delivery{Config: &Config{Client: cluster, Live: cluster, Secrets: readCache{from: cluster}}}
			s := &state{record: oauth2.Minted{UID: "t", Tokens: []oauth2.MintedToken{madeAt("old", 0), madeAt("new", 30)}}}
			if err := d.findSecret(t.Context(), object, s); err != nil {
				t.Fatal(err)
			}
			if got, err := d.behind(t.Context(), object, s); err != nil || got != c.behind {
				t.Errorf("behind: %t, %v", got, err)
			}
			if err := d.inherit(t.Context(), object, s); err != nil {
				t.Fatal(err)
			}
			want := oauth2.Secret{}
			if c.want != "" {
				want = valueOf(c.want)
			}
			if s.value.Reveal() != want.Reveal() {
				t.Errorf("got %q, want %q", s.value.Reveal(), want.Reveal())
			}
		})
	}
}

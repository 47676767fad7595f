// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// trim keeps values that begin with hp_, of objects whose owner is app or old.
var trim = Trim{
	Annotation: v1alpha1.AnnotationClient,
	Alive:      func(owner types.NamespacedName) bool { return owner.Name == "app" },
	Value: func(value []byte) []byte {
		if bytes.HasPrefix(value, []byte("hp_")) {
			return value
		}
		return nil
	},
}

func TestWhatACacheKeeps(t *testing.T) {
	large := strings.Repeat("x", 1_000_000)
	secret := func(owner string, data map[string][]byte, note string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "s", UID: "u", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"team": "a"},
			Annotations: map[string]string{}, OwnerReferences: []metav1.OwnerReference{{Name: owner}}, Finalizers: []string{"f"},
		}, Type: v1alpha1.SecretTypeClient, Data: data}
		if owner != "" {
			s.Annotations[v1alpha1.AnnotationClient] = owner
		}
		if note != "" {
			s.Annotations["note"] = note
		}
		return s
	}
	small := map[string][]byte{"client_secret": []byte("hp_1"), "ca.crt": []byte("PEM")}
	kept := secret("app", map[string][]byte{"client_secret": []byte("hp_1"), "ca.crt": nil, entryDigest: digest(small)}, "")
	kept.Generation, kept.Finalizers = 0, nil
	name := func(owner string) *corev1.Secret {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s", UID: "u", ResourceVersion: "7"}, Type: v1alpha1.SecretTypeClient,
			Data: map[string][]byte{entryDigest: {}},
		}
		if owner != "" {
			s.Annotations = map[string]string{v1alpha1.AnnotationClient: owner}
		}
		return s
	}
	unreferred := func(data map[string][]byte) *corev1.Secret {
		s := secret("app", data, "")
		s.Generation, s.Finalizers, s.OwnerReferences = 0, nil, nil
		return s
	}
	stripped := func(data map[string][]byte) *corev1.Secret {
		s := secret("", data, "")
		s.Generation, s.Finalizers = 0, nil
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "hallpass.dev/v1alpha1", Kind: "OAuth2Client", Name: "app"}}
		return s
	}
	for what, c := range map[string]struct{ from, want client.Object }{
		"small values of an object without a reference": {
			unreferred(map[string][]byte{"client_id": []byte("shop.app"), "blob": []byte(large)}),
			unreferred(map[string][]byte{"client_id": []byte("shop.app"), "blob": nil, entryDigest: digest(map[string][]byte{
				"client_id": []byte("shop.app"), "blob": []byte(large),
			})}),
		},
		"an object that refers to its owner and lost its annotation": {
			stripped(small), stripped(map[string][]byte{"client_secret": []byte("hp_1"), "ca.crt": nil, entryDigest: digest(small)}),
		},
		"metadata, a digest and the secrets of an object with an owner": {secret("app", small, ""), kept},
		"a large value is a name and a part of the digest": {
			secret("app", map[string][]byte{"blob": []byte(large)}, ""),
			func() client.Object {
				s := kept.DeepCopy()
				s.Data = map[string][]byte{"blob": nil, entryDigest: digest(map[string][]byte{"blob": []byte(large)})}
				return s
			}(),
		},
		"the name of an object that names no owner":              {secret("", small, ""), name("")},
		"the name of an object whose owner does not exist":       {secret("gone", small, ""), name("gone")},
		"the name of an object with too many values to be read":  {secret("app", map[string][]byte{"a": []byte("hp_" + large)}, ""), name("app")},
		"the name of an object with too large annotations":       {secret("app", small, large), name("app")},
		"the name of an object whose owner's name is too large":  {secret(large, small, ""), name("")},
		"nothing less of what is neither a Secret nor ConfigMap": {&corev1.Pod{}, &corev1.Pod{}},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := trim.Transform(c.from)
			if diff := cmp.Diff(any(c.want), got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A labelled Secret that no client names takes no more than its name.
func TestACacheKeepsTheNameOfAnObjectThatNothingReads(t *testing.T) {
	kept := Trim{
		Used: func(key types.NamespacedName) bool {
			return key == types.NamespacedName{Namespace: "shop", Name: "read"}
		},
		Value: func(value []byte) []byte { return value },
	}
	for name, reduced := range map[string]bool{"read": false, "not-read": true} {
		got, err := kept.Transform(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u", ResourceVersion: "7", Labels: map[string]string{"a": "b"}},
			Data:       map[string][]byte{"client_secret": bytes.Repeat([]byte("x"), 3_000)},
		})
		secret, ok := got.(*corev1.Secret)
		if err != nil || !ok || Reduced(secret) != reduced || (len(secret.Labels) == 0) != reduced || secret.UID != "u" || secret.ResourceVersion != "7" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// trimming is a cache of what it reads from.
type trimming struct{ client.Client }

func (c trimming) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, o, options...); err != nil {
		return err
	}
	trimmed, err := trim.Transform(o)
	switch into := o.(type) {
	case *corev1.Secret:
		*into = *trimmed.(*corev1.Secret) //nolint:errcheck,forcetypeassert // a transform keeps the kind
	case *corev1.ConfigMap:
		*into = *trimmed.(*corev1.ConfigMap) //nolint:errcheck,forcetypeassert // a transform keeps the kind
	}
	return err
}

// TestATrimmedObject is read, compared and written as a whole one is.
func TestATrimmedObject(t *testing.T) {
	data := map[string][]byte{"client_secret": []byte("hp_1"), "ca.crt": []byte("PEM")}
	ours := owned("OAuth2Client", "app", "u1")
	others := func(o client.Object) {
		o.SetLabels(map[string]string{"reloader": "yes", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	}
	with := func(data map[string][]byte) change {
		return func(o client.Object) {
			if s, ok := o.(*corev1.Secret); ok {
				s.Data = data
			}
		}
	}
	large := func(o client.Object) {
		o.SetAnnotations(map[string]string{v1alpha1.AnnotationClient: "app", "note": strings.Repeat("x", maxTrimmed)})
	}
	for what, c := range map[string]struct {
		stored client.Object
		write  map[string][]byte
		writes bool
	}{
		"the same data is not written":                     {secretOf(v1alpha1.SecretTypeClient, annotated("app"), ours, others, with(data)), data, false},
		"other data in an entry that is not kept":          {secretOf(v1alpha1.SecretTypeClient, annotated("app"), ours, others, with(data)), map[string][]byte{"client_secret": []byte("hp_1"), "ca.crt": []byte("new")}, true},
		"another entry":                                    {secretOf(v1alpha1.SecretTypeClient, annotated("app"), ours, others, with(map[string][]byte{"client_secret": []byte("hp_1"), "ca.crt": []byte("PEM"), "x": nil})), data, true},
		"an owner reference is added":                      {secretOf(v1alpha1.SecretTypeClient, annotated("app"), others, with(data)), data, true},
		"an object of which the cache has the name alone":  {secretOf(v1alpha1.SecretTypeClient, large, ours, others, with(data)), data, false},
		"other data in one of which it has the name alone": {secretOf(v1alpha1.SecretTypeClient, large, ours, others, with(nil)), data, true},
	} {
		t.Run(what, func(t *testing.T) {
			target := shop(v1alpha1.SecretTypeClient, c.stored)
			target.Cached = trimming{target.Client}
			before := get(t, target)
			found, err := target.Read(t.Context(), target.Cached)
			if err != nil || found == nil {
				t.Fatal(found, err)
			}
			if _, err := target.Write(t.Context(), found, c.write); err != nil {
				t.Fatal(err)
			}
			after := get(t, target)
			if diff := cmp.Diff(c.write, after.Data); diff != "" {
				t.Error("(-want +got):\n", diff)
			}
			if wrote := after.ResourceVersion != before.ResourceVersion; wrote != c.writes {
				t.Errorf("written is %t, want %t", wrote, c.writes)
			}
			if after.Labels["reloader"] != "yes" || after.Annotations["note"] != before.Annotations["note"] {
				t.Error("a label or an annotation of others was lost")
			}
		})
	}
	t.Run("a change that the cache has not seen is a conflict", func(t *testing.T) {
		target := shop(v1alpha1.SecretTypeClient, secretOf(v1alpha1.SecretTypeClient, annotated("app"), ours, others, with(data)))
		target.Cached = trimming{target.Client}
		found, err := target.Read(t.Context(), target.Cached)
		if err != nil {
			t.Fatal(err)
		}
		changed := get(t, target)
		changed.Data["client_secret"] = []byte("hp_2")
		if err := target.Client.Update(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		if _, err := target.Write(t.Context(), found, map[string][]byte{"client_secret": []byte("hp_3")}); !apierrors.IsConflict(err) {
			t.Errorf("the write ends with %v, want a conflict", err)
		}
		if got := get(t, target); string(got.Data["client_secret"]) != "hp_2" {
			t.Error("the change was written over")
		}
	})
}

func get(t *testing.T, target Target) *corev1.Secret {
	t.Helper()
	var found corev1.Secret
	if err := target.Client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "app"}, &found); err != nil {
		t.Fatal(err)
	}
	return &found
}

// TestNamesAreThoseOfTheOwner with the index that a cache has, which leaves out the name that most
// objects have.
func TestNamesAreThoseOfTheOwner(t *testing.T) {
	record := secretOf("hallpass.dev/registration", named("record"), annotated("app"))
	target := shop(v1alpha1.SecretTypeClient, secretOf(v1alpha1.SecretTypeClient, annotated("app")), record,
		secretOf(v1alpha1.SecretTypeClient, named("former"), annotated("app")), secretOf(v1alpha1.SecretTypeClient, named("other"), annotated("other")))
	objects, err := target.named(t.Context())
	var names []string
	for _, o := range objects {
		names = append(names, o.GetName())
	}
	if slices.Sort(names); err != nil || !slices.Equal(names, []string{"app", "former"}) {
		t.Errorf("%v, %v; want app and former", names, err)
	}
}

// A tenant can put a megabyte of labels, owners and finalizers on an object, which the cache of the
// manager would keep.
func TestTheMetadataOfATenantIsTrimmed(t *testing.T) {
	few, many := map[string]string{"team": "a", "z": ""}, map[string]string{}
	for i := range 10_000 {
		many[fmt.Sprintf("example.com/%05d", i)] = strings.Repeat("x", 63)
	}
	for name, labels := range map[string]map[string]string{"few": few, "many": maps.Clone(many)} {
		o := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{
			UID: "u", Labels: labels, Finalizers: []string{"example.com/f"}, OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
		}}
		if _, err := TrimMetadata(o); err != nil {
			t.Fatal(err)
		}
		length := 0
		for key, value := range o.Labels {
			length += len(key) + len(value)
		}
		if length > maxLabels+317+63 { // of one label
			t.Errorf("%s labels: %d bytes are kept", name, length)
		}
		if name == "many" && length <= registration.MaxSize {
			t.Errorf("of too many labels %d bytes are kept, with which the client could be registered", length)
		}
		if name == "few" && len(o.Labels) != 2 || o.UID != "u" || len(o.Finalizers)+len(o.OwnerReferences) > 0 {
			t.Errorf("%s labels: %v is kept", name, o.ObjectMeta)
		}
	}
}

// TestAnnotationsAreTrimmed to those of Hallpass, and to whether others change.
func TestAnnotationsAreTrimmed(t *testing.T) {
	long := strings.Repeat("x", 1_000)
	trimmed := func(annotations map[string]string) map[string]string {
		got, err := TrimMetadata(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}})
		if err != nil {
			t.Fatal(err)
		}
		return got.(*v1alpha1.OAuth2Client).Annotations //nolint:errcheck,forcetypeassert // a transform keeps the kind
	}
	ours := map[string]string{v1alpha1.AnnotationRotate: "1", "kubectl.kubernetes.io/last-applied-configuration": long}
	if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationRotate: "1"}, trimmed(ours)); diff != "" {
		t.Error("(-want +got):\n", diff)
	}
	first, second := trimmed(map[string]string{v1alpha1.AnnotationRotate: long, "note": long}), trimmed(map[string]string{"note": long + "."})
	if first[v1alpha1.AnnotationRotate] != Short(long) || len(Short(long)) > maxAnnotation || Short(long) == Short(long+".") {
		t.Error("a long value has no digest of its own")
	}
	many := map[string]string{}
	for i := range 1_000 {
		many[fmt.Sprintf("%s/%d", v1alpha1.GroupVersion.Group, i)] = "x"
	}
	if got := trimmed(many); len(got) != 1 {
		t.Errorf("of annotations in the name of Hallpass that nothing reads %d are kept", len(got))
	}
	if _, kept := first["note"]; kept || first[annotationOthers] == second[annotationOthers] {
		t.Error("an annotation of others is kept, or its change does not show")
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Target is the Secret, or the ConfigMap, in which an owner gets its credentials or configuration.
type Target struct {
	// Client writes. Cached reads from a cache that has the objects by the index of
	// IndexByOwner, Live from the API server itself.
	Client       client.Client
	Cached, Live client.Reader

	Owner Owner
	// SecretType is the type of the Secret; empty for a ConfigMap, which has our label in the
	// place of a type.
	SecretType corev1.SecretType
	// Name is the name of the object; empty if the owner has no object of that kind any more.
	Name string
	// Labels and Annotations are those that the user adds.
	Labels      v1alpha1.SecretLabels
	Annotations v1alpha1.SecretAnnotations
	// Generation is the value of AnnotationGeneration; without it the object has no such
	// annotation.
	Generation string
	// Retained objects have no owner reference and outlive their owner.
	Retained bool
	// ClientID is what an object without a reference to the owner has to have in the entry of
	// this name, or not at all. Without a name nothing is compared.
	ClientID, ClientIDEntry string
	// Remembered are the names under which objects were written for the owner, the newest last.
	// What has such a name is the owner's although it has no reference.
	Remembered []string
}

// ErrForeign means that an object has the name of a target and is not its owner's.
var ErrForeign = errors.New("an object of that name is not the owner's")

// errChanged means that an object was changed after the cache got it.
var errChanged = errors.New("it was changed meanwhile")

// Read reads the object; nil if there is none. It returns ErrForeign for an object that is not the
// owner's. What the cache has only the name of is read live.
func (t Target) Read(ctx context.Context, from client.Reader) (client.Object, error) {
	found, _, kind := t.empty()
	err := from.Get(ctx, client.ObjectKey{Namespace: t.Owner.Namespace, Name: t.Name}, found)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", kind, t.Owner.Namespace, t.Name, err)
	}
	if Reduced(found) || t.referredDead(found) {
		return t.Read(ctx, t.Live)
	}
	ours, err := t.marked(found) && !t.speaksOfAnother(found), error(nil)
	if ours {
		ours, err = t.Owner.owns(ctx, t.Live, found)
	}
	switch {
	case err != nil:
		return nil, err
	case !ours:
		return nil, ErrForeign
	}
	return found, nil
}

// written reports whether an object was written for the owner: it refers to this very owner, or has
// a name that is remembered.
func (t Target) written(found client.Object) bool {
	return t.Owner.refers(found) || slices.Contains(t.Remembered, found.GetName())
}

// referredDead reports whether a cache has an object trimmed that refers to an owner of before: its
// content is read live.
func (t Target) referredDead(found client.Object) bool {
	return digestOf(found) != nil && len(found.GetOwnerReferences()) > 0 && !t.Owner.refers(found)
}

// speaksOfAnother reports whether an object that was not written for the owner names another
// client_id, as a copy from elsewhere does. A name is remembered before the object is created, so
// it proves nothing but of an object that is retained, which has no reference.
func (t Target) speaksOfAnother(found client.Object) bool {
	retained := t.Retained && slices.Contains(t.Remembered, found.GetName())
	if t.ClientIDEntry == "" || retained || t.Owner.refers(found) {
		return false
	}
	id, there := Data(found)[t.ClientIDEntry]
	return there && string(id) != t.ClientID
}

// empty is an object and a list to read into, and the kind of the object.
func (t Target) empty() (object client.Object, list client.ObjectList, kind string) {
	if t.SecretType == "" {
		return &corev1.ConfigMap{}, &corev1.ConfigMapList{}, "ConfigMap"
	}
	return &corev1.Secret{}, &corev1.SecretList{}, "Secret"
}

// marked reports whether an object is of our type or has our label. A ConfigMap without the label
// is recognised by an owner reference to the very owner.
func (t Target) marked(found client.Object) bool {
	if secret, ok := found.(*corev1.Secret); ok {
		return secret.Type == t.SecretType
	}
	marked := found.GetLabels()[v1alpha1.LabelClientConfig] == "true"
	for _, owner := range found.GetOwnerReferences() {
		marked = marked || owner.UID == t.Owner.UID
	}
	return marked
}

// Write creates the object with the data, or updates what is ours in stored, which was read before,
// on the version that was read; it is a no-op if stored is the same. It returns the object that is
// stored by now, also with an error. The error is an *Error; it wraps ErrAltered if the API server
// stored other data.
func (t Target) Write(ctx context.Context, stored client.Object, data map[string][]byte) (client.Object, error) {
	wanted := t.render(data)
	var err error
	if stored == nil {
		err = t.Client.Create(ctx, wanted)
	} else {
		KeepOthers(wanted, t.Owner.ofOthers(stored, wanted))
		if sameData(stored, data) && sameMeta(stored, wanted) {
			return stored, nil
		}
		var whole client.Object
		if whole, err = t.whole(ctx, stored); err == nil {
			wanted = t.render(data)
			KeepOthers(wanted, t.Owner.ofOthers(whole, wanted))
			err = t.Client.Update(ctx, wanted)
		}
	}
	if err != nil {
		return stored, t.failed(err, data)
	}
	if err := CheckStored(data, Data(wanted), bytes.Equal); err != nil {
		return wanted, t.failed(err, data)
	}
	return wanted, nil
}

// whole is stored as the API server has it, if a cache has it trimmed: an update would take away
// what was trimmed. Another version is a conflict, because the data was not decided on it.
func (t Target) whole(ctx context.Context, stored client.Object) (client.Object, error) {
	if digestOf(stored) == nil {
		return stored, nil
	}
	return Unchanged(ctx, t.Live, stored)
}

// Unchanged reads a Secret or a ConfigMap live. The error is a conflict if the API server has
// another version than stored, or none.
func Unchanged(ctx context.Context, live client.Reader, stored client.Object) (client.Object, error) {
	var found client.Object = &corev1.Secret{}
	kind := "Secret"
	if _, ok := stored.(*corev1.ConfigMap); ok {
		found, kind = &corev1.ConfigMap{}, "ConfigMap"
	}
	err := live.Get(ctx, client.ObjectKeyFromObject(stored), found)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read %s %s/%s: %w", kind, stored.GetNamespace(), stored.GetName(), err)
	}
	if err != nil || found.GetUID() != stored.GetUID() || found.GetResourceVersion() != stored.GetResourceVersion() {
		return nil, apierrors.NewConflict(corev1.Resource(kind), stored.GetName(), errChanged) //nolint:wrapcheck // callers wrap it
	}
	return found, nil
}

func (t Target) render(data map[string][]byte) client.Object {
	rendered := metaOf(t.Owner, t.Name, t.Labels, t.Annotations)
	if t.Generation != "" {
		rendered.Annotations[v1alpha1.AnnotationGeneration] = t.Generation
	}
	if !t.Retained {
		rendered.OwnerReferences = []metav1.OwnerReference{t.Owner.reference(t.Client.RESTMapper())}
	}
	if t.SecretType != "" {
		return &corev1.Secret{ObjectMeta: rendered, Type: t.SecretType, Data: maps.Clone(data)}
	}
	rendered.Labels[v1alpha1.LabelClientConfig] = "true"
	text := make(map[string]string, len(data))
	for entry, value := range data {
		text[entry] = string(value)
	}
	return &corev1.ConfigMap{ObjectMeta: rendered, Data: text}
}

// Data is the data of a Secret or a ConfigMap; nil if there is none.
func Data(o client.Object) map[string][]byte {
	switch o := o.(type) {
	case *corev1.Secret:
		return o.Data
	case *corev1.ConfigMap:
		data := make(map[string][]byte, len(o.Data)+len(o.BinaryData))
		maps.Copy(data, o.BinaryData)
		for entry, value := range o.Data {
			data[entry] = []byte(value)
		}
		return data
	}
	return nil
}

// IndexByOwner indexes objects by the owner that they name in an annotation, as Names needs it.
func IndexByOwner(ctx context.Context, indexer client.FieldIndexer, object client.Object, annotation string) error {
	if err := indexer.IndexField(ctx, object, annotation, byOwner(annotation)); err != nil {
		return fmt.Errorf("index %T by %s: %w", object, annotation, err)
	}
	return nil
}

// byOwner leaves out the objects with the name of their owner, which most have, and which are found
// by it; and the records of the registry.
func byOwner(annotation string) client.IndexerFunc {
	return func(o client.Object) []string {
		owner := NameOfOwner(o, annotation)
		secret, ok := o.(*corev1.Secret)
		if owner == "" || owner == o.GetName() || ok && secret.Type != v1alpha1.SecretTypeClient && secret.Type != v1alpha1.SecretTypeToken {
			return nil
		}
		return []string{owner}
	}
}

// named are the objects that name the owner, from the cache.
func (t Target) named(ctx context.Context) ([]client.Object, error) {
	ofName, list, kind := t.empty()
	if err := t.Cached.List(ctx, list, client.InNamespace(t.Owner.Namespace), client.MatchingFields{t.Owner.Annotation: t.Owner.Name}); err != nil {
		return nil, fmt.Errorf("list the %ss of %s %s: %w", kind, t.Owner.Kind, t.Owner, err)
	}
	var objects []client.Object
	err := meta.EachListItem(list, func(item runtime.Object) error {
		if o, ok := item.(client.Object); ok {
			objects = append(objects, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the %ss of %s %s: %w", kind, t.Owner.Kind, t.Owner, err)
	}
	err = t.Cached.Get(ctx, t.Owner.NamespacedName, ofName)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, t.Owner.NamespacedName, err)
	}
	isOfName := func(o client.Object) bool { return o.GetName() == t.Owner.Name }
	if err == nil && NameOfOwner(ofName, t.Owner.Annotation) == t.Owner.Name && !slices.ContainsFunc(objects, isOfName) {
		objects = append(objects, ofName)
	}
	return objects, nil
}

// Known reports whether the cache has an object that names the owner.
func (t Target) Known(ctx context.Context) (bool, error) {
	objects, err := t.named(ctx)
	return len(objects) > 0, err
}

// Former are the objects that were written for the owner under names that it does not use any more,
// read live, the newest first. Copies are the names of other objects that name the owner. They are
// found by their own annotations and by the names that are remembered: status is never an input.
func (t Target) Former(ctx context.Context) (former []client.Object, copies []string, err error) {
	var names []string
	if t.Name != "" { // otherwise the names are those of objects of the other kind, most likely
		names = slices.Clone(t.Remembered)
		slices.Reverse(names)
	}
	objects, err := t.named(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range objects {
		switch {
		case o.GetName() == t.Name || slices.Contains(names, o.GetName()):
		case Reduced(o) || t.written(o):
			names = append(names, o.GetName())
		default:
			copies = append(copies, o.GetName())
		}
	}
	former, err = t.readFormer(ctx, names)
	return former, copies, err
}

// readFormer reads those of the names that are not the target's.
func (t Target) readFormer(ctx context.Context, names []string) ([]client.Object, error) {
	var former []client.Object
	named := t
	for _, named.Name = range names {
		if named.Name == t.Name {
			continue
		}
		found, err := named.Read(ctx, t.Live)
		switch {
		case errors.Is(err, ErrForeign):
		case err != nil:
			return former, err
		case found != nil && t.written(found):
			former = append(former, found)
		}
	}
	return former, nil
}

// RemoveFormer deletes the objects that Former finds, and returns the copies. The credentials are
// in current by now, unless it is nil. The error is a conflict if that is not what the API server
// has: after a name was changed and changed back, a late cache may still have what was deleted in
// between.
func (t Target) RemoveFormer(ctx context.Context, current client.Object) (copies []string, err error) {
	former, copies, err := t.Former(ctx)
	if err != nil || len(former) == 0 {
		return copies, err
	}
	if current != nil {
		if _, err := Unchanged(ctx, t.Live, current); err != nil {
			return copies, err
		}
	}
	for _, o := range former {
		if err := Delete(ctx, t.Client, o); err != nil {
			return copies, err
		}
	}
	return copies, nil
}

// Inherit finds a value in the objects that Former finds: an object that only gets another name
// needs no other value in it. Its entry may have had another name, too.
func (t Target) Inherit(ctx context.Context, valid func(from client.Object, value oauth2.Secret) bool) (oauth2.Secret, error) {
	former, _, err := t.Former(ctx)
	if err != nil {
		return oauth2.Secret{}, err
	}
	for _, o := range former {
		value := find(Data(o), func(value oauth2.Secret) bool { return valid(o, value) })
		if !value.Empty() {
			return value, nil
		}
	}
	return oauth2.Secret{}, nil
}

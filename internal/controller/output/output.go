// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package output is what the reconcilers share who write Secrets and ConfigMaps into users'
// namespaces: whose such an object is, whether it has the desired content, and the entries that
// users' templates add. What is not known to be ours is never touched.
package output

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/packed"
)

// Owner is a custom resource for which something is written.
type Owner struct {
	types.NamespacedName

	// Annotation is the annotation by which what is written for the object names it.
	Kind, Annotation string
	UID              types.UID
	// Generation is that of the object as the cache has it; 0 if it does not matter.
	Generation int64
}

// reference has the garbage collector remove what is written. It keeps no owner from being deleted.
// Its version is the one that the API server prefers: by a version that is served no more, the
// garbage collector would find no owner and never remove what is written for it.
func (o Owner) reference(served meta.RESTMapper) metav1.OwnerReference {
	version := v1alpha1.GroupVersion
	if mapping, err := served.RESTMapping(version.WithKind(o.Kind).GroupKind()); err == nil {
		version = mapping.GroupVersionKind.GroupVersion()
	}
	return metav1.OwnerReference{
		APIVersion: version.String(), Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: new(true), BlockOwnerDeletion: new(false),
	}
}

// sameKind reports whether a reference is to an object of the owner's kind.
func (o Owner) sameKind(reference metav1.OwnerReference) bool {
	return reference.Kind == o.Kind && strings.HasPrefix(reference.APIVersion, v1alpha1.GroupVersion.Group+"/")
}

// NameOfOwner is the name of an object's owner: the one that it names in an annotation of Hallpass,
// or refers to if that was stripped of it.
func NameOfOwner(o client.Object, annotation string) string {
	if name := o.GetAnnotations()[annotation]; name != "" {
		return name
	}
	of := Owner{Kind: "OAuth2Client"}
	if annotation == v1alpha1.AnnotationToken {
		of.Kind = "OAuth2Token"
	}
	for _, owner := range o.GetOwnerReferences() {
		if of.sameKind(owner) {
			return owner.Name
		}
	}
	return ""
}

// refers reports whether an object has a reference to this very owner.
func (o Owner) refers(found client.Object) bool {
	return slices.ContainsFunc(found.GetOwnerReferences(), func(owner metav1.OwnerReference) bool { return owner.UID == o.UID })
}

// owns decides whether an object is the owner's: by a reference to this very owner, or by
// annotation where that is missing or dead. Backup tools strip owner references and change UIDs.
// Others may own it too, if it refers to this owner; an object that refers or referred to another
// one of the kind is never adopted.
func (o Owner) owns(ctx context.Context, live client.Reader, found client.Object) (bool, error) {
	referred := o.refers(found)
	if named := found.GetAnnotations()[o.Annotation]; named != o.Name && (named != "" || !referred) {
		return false, nil
	}
	for _, owner := range found.GetOwnerReferences() {
		switch {
		case owner.UID == o.UID:
		case !referred && (!o.sameKind(owner) || owner.Name != o.Name):
			return false, nil
		case o.sameKind(owner):
			other, err := read(ctx, live, o.Kind, types.NamespacedName{Namespace: o.Namespace, Name: owner.Name})
			if err != nil || other != nil && other.UID == owner.UID {
				return false, err
			}
		}
	}
	return true, nil
}

// read reads the metadata of one of our objects from the API server itself; nil if there is none.
func read(ctx context.Context, live client.Reader, kind string, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	err := live.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s %s: %w", kind, key, err)
	}
	return object, nil
}

// Gone reports whether the API server has no object of that name and UID any more. An error is no
// answer.
func Gone(ctx context.Context, live client.Reader, kind string, key types.NamespacedName, uid string) (bool, error) {
	found, err := read(ctx, live, kind, key)
	return err == nil && (found == nil || string(found.UID) != uid), err
}

// ErrGone means that the owner was deleted while it was reconciled.
var ErrGone = errors.New("the object was deleted meanwhile")

// CheckAlive returns ErrGone if the owner has been deleted, which the cache may not show yet, and a
// conflict if its spec is another one by now.
func (o Owner) CheckAlive(ctx context.Context, live client.Reader) error {
	found, err := read(ctx, live, o.Kind, o.NamespacedName)
	if err == nil && (found == nil || found.UID != o.UID || !found.DeletionTimestamp.IsZero()) {
		return ErrGone
	}
	if err == nil && o.Generation != 0 && found.Generation != o.Generation {
		kind := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: o.Kind}
		return apierrors.NewConflict(kind, o.Name, errChanged) //nolint:wrapcheck // callers wrap it
	}
	return err
}

// Version is the version that a cache has of an object, which is read into o; "" if there is none.
func Version(ctx context.Context, from client.Reader, o client.Object, key types.NamespacedName) string {
	if err := from.Get(ctx, key, o, client.UnsafeDisableDeepCopy); err != nil {
		return ""
	}
	return o.GetResourceVersion()
}

// Delete deletes an object as it was read; it is a no-op if there is none.
func Delete(ctx context.Context, c client.Client, o client.Object) error {
	err := c.Delete(ctx, o, client.Preconditions{UID: new(o.GetUID()), ResourceVersion: new(o.GetResourceVersion())})
	if client.IgnoreNotFound(err) != nil {
		kind, _ := c.GroupVersionKindFor(o)
		return fmt.Errorf("delete %s %s: %w", kind.Kind, client.ObjectKeyFromObject(o), err)
	}
	return nil
}

// SecretCache is a cache of the Secrets that are selected, in some namespaces or, without any, in
// all.
func SecretCache(mgr ctrl.Manager, informers *packed.Informers, selected cache.ByObject, namespaces []string) (cache.Cache, error) {
	selected.Namespaces = map[string]cache.Config{}
	for _, namespace := range namespaces {
		selected.Namespaces[namespace] = cache.Config{}
	}
	if len(namespaces) == 0 {
		selected.Namespaces[cache.AllNamespaces] = cache.Config{}
	}
	secrets, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		NewInformer: informers.New, DefaultUnsafeDisableDeepCopy: new(true), ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: selected},
	})
	if err != nil {
		return nil, fmt.Errorf("prepare a cache of Secrets: %w", err)
	}
	if err := mgr.Add(secrets); err != nil {
		return nil, fmt.Errorf("start a cache of Secrets: %w", err)
	}
	return secrets, nil
}

// ErrAltered is wrapped by the error of a write whose data the API server stored otherwise, because
// a policy engine changes it. Such a write is a failure, or repairing it would have no end.
var ErrAltered = errors.New("an admission policy or webhook of the cluster changes its data; exempt it there")

// CheckStored wraps ErrAltered if the data in an answer is not what was sent.
func CheckStored[V any](sent, stored map[string]V, equal func(V, V) bool) error {
	if maps.EqualFunc(sent, stored, equal) {
		return nil
	}
	return ErrAltered
}

// Error means that a user's Secret or ConfigMap could not be written. Its message is for the user,
// and has none of the values that were to be written.
type Error struct {
	kind, name string
	err        error
	// words is the message of err.
	words string
}

// failed is the error of a write of data. A policy or a webhook may quote what it refuses.
func (t Target) failed(err error, data map[string][]byte) *Error {
	_, _, kind := t.empty()
	return &Error{kind: kind, name: t.Name, err: err, words: cut(redact(wordsOf(err), data)) + remedy(err)}
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.attempt(), e.words) }
func (e *Error) Unwrap() error { return e.err }

func (e *Error) attempt() string { return fmt.Sprintf("write %s %q", e.kind, e.name) }

// KeyCACertificate is the default name of the entry with the CA, here and in the ConfigMap that it
// comes from.
const KeyCACertificate = "ca.crt"

// ReadCA reads the CA that is needed to trust the issuer from its ConfigMap. A zero key means that
// the certificate is not ours. The condition reports that the CA does not exist yet; a watch
// announces it.
func ReadCA(ctx context.Context, from client.Reader, bundle types.NamespacedName) (string, *metav1.Condition, error) {
	if bundle.Name == "" {
		return "", nil, nil
	}
	var found corev1.ConfigMap
	err := from.Get(ctx, bundle, &found)
	if apierrors.IsNotFound(err) {
		return "", new(v1alpha1.Progressing("write the Secret, because the token server has no certificate authority")), nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("read the CA of the token server: %w", err)
	}
	return found.Data[KeyCACertificate], nil, nil
}

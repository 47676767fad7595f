// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// entryDigest is an entry that a cache adds to the data of a trimmed object: the digest of the
// data, or nothing where the object is reduced to its name. No Secret and no ConfigMap can have an
// entry of this name.
const entryDigest = "\x00digest"

// maxTrimmed bounds what a cache keeps of an object, in bytes. Users choose the entries, the labels
// and the annotations; beyond this bound the API server is asked for the object whenever it is
// read.
const maxTrimmed = 4 << 10

// Trim is what a cache keeps of Secrets and ConfigMaps in the namespaces of users, who can create
// as many as they like, each of up to a megabyte.
type Trim struct {
	// Annotation is the annotation by which an object names its owner; empty for objects that
	// name none.
	Annotation string
	// Alive reports whether the cache has an owner of that name. Without it every owner that is
	// named counts.
	Alive func(types.NamespacedName) bool
	// Used reports, for objects that name no owner, whether anything reads an object of that
	// name. Without it each is read.
	Used func(types.NamespacedName) bool
	// Value returns what is kept of the value of an entry.
	Value func(value []byte) []byte
}

// Transform implements toolscache.TransformFunc. Of an object with an owner it keeps the metadata,
// a digest of the data, and the values that are read. Of an object without one, or that nothing
// reads, it keeps the name: an owner that comes later finds that there is an object, and reads it
// from the API server.
func (t Trim) Transform(from any) (any, error) {
	var trimmed client.Object
	data := map[string][]byte{}
	switch o := from.(type) {
	case *corev1.Secret:
		for name, value := range o.Data {
			if data[name] = slices.Clone(t.Value(value)); t.unreferred(o) && len(value) <= maxUnreferred {
				data[name] = slices.Clone(value)
			}
		}
		data[entryDigest] = digest(o.Data)
		trimmed = &corev1.Secret{ObjectMeta: *metaToKeep(o), Type: o.Type, Data: data}
	case *corev1.ConfigMap:
		data[entryDigest] = digest(Data(o))
		trimmed = &corev1.ConfigMap{ObjectMeta: *metaToKeep(o), BinaryData: data}
	default:
		return from, nil
	}
	if !t.owned(trimmed) || sizeOf(trimmed, data) > maxTrimmed {
		t.reduce(trimmed)
	}
	return trimmed, nil
}

// maxUnreferred bounds what is kept of an entry of a Secret without owner references, in bytes:
// such a Secret is its owner's only if it names the owner, in its client_id too.
const maxUnreferred = 256

func (t Trim) unreferred(o client.Object) bool {
	return t.Annotation != "" && len(o.GetOwnerReferences()) == 0
}

// annotationOthers is an annotation that a cache adds to an object of Hallpass: a digest of those
// that others put there.
const annotationOthers = "\x00others"

// maxAnnotation bounds an annotation of Hallpass that is read, in bytes.
const maxAnnotation = 256

// Short is the value of an annotation, or a digest of one too long to be stored.
func Short(value string) string {
	if len(value) <= maxAnnotation {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// maxLabels is the length of the labels beyond which a cache keeps no further one: a client whose
// labels have it is too large to be registered, and one that was registered before is read live. It
// is registration.MaxSize.
const maxLabels = 16 << 10

// TrimMetadata implements toolscache.TransformFunc for the objects that users write for us, whose
// metadata may have a megabyte. It keeps the annotations that are read, of others whether they
// change, labels up to maxLabels, and neither owners nor finalizers.
func TrimMetadata(from any) (any, error) {
	o, ok := from.(client.Object)
	if !ok {
		return from, nil
	}
	o.SetOwnerReferences(nil)
	o.SetFinalizers(nil)
	trimLabels(o)
	if len(o.GetAnnotations()) == 0 {
		return from, nil
	}
	kept, others := map[string]string{}, map[string][]byte{}
	for name, value := range o.GetAnnotations() {
		if name == v1alpha1.AnnotationRotate || name == v1alpha1.AnnotationRotateWithoutOverlap {
			kept[name] = Short(value)
		} else if name != corev1.LastAppliedConfigAnnotation && name != annotationOthers {
			others[name] = []byte(value)
		}
	}
	if len(others) > 0 {
		kept[annotationOthers] = hex.EncodeToString(digest(others))
	}
	o.SetAnnotations(kept)
	return o, nil
}

// trimLabels keeps the first labels in the order of their keys, until they have more than
// maxLabels.
func trimLabels(o client.Object) {
	labels, length := o.GetLabels(), 0
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if length > maxLabels {
			delete(labels, key)
			continue
		}
		length += len(key) + len(labels[key])
	}
	o.SetLabels(labels)
}

// LabelsAreCut reports whether a cache may have dropped labels of an object.
func LabelsAreCut(o client.Object) bool {
	length := 0
	for key, value := range o.GetLabels() {
		length += len(key) + len(value)
	}
	return length > maxLabels
}

// owned reports whether an object has an owner.
func (t Trim) owned(o client.Object) bool {
	if t.Annotation == "" {
		return t.Used == nil || t.Used(client.ObjectKeyFromObject(o))
	}
	owner := NameOfOwner(o, t.Annotation)
	return owner != "" && (t.Alive == nil || t.Alive(types.NamespacedName{Namespace: o.GetNamespace(), Name: owner}))
}

// reduce leaves the name, the UID, the version, the type, and the name of the owner, by which it is
// woken.
func (t Trim) reduce(o client.Object) {
	var annotations map[string]string
	if owner := NameOfOwner(o, t.Annotation); t.Annotation != "" && owner != "" && len(owner) < maxTrimmed {
		annotations = map[string]string{t.Annotation: owner}
	}
	meta := metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(), Annotations: annotations,
	}
	reduced := map[string][]byte{entryDigest: {}}
	switch o := o.(type) {
	case *corev1.Secret:
		o.ObjectMeta, o.Data = meta, reduced
	case *corev1.ConfigMap:
		o.ObjectMeta, o.BinaryData = meta, reduced
	}
}

func metaToKeep(o client.Object) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion(),
		DeletionTimestamp: o.GetDeletionTimestamp(), Labels: o.GetLabels(), Annotations: o.GetAnnotations(), OwnerReferences: o.GetOwnerReferences(),
	}
}

func sizeOf(o client.Object, data map[string][]byte) int {
	size := 0
	for _, texts := range []map[string]string{o.GetLabels(), o.GetAnnotations()} {
		for key, value := range texts {
			size += len(key) + len(value)
		}
	}
	for _, owner := range o.GetOwnerReferences() {
		size += len(owner.APIVersion) + len(owner.Kind) + len(owner.Name) + len(owner.UID)
	}
	for name, value := range data {
		size += len(name) + len(value)
	}
	return size
}

// digest is a hash of all entries. Each text has its length before it.
func digest(data map[string][]byte) []byte {
	hash := sha256.New()
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(data)) {
		text = binary.AppendUvarint(text[:0], uint64(len(name)))
		text = binary.AppendUvarint(append(text, name...), uint64(len(data[name])))
		hash.Write(text)
		hash.Write(data[name])
	}
	return hash.Sum(nil)
}

// digestOf is the digest that a cache has of the data of an object: nil if the object is whole, and
// empty if it is reduced to its name.
func digestOf(o client.Object) []byte {
	switch o := o.(type) {
	case *corev1.Secret:
		return o.Data[entryDigest]
	case *corev1.ConfigMap:
		return o.BinaryData[entryDigest]
	}
	return nil
}

// Reduced reports whether a cache has no more of an object than its name.
func Reduced(o client.Object) bool {
	d := digestOf(o)
	return d != nil && len(d) == 0
}

// sameData reports whether an object, which may be trimmed, has that data.
func sameData(o client.Object, data map[string][]byte) bool {
	if d := digestOf(o); d != nil {
		return bytes.Equal(d, digest(data))
	}
	return maps.EqualFunc(Data(o), data, bytes.Equal)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package late is an API server in memory for random histories of a reconciler, and caches of it
// that are late: a cache has what was synced last. Writes can be refused, be done without an
// answer, and be preceded by the writes of another manager.
package late

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	clientgotesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// UnansweredError is the error of a write that is done and is not answered.
type UnansweredError struct{ error }

// NewUnansweredError returns an UnansweredError with the error that the caller gets.
func NewUnansweredError(err error) UnansweredError { return UnansweredError{err} }

// Server is an API server. Its client is that of users, whose writes are never refused.
type Server struct {
	client.WithWatch

	// Writes are those that managers have tried.
	Writes []string
	// Refuse, if set, refuses a write of a manager. With a UnansweredError the write is done.
	Refuse func(verb string, o client.Object) error
	// Before, if set, is called before a write of a manager, and Done after one that is done.
	Before, Done func(verb string, o client.Object)

	t testing.TB
	// stored are the objects. To read them from the client takes JSON, and most of the time of
	// a history.
	stored clientgotesting.ObjectTracker
	kinds  map[schema.GroupVersionResource]string
	uids   int
}

// NewServer returns a Server without objects.
func NewServer(t testing.TB) *Server {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	// Managed fields would take even more of the time, and nothing reads them.
	stored := clientgotesting.NewObjectTracker(scheme, serializer.NewCodecFactory(scheme).UniversalDecoder())
	// What is created again begins after the last version of what was deleted.
	server := fake.NewClientBuilder().WithScheme(scheme).WithGlobalResourceVersionCounter().WithObjectTracker(stored).
		WithStatusSubresource(&v1alpha1.OAuth2Client{}, &v1alpha1.OAuth2Resource{}, &v1alpha1.OAuth2Token{}).Build()
	return &Server{t: t, WithWatch: server, stored: stored, kinds: map[schema.GroupVersionResource]string{
		corev1.SchemeGroupVersion.WithResource("secrets"):     "Secret",
		corev1.SchemeGroupVersion.WithResource("configmaps"):  "ConfigMap",
		v1alpha1.GroupVersion.WithResource("oauth2clients"):   "OAuth2Client",
		v1alpha1.GroupVersion.WithResource("oauth2resources"): "OAuth2Resource",
		v1alpha1.GroupVersion.WithResource("oauth2tokens"):    "OAuth2Token",
	}}
}

// Must fails the test with an error.
func (s *Server) Must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Identify gives an object a UID of its own.
func (s *Server) Identify(o client.Object) {
	s.uids++
	o.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", s.uids)))
}

// kind is what an object or a list has in the keys of a cache.
func (s *Server) kind(o runtime.Object) string {
	kinds, _, err := s.Scheme().ObjectKinds(o)
	s.Must(err)
	return strings.TrimSuffix(kinds[0].Kind, "List")
}

// Key names an object: its kind, namespace and name.
func (s *Server) Key(o client.Object) string {
	return s.kind(o) + " " + o.GetNamespace() + "/" + o.GetName()
}

// All calls do with each object of a kind in a namespace, or in all.
func (s *Server) All(kind, namespace string, do func(client.Object)) {
	s.t.Helper()
	for resource, of := range s.kinds {
		if of != kind {
			continue
		}
		list, err := s.stored.List(resource, resource.GroupVersion().WithKind(kind), namespace)
		s.Must(err)
		s.Must(meta.EachListItem(list, func(item runtime.Object) error {
			if o, ok := item.(client.Object); ok {
				do(o)
			}
			return nil
		}))
	}
}

// Object is a pointer to an object.
type Object interface {
	comparable
	client.Object
}

// Find returns an object; nil if there is none.
func Find[T Object](s *Server, like T, namespace, name string) T {
	s.t.Helper()
	var none T
	for resource, kind := range s.kinds {
		if kind != s.kind(like) {
			continue
		}
		found, err := s.stored.Get(resource, namespace, name)
		if apierrors.IsNotFound(err) {
			return none
		}
		s.Must(err)
		o, _ := found.(T)
		return o
	}
	return none
}

// write does a write of a manager, or refuses it.
func (s *Server) write(verb string, o client.Object, do func(client.Object) error) error {
	if s.Before != nil {
		s.Before(verb, o)
	}
	line := verb + " " + s.Key(o)
	if s.Refuse != nil {
		var unanswered UnansweredError
		switch err := s.Refuse(verb, o); {
		case errors.As(err, &unanswered):
			s.Writes = append(s.Writes, line+" not answered")
			copied, _ := o.DeepCopyObject().(client.Object)
			if err := do(copied); err != nil {
				return err
			}
			s.done(verb, copied)
			return unanswered.error
		case err != nil:
			s.Writes = append(s.Writes, line+" refused")
			return err
		}
	}
	err := do(o)
	if s.Writes = append(s.Writes, line); err == nil {
		s.done(verb, o)
	}
	return err
}

func (s *Server) done(verb string, o client.Object) {
	if s.Done != nil {
		s.Done(verb, o)
	}
}

func (s *Server) create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	s.Identify(o)
	return s.Create(ctx, o, options...)
}

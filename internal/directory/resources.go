// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// resources are the decoded records of declared resources. They change seldom and are read on every request.
type resources struct {
	mu           sync.RWMutex
	bySecret     map[string]*oauth2.Resource
	byName       map[oauth2.ObjectName]*oauth2.Resource
	byIdentifier map[string]*oauth2.Resource
}

// Resource implements oauth2.Resources.
func (d *Directory) Resource(name oauth2.ObjectName) *oauth2.Resource {
	d.resources.mu.RLock()
	defer d.resources.mu.RUnlock()
	return d.resources.byName[name]
}

// ResourceByIdentifier implements oauth2.Resources.
func (d *Directory) ResourceByIdentifier(identifier string) *oauth2.Resource {
	d.resources.mu.RLock()
	defer d.resources.mu.RUnlock()
	return d.resources.byIdentifier[identifier]
}

// put takes the record of a Secret; nil removes it.
func (r *resources) put(secretName string, resource *oauth2.Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bySecret == nil {
		r.bySecret = map[string]*oauth2.Resource{}
		r.byName = map[oauth2.ObjectName]*oauth2.Resource{}
		r.byIdentifier = map[string]*oauth2.Resource{}
	}
	if before := r.bySecret[secretName]; before != nil {
		delete(r.bySecret, secretName)
		delete(r.byIdentifier, before.Identifier)
		// A resource that was made anew with another identifier stands under its name already.
		if name := (oauth2.ObjectName{Namespace: before.Namespace, Name: before.Name}); r.byName[name] == before {
			delete(r.byName, name)
		}
	}
	if resource != nil {
		r.bySecret[secretName] = resource
		r.byName[oauth2.ObjectName{Namespace: resource.Namespace, Name: resource.Name}] = resource
		r.byIdentifier[resource.Identifier] = resource
	}
}

// keep removes the records of the Secrets that a list did not have.
func (r *resources) keep(listed map[string]bool) {
	r.mu.RLock()
	var gone []string
	for name := range r.bySecret {
		if !listed[name] {
			gone = append(gone, name)
		}
	}
	r.mu.RUnlock()
	for _, name := range gone {
		r.put(name, nil)
	}
}

// all are the records by the names of their Secrets.
func (r *resources) all() map[string]*oauth2.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.bySecret)
}

// fill makes these the records.
func (r *resources) fill(records map[string]*oauth2.Resource) {
	for name, resource := range records {
		r.put(name, resource)
	}
}

// declare takes the record of a resource. One that cannot be read, or that stands under a name that is not its own, grants nothing.
func (s secretStore) declare(secret *corev1.Secret) {
	resource, err := resourceIn(secret)
	if err != nil {
		s.resources.put(secret.Name, nil)
		s.log.Error("cannot read the record of a resource; nobody gets tokens for it", "secret", secret.Name, "error", err)
		return
	}
	s.resources.put(secret.Name, &resource)
}

func resourceIn(secret *corev1.Secret) (oauth2.Resource, error) {
	resource, err := registration.DecodeResource(secret.Data)
	if err == nil && registration.ResourceSecretName(resource.Identifier) != secret.Name {
		err = fmt.Errorf("%w: it is kept under the name of another resource", registration.ErrUnreadable)
	}
	return resource, err
}

// LookUpResource asks the API server for the record of an identifier; nil means that there is none, an error that it did not
// answer. Memory stays as it is.
func (d *Directory) LookUpResource(ctx context.Context, identifier string) (*oauth2.Resource, error) {
	var secret corev1.Secret
	err := d.core.Get().Namespace(d.namespace).Resource(resourceSecrets).Name(registration.ResourceSecretName(identifier)).Do(ctx).Into(&secret)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
	}
	if err != nil {
		return nil, fmt.Errorf("look up the record of a resource: %w", err)
	}
	resource, err := resourceIn(&secret)
	if err != nil || secret.Type != registration.ResourceSecretType || resource.Identifier != identifier {
		return nil, nil //nolint:nilerr,nilnil // what cannot be read is no record; the watch reports it
	}
	return &resource, nil
}

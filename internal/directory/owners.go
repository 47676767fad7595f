// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// owners is what the OAuth2Clients themselves say that can deny.
type owners struct {
	byName sync.Map // ownerKey -> oauth2.Owner
	synced atomic.Bool
}

type ownerKey struct{ namespace, name string }

func (o *owners) get(namespace, name string) *oauth2.Owner {
	found, there := o.byName.Load(ownerKey{namespace, name})
	owner, ok := found.(oauth2.Owner)
	if !there || !ok {
		return nil
	}
	return &owner
}

func ownerOf(object *v1alpha1.OAuth2Client) oauth2.Owner {
	return oauth2.Owner{
		UID:         string(object.UID),
		Terminating: !object.DeletionTimestamp.IsZero(),
		Suspended:   object.Spec.State == v1alpha1.ClientSuspended,
	}
}

// ownerStore is where the watch of OAuth2Clients arrives; of each object it keeps only what can deny.
type ownerStore struct{ owners *owners }

func (s ownerStore) Add(object any) error {
	c, ok := object.(*v1alpha1.OAuth2Client)
	if !ok {
		return fmt.Errorf("%T is not an OAuth2Client", object)
	}
	s.owners.byName.Store(ownerKey{c.Namespace, c.Name}, ownerOf(c))
	return nil
}

func (s ownerStore) Update(object any) error { return s.Add(object) }

func (s ownerStore) Delete(object any) error {
	c, ok := object.(*v1alpha1.OAuth2Client)
	if !ok {
		return fmt.Errorf("%T is not an OAuth2Client", object)
	}
	s.owners.byName.Delete(ownerKey{c.Namespace, c.Name})
	return nil
}

func (s ownerStore) Replace(objects []any, _ string) error {
	listed := make(map[ownerKey]bool, len(objects))
	for _, object := range objects {
		if c, ok := object.(*v1alpha1.OAuth2Client); ok {
			listed[ownerKey{c.Namespace, c.Name}] = true
		}
		if err := s.Add(object); err != nil {
			return err
		}
	}
	s.owners.byName.Range(func(key, _ any) bool {
		if k, ok := key.(ownerKey); ok && !listed[k] {
			s.owners.byName.Delete(k)
		}
		return true
	})
	s.owners.synced.Store(true)
	return nil
}

func (s ownerStore) Resync() error { return nil }

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"fmt"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// ownerName is the name of an object with its namespace, which has no dot: of an OAuth2Client it is the client_id unless another one was
// chosen, so that one hash finds both.
func ownerName(namespace, name string) string { return namespace + "." + name }

func ownerOf(object *v1alpha1.OAuth2Client) oauth2.Owner {
	owner := oauth2.Owner{
		UID:         string(object.UID),
		Terminating: !object.DeletionTimestamp.IsZero(),
		Suspended:   object.Spec.State == v1alpha1.ClientSuspended,
	}
	if before := object.Spec.RevokeTokensIssuedBefore; before != nil {
		owner.RevokedBefore = before.UTC()
	}
	return owner
}

// ownerStore is where the watch of OAuth2Clients arrives; of each object it keeps only what can deny.
type ownerStore struct{ *Directory }

func (s ownerStore) Add(object any) error {
	read, ok := lightOwnerOf(object).(*lightOwner)
	if !ok {
		return fmt.Errorf("%T is not an OAuth2Client", object)
	}
	name := read.place
	if before := s.records.owner(name); before != nil && before.UID != read.owner.UID {
		s.depart(resourceClients, name, before.UID)
	}
	owner := read.owner
	if owner.Terminating {
		s.depart(resourceClients, name, owner.UID)
	}
	owner.Terminating = owner.Terminating || isResurrected(s, read)
	s.records.putOwner(name, packOwner(owner))
	return nil
}

func (s ownerStore) Update(object any) error { return s.Add(object) }

func (s ownerStore) Delete(object any) error {
	read, ok := lightOwnerOf(object).(*lightOwner)
	if !ok {
		return fmt.Errorf("%T is not an OAuth2Client", object)
	}
	s.depart(resourceClients, read.place, read.owner.UID)
	s.records.removeOwner(read.place)
	return nil
}

func (s ownerStore) Replace(objects []any, _ string) error {
	listed := make(map[hash]bool, len(objects))
	for _, object := range objects {
		object = lightOwnerOf(object)
		if read, ok := object.(*lightOwner); ok {
			listed[read.place] = true
		}
		if err := s.Add(object); err != nil {
			return err
		}
	}
	for name, owner := range keep(&s.records, ownerIn, listed) {
		s.depart(resourceClients, name, owner.owner("").UID)
	}
	tidy()
	return nil
}

func (s ownerStore) Resync() error { return nil }

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// LookUp asks the API server itself. What it does not have is an empty part of the record; an error means that it did not
// answer. Memory stays as it is: only the watch, which knows the order of events, writes there. It asks three questions whether or not
// there is such a client, so that a stranger cannot tell by the time that the answer takes. They are asked at once, but for the owner of a
// client_id that does not name it. That the API server is not behind what memory knows, a registration proves that is newer.
func (d *Directory) LookUp(ctx context.Context, clientID string) (oauth2.Record, error) {
	if err := d.trusted(); err != nil {
		return oauth2.Record{}, err
	}
	asked, isNews, before := d.now(), d.isNews(), d.Record(clientID).Owner
	current := make(chan error, 1)
	go func() { current <- d.current(context.WithoutCancel(ctx)) }() // it has a time-out of its own, and learns something for everybody
	r, err := d.lookUpRecord(ctx, clientID, asked)
	if err != nil {
		return oauth2.Record{}, err
	}
	if !isNews(r.version) {
		err = <-current
	}
	switch {
	case err != nil:
		return oauth2.Record{}, err
	case r.client == nil:
		return oauth2.Record{}, nil
	case r.ownerUnknown != nil:
		return oauth2.Record{}, r.ownerUnknown
	case r.owner == nil:
		return oauth2.Record{Client: r.client, Owner: &oauth2.Owner{}}, nil
	}
	owner := ownerOf(r.owner)
	seen := sight(resourceClients, hashOf(ownerName(r.client.Namespace, r.client.Name)), owner.UID, owner.Terminating)
	wasTerminating := before != nil && before.UID == owner.UID && before.Terminating
	refused, err := d.doubts(resourceClients, seen, d.knownAt(asked, seen, wasTerminating))
	if err != nil {
		return oauth2.Record{}, err
	}
	owner.Terminating = owner.Terminating || refused
	return oauth2.Record{Client: r.client, Owner: &owner}, nil
}

// lookedUp is what the API server has of a client_id.
type lookedUp struct {
	lookedUpRegistration

	// owner is the OAuth2Client, or nil if there is none. ownerUnknown matters only if there is something to own.
	owner        *v1alpha1.OAuth2Client
	ownerUnknown error
}

// lookedUpRegistration is a registration and its resourceVersion; without a client there is none.
type lookedUpRegistration struct {
	client  *oauth2.Client
	version string
}

func (d *Directory) lookUpRecord(ctx context.Context, clientID string, asked time.Time) (r lookedUp, err error) {
	owner, named := presumedOwner(clientID)
	var asking sync.WaitGroup
	if named {
		asking.Go(func() { r.owner, r.ownerUnknown = d.lookUpOwner(ctx, owner) })
	}
	registered, err := d.lookUpRegistration(ctx, clientID)
	asking.Wait()
	if err == nil && registered.client == nil && isNew(r.owner, asked) {
		registered, err = d.awaitRegistration(ctx, clientID)
	}
	if err != nil {
		return lookedUp{}, err
	}
	r.lookedUpRegistration = registered
	if c := r.client; c != nil && owner != (oauth2.ObjectName{Namespace: c.Namespace, Name: c.Name}) {
		owner, named = oauth2.ObjectName{Namespace: c.Namespace, Name: c.Name}, false
	}
	if !named {
		r.owner, r.ownerUnknown = d.lookUpOwner(ctx, owner)
	}
	return r, nil
}

// lookUpRegistration asks for the registration of a client_id.
func (d *Directory) lookUpRegistration(ctx context.Context, clientID string) (lookedUpRegistration, error) {
	var secret corev1.Secret
	err := d.core.Get().Namespace(d.namespace).Resource(resourceSecrets).Name(registration.SecretName(clientID)).Do(ctx).Into(&secret)
	if apierrors.IsNotFound(err) {
		return lookedUpRegistration{}, nil
	}
	if err != nil {
		return lookedUpRegistration{}, fmt.Errorf("look up the registration of a client: %w", err)
	}
	registered, err := registration.Decode(secret.Data)
	if err != nil || secret.Type != registration.SecretType || registered.Client.ID != clientID {
		return lookedUpRegistration{}, nil //nolint:nilerr // what cannot be read is not a registration; the watch reports it
	}
	return lookedUpRegistration{&registered.Client, secret.ResourceVersion}, nil
}

// lookUpOwner asks for an OAuth2Client; nil means that there is none.
func (d *Directory) lookUpOwner(ctx context.Context, name oauth2.ObjectName) (*v1alpha1.OAuth2Client, error) {
	var object v1alpha1.OAuth2Client
	err := d.hallpass.Get().Namespace(name.Namespace).Resource(resourceClients).Name(name.Name).Do(ctx).Into(&object)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
	}
	if err != nil {
		return nil, fmt.Errorf("look up the owner of a registration: %w", err)
	}
	return &object, nil
}

// The registration of a new client is written at the same time as its Secret, so an application may be here first, by milliseconds.
const (
	// newFor is how long a client counts as new.
	newFor = 10 * time.Second
	// firstWait is before the first question whether the registration has come, each further wait is twice as long, and lastWait is the
	// last one: a third of a second in all.
	firstWait = 5 * time.Millisecond
	lastWait  = 160 * time.Millisecond
)

// isNew reports whether the registration of a client may be on its way.
func isNew(object *v1alpha1.OAuth2Client, now time.Time) bool {
	return object != nil && object.DeletionTimestamp.IsZero() && now.Sub(object.CreationTimestamp.Time) < newFor
}

// awaitRegistration asks for the registration of a new client until it is there or was waited for long enough.
func (d *Directory) awaitRegistration(ctx context.Context, clientID string) (lookedUpRegistration, error) {
	for wait := firstWait; ; wait *= 2 {
		select {
		case <-ctx.Done():
			return lookedUpRegistration{}, ctx.Err() //nolint:wrapcheck // the caller knows what it has waited for
		case <-time.After(wait):
		}
		registered, err := d.lookUpRegistration(ctx, clientID)
		if registered.client != nil || err != nil || wait >= lastWait {
			return registered, err
		}
	}
}

// presumedOwner is the OAuth2Client that a client_id names by its form, or one that nobody has.
func presumedOwner(clientID string) (owner oauth2.ObjectName, named bool) {
	namespace, name, found := strings.Cut(clientID, ".")
	if !found || namespace == "" || name == "" || strings.ContainsAny(clientID, "/%") {
		return oauth2.ObjectName{Namespace: "none", Name: "none"}, false
	}
	return oauth2.ObjectName{Namespace: namespace, Name: name}, true
}

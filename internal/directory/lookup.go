// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// LookUp asks the API server itself. What it does not have is an empty part of the record; an error means that it did not
// answer. Memory stays as it is: only the watch, which knows the order of events, writes there. It asks three questions whether or not
// there is such a client, so that a stranger cannot tell by the time that the answer takes. They are asked at once, but for the owner of a
// client_id that does not name it.
func (d *Directory) LookUp(ctx context.Context, clientID string) (oauth2.Record, error) {
	asked := d.now()
	owner, named := presumedOwner(clientID)
	var c *oauth2.Client
	var object *v1alpha1.OAuth2Client
	var ownerUnknown error // matters only if there is something to own
	questions, asking := errgroup.WithContext(ctx)
	questions.Go(func() error { return d.current(asking) })
	questions.Go(func() (err error) {
		c, err = d.lookUpRegistration(asking, clientID)
		return err
	})
	if named {
		questions.Go(func() error {
			object, ownerUnknown = d.lookUpOwner(asking, owner)
			return nil
		})
	}
	err := questions.Wait()
	if err == nil && c == nil && isNew(object, asked) {
		c, err = d.awaitRegistration(ctx, clientID)
	}
	if err != nil {
		return oauth2.Record{}, err
	}
	if c != nil && owner != (oauth2.ObjectName{Namespace: c.Namespace, Name: c.Name}) {
		owner, named = oauth2.ObjectName{Namespace: c.Namespace, Name: c.Name}, false
	}
	if !named {
		object, ownerUnknown = d.lookUpOwner(ctx, owner)
	}
	switch {
	case c == nil:
		return oauth2.Record{}, nil
	case ownerUnknown != nil:
		return oauth2.Record{}, ownerUnknown
	case object == nil:
		return oauth2.Record{Client: c, Owner: &oauth2.Owner{}}, nil
	}
	found := ownerOf(object)
	if d.revived(resourceClients, ownerName(c.Namespace, c.Name), found.UID, asked) {
		return oauth2.Record{}, errSetBack
	}
	return oauth2.Record{Client: c, Owner: &found}, nil
}

// lookUpRegistration asks for the registration of a client_id; nil means that there is none.
func (d *Directory) lookUpRegistration(ctx context.Context, clientID string) (*oauth2.Client, error) {
	var secret corev1.Secret
	err := d.core.Get().Namespace(d.namespace).Resource(resourceSecrets).Name(registration.SecretName(clientID)).Do(ctx).Into(&secret)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
	}
	if err != nil {
		return nil, fmt.Errorf("look up the registration of a client: %w", err)
	}
	registered, err := registration.Decode(secret.Data)
	if err != nil || secret.Type != registration.SecretType || registered.Client.ID != clientID {
		return nil, nil //nolint:nilerr,nilnil // what cannot be read is not a registration; the watch reports it
	}
	return &registered.Client, nil
}

// lookUpOwner asks for an OAuth2Client; nil means that there is none.
func (d *Directory) lookUpOwner(ctx context.Context, name oauth2.ObjectName) (*v1alpha1.OAuth2Client, error) {
	var object v1alpha1.OAuth2Client
	err := d.hallpass.Get().Namespace(name.Namespace).Resource(resourceClients).Name(name.Name).Do(ctx).Into(&object)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // as above
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
func (d *Directory) awaitRegistration(ctx context.Context, clientID string) (*oauth2.Client, error) {
	for wait := firstWait; ; wait *= 2 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // the caller knows what it has waited for
		case <-time.After(wait):
		}
		c, err := d.lookUpRegistration(ctx, clientID)
		if c != nil || err != nil || wait >= lastWait {
			return c, err
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

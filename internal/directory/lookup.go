// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/directory/watch"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/restore"
)

// LookUp asks the API server itself. A part of the record that it does not have is empty; an error
// means that there was no response. Memory does not change: only watches know the order of events.
// LookUp sends three requests whether or not there is such a client, so that the time of the answer
// does not reveal it. They are sent at once, except for the owner of a client_id that does not name
// it. A newer registration proves that the API server is not behind memory.
func (d *Directory) LookUp(ctx context.Context, clientID string) (oauth2.Record, error) {
	if err := d.watches.Trusted(); err != nil {
		return oauth2.Record{}, err
	}
	asked, isNewer, before := d.memory.Clients.Deletions(), d.sources.registry.Newer(), d.Record(clientID).Owner
	current := make(chan error, 1)
	// it has a time-out of its own, and all requests learn from it
	go func() { current <- d.sources.registry.Confirm(context.WithoutCancel(ctx)) }()
	r, err := d.api.lookUp(ctx, clientID, d.now())
	if err != nil {
		return oauth2.Record{}, err
	}
	if !isNewer(r.version) {
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
	read := clientOf(r.owner)
	wasTerminating := before != nil && before.UID == read.Owner.UID && before.Terminating
	proof := d.memory.Clients.ProofOf(read.Sighting(), asked, wasTerminating)
	if proof != restore.None && d.sources.clients.Report(proof) {
		return oauth2.Record{}, watch.ErrRestored
	}
	// it denies until the proof is acted upon
	read.Owner.Terminating = read.Owner.Terminating || proof != restore.None
	return oauth2.Record{Client: r.client, Owner: &read.Owner}, nil
}

// LookUpClientsOf asks the API server for the OAuth2Clients that name a workload, and returns the
// client_ids of two at most. Whether they are registered, LookUp finds out.
func (d *Directory) LookUpClientsOf(ctx context.Context, workload oauth2.Workload) ([]string, error) {
	if err := d.watches.Trusted(); err != nil {
		return nil, err
	}
	selector := fields.OneTermEqualSelector(v1alpha1.FieldServiceAccount, workload.Account)
	if workload.Account == "" {
		selector = fields.OneTermEqualSelector(v1alpha1.FieldSubject, workload.Subject)
	}
	var list v1alpha1.OAuth2ClientList
	err := d.api.hallpass.Get().Namespace(workload.Namespace).Resource(resourceClients).
		Param("fieldSelector", selector.String()).Param("limit", strconv.Itoa(maxClientsOf)).Do(ctx).Into(&list)
	if err != nil {
		return nil, fmt.Errorf("look up the clients of a workload: %w", err)
	}
	var ids []string
	for i := range list.Items {
		object := &list.Items[i]
		isOther := object.Spec.Authentication.FederatedToken.IssuerName != workload.IssuerName
		if object.DeletionTimestamp.IsZero() && !isOther && len(ids) < 2 {
			ids = append(ids, object.ClientID())
		}
	}
	return ids, nil
}

// maxClientsOf bounds a list of clients of a workload; some may be terminating.
const maxClientsOf = 16

// LookUpMinted asks the API server itself, as LookUp does about clients.
func (d *Directory) LookUpMinted(ctx context.Context, opaqueID string) (oauth2.MintedRecord, error) {
	asked := d.memory.Tokens.Deletions()
	before, wasTerminating := d.memory.Tokens.WasTerminating(opaqueID)
	if err := d.sources.registry.Confirm(ctx); err != nil {
		return oauth2.MintedRecord{}, err
	}
	record, version, err := d.api.record(ctx, registration.OpaqueSecretName(opaqueID))
	if err != nil {
		return oauth2.MintedRecord{}, fmt.Errorf("look up the record of a token: %w", err)
	}
	m := record.Minted()
	if m == nil {
		return oauth2.MintedRecord{}, nil
	}
	var object v1alpha1.OAuth2Token
	found, err := d.api.get(ctx, resourceTokens, m.Namespace, m.Name, &object)
	if err != nil {
		return oauth2.MintedRecord{}, fmt.Errorf("look up the owner of a token: %w", err)
	}
	if !found {
		return oauth2.MintedRecord{Minted: m, Owner: &oauth2.MintedOwner{}}, nil
	}
	read := tokenOf(&object)
	wasTerminating = wasTerminating && before == read.Owner.UID
	proof := d.memory.Tokens.ProofOf(read.Sighting(), asked, wasTerminating)
	if proof != restore.None && d.sources.tokens.Report(proof) {
		return oauth2.MintedRecord{}, watch.ErrRestored
	}
	read.Owner.Terminating = read.Owner.Terminating || proof != restore.None
	return oauth2.MintedRecord{Minted: m, Owner: d.memory.Tokens.Judge(read.Owner, version)}, nil
}

// LookUpResource asks the API server for the record of an identifier; nil means that there is none,
// an error that there was no response. Memory does not change. While memory is read anew after a
// restore, it alone answers: the API server may have a consent that was withdrawn since the backup.
func (d *Directory) LookUpResource(ctx context.Context, identifier string) (*oauth2.Resource, error) {
	if err := d.watches.Trusted(); err != nil {
		return nil, err
	}
	record, _, err := d.api.record(ctx, registration.ResourceSecretName(identifier))
	if err != nil {
		return nil, fmt.Errorf("look up the record of a resource: %w", err)
	}
	if resource := record.Resource(); resource != nil && resource.Identifier == identifier {
		return resource, nil
	}
	return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
}

// LookUpIssuer asks the API server itself for the record of a trusted issuer, as LookUpResource
// does.
func (d *Directory) LookUpIssuer(ctx context.Context, name string) (*oauth2.TrustedIssuer, error) {
	if err := d.watches.Trusted(); err != nil {
		return nil, err
	}
	record, _, err := d.api.record(ctx, registration.IssuerSecretName(name))
	if err != nil {
		return nil, fmt.Errorf("look up the record of a trusted issuer: %w", err)
	}
	return record.Issuer(), nil
}

// LookUpIssuerOf asks the API server for the record of the trusted issuer that has an iss. Records
// have the names of issuers, so it lists those of trusted issuers, which are few. As in memory, the
// one with the first name is it.
func (d *Directory) LookUpIssuerOf(ctx context.Context, iss string) (*oauth2.TrustedIssuer, error) {
	if err := d.watches.Trusted(); err != nil {
		return nil, err
	}
	var list corev1.SecretList
	err := d.api.core.Get().Namespace(d.api.namespace).Resource(resourceSecrets).
		Param("fieldSelector", fields.OneTermEqualSelector("type", registration.IssuerSecretType).String()).Do(ctx).Into(&list)
	if err != nil {
		return nil, fmt.Errorf("list the records of trusted issuers: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	for i := range list.Items {
		record, err := recordOf(&list.Items[i])
		if err != nil {
			continue // the watch logs what is unreadable
		}
		if issuer := record.Issuer(); issuer != nil && issuer.Issuer == iss {
			return issuer, nil
		}
	}
	return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
}

// LookUpRing asks the API server for the signing keys, and keeps those that memory did not have.
// It does so after a restore too: the taints that memory knows stay in force.
func (d *Directory) LookUpRing(ctx context.Context) (keyring.Ring, error) {
	var secret corev1.Secret
	err := d.api.core.Get().Namespace(d.api.namespace).Resource(resourceSecrets).Name(registration.KeysSecretName).Do(ctx).Into(&secret)
	if err != nil {
		return keyring.Ring{}, fmt.Errorf("look up the signing keys: %w", err)
	}
	record, _ := recordOf(&secret) // the watch logs what is unreadable
	if ring := record.Ring(); ring != nil {
		return d.memory.Registry.Learn(*ring), nil
	}
	return d.Ring(), nil
}

// lookedUp is what the API server has of a client_id.
type lookedUp struct {
	// client is the registration, or nil if there is none, and version its resourceVersion.
	client  *oauth2.Client
	version uint64
	// owner is the OAuth2Client, or nil if there is none. ownerUnknown matters only with a
	// client.
	owner        *v1alpha1.OAuth2Client
	ownerUnknown error
	// ownerRead is when the owner was read, by the clock of the API server.
	ownerRead time.Time
}

func (a api) lookUp(ctx context.Context, clientID string, now time.Time) (r lookedUp, err error) {
	owner, named := presumedOwner(clientID)
	r.ownerRead = now
	var asking sync.WaitGroup
	if named {
		asking.Go(func() { r.owner, r.ownerUnknown = a.lookUpOwner(apiclock.WithDate(ctx, &r.ownerRead), owner) })
	}
	r.client, r.version, err = a.lookUpRegistration(ctx, clientID)
	asking.Wait()
	if err == nil && r.client == nil && isNew(r.owner, r.ownerRead) {
		r.client, r.version, err = a.awaitRegistration(ctx, clientID)
	}
	if err != nil {
		return lookedUp{}, err
	}
	if c := r.client; c != nil && owner != (oauth2.ObjectName{Namespace: c.Namespace, Name: c.Name}) {
		owner, named = oauth2.ObjectName{Namespace: c.Namespace, Name: c.Name}, false
	}
	if !named {
		r.owner, r.ownerUnknown = a.lookUpOwner(ctx, owner)
	}
	return r, nil
}

// lookUpRegistration asks for the registration of a client_id; nil means that there is none.
func (a api) lookUpRegistration(ctx context.Context, clientID string) (c *oauth2.Client, version uint64, err error) {
	record, version, err := a.record(ctx, registration.SecretName(clientID))
	if err != nil {
		return nil, 0, fmt.Errorf("look up the registration of a client: %w", err)
	}
	if c = record.Client(); c == nil || c.ID != clientID {
		return nil, 0, nil
	}
	return c, version, nil
}

// lookUpOwner asks for an OAuth2Client; nil means that there is none.
func (a api) lookUpOwner(ctx context.Context, name oauth2.ObjectName) (*v1alpha1.OAuth2Client, error) {
	var object v1alpha1.OAuth2Client
	found, err := a.get(ctx, resourceClients, name.Namespace, name.Name, &object)
	if err != nil {
		return nil, fmt.Errorf("look up the owner of a registration: %w", err)
	}
	if !found {
		return nil, nil //nolint:nilnil // an absence is an answer, and the one that callers ask for
	}
	return &object, nil
}

// The registration of a new client is written at the same time as its Secret, so an application may
// send its first request some milliseconds earlier.
const (
	// newFor is how long a client counts as new.
	newFor = 10 * time.Second
	// firstWait is before the first check whether the registration has come, each further
	// wait is twice as long, and lastWait is the last one: a third of a second in all.
	firstWait = 5 * time.Millisecond
	lastWait  = 160 * time.Millisecond
)

// isNew reports whether the registration of a client may be on its way. The API server dated the
// client, so now is the Date of its response: clocks differ by more than newFor.
func isNew(object *v1alpha1.OAuth2Client, now time.Time) bool {
	return object != nil && object.DeletionTimestamp.IsZero() && now.Sub(object.CreationTimestamp.Time) < newFor
}

// awaitRegistration asks for the registration of a new client until it is there, or the last wait.
func (a api) awaitRegistration(ctx context.Context, clientID string) (c *oauth2.Client, version uint64, err error) {
	for wait := firstWait; ; wait *= 2 {
		if !pause(ctx, wait) {
			return nil, 0, ctx.Err() //nolint:wrapcheck // the caller knows what it has waited for
		}
		if c, version, err = a.lookUpRegistration(ctx, clientID); c != nil || err != nil || wait >= lastWait {
			return c, version, err
		}
	}
}

// presumedOwner is the OAuth2Client that a client_id names by its form, or one that does not exist.
func presumedOwner(clientID string) (owner oauth2.ObjectName, named bool) {
	namespace, name, found := strings.Cut(clientID, ".")
	if !found || namespace == "" || name == "" || strings.ContainsAny(clientID, "/%") {
		return oauth2.ObjectName{Namespace: "none", Name: "none"}, false
	}
	return oauth2.ObjectName{Namespace: namespace, Name: name}, true
}

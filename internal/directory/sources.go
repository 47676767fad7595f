// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/directory/watch"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

const (
	resourceSecrets     = "secrets"
	resourceClients     = "oauth2clients"
	resourceTokens      = "oauth2tokens"
	resourceRevocations = "tokenrevocations"
)

// The token server watches the Secrets of the registry, TokenRevocations, and what can deny in
// OAuth2Clients and OAuth2Tokens.
//
// +kubebuilder:rbac:namespace=hallpass-registry,groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2clients,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2tokens,verbs=get;list;watch
// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=tokenrevocations,verbs=get;list;watch;create

// sources are the watches, each with its store.
type sources struct {
	registry    *watch.Source[*corev1.Secret, memory.Record]
	clients     *watch.Source[*v1alpha1.OAuth2Client, memory.Client]
	tokens      *watch.Source[*v1alpha1.OAuth2Token, memory.Token]
	revocations *watch.Source[*v1alpha1.TokenRevocation, memory.Revocation]
}

func newSources(w *watch.Watches, m *memory.Memory, api api, config Config) sources {
	reader := reader{config.Log, config.RevocationSeen}
	return sources{
		registry: watch.Add(w, watch.Kind[*corev1.Secret, memory.Record]{
			Client: api.core, Resource: resourceSecrets, Namespace: config.RegistryNamespace,
			Object: &corev1.Secret{}, Strip: reader.record, Store: &m.Registry,
		}),
		clients: watch.Add(w, watch.Kind[*v1alpha1.OAuth2Client, memory.Client]{
			Client: api.hallpass, Resource: resourceClients, Object: &v1alpha1.OAuth2Client{}, Strip: clientOf, Store: &m.Clients,
		}),
		revocations: watch.Add(w, watch.Kind[*v1alpha1.TokenRevocation, memory.Revocation]{
			Client: api.hallpass, Resource: resourceRevocations, Namespace: config.RegistryNamespace,
			Object: &v1alpha1.TokenRevocation{}, Strip: reader.revocation, Added: reader.seen, Store: &m.Revocations,
		}),
		tokens: watch.Add(w, watch.Kind[*v1alpha1.OAuth2Token, memory.Token]{
			Client: api.hallpass, Resource: resourceTokens, Object: &v1alpha1.OAuth2Token{}, Strip: tokenOf, Store: &m.Tokens,
		}),
	}
}

// all are the sources, whatever they watch.
func (s sources) all() []source { return []source{s.registry, s.clients, s.revocations, s.tokens} }

// source is a source, whatever it watches.
type source interface {
	Run(ctx context.Context)
	Load()
}

// save gives each source its list of a snapshot.
func (s sources) save(found *memory.Snapshot) {
	s.registry.Save(found.Records, found.Heard, found.Marks[resourceSecrets])
	s.clients.Save(found.Clients, found.Heard, found.Marks[resourceClients])
	s.revocations.Save(found.Revocations, found.Heard, found.Marks[resourceRevocations])
	s.tokens.Save(found.Tokens, found.Heard, found.Marks[resourceTokens])
}

// reader reads stored objects, and logs which are unreadable.
type reader struct {
	log *slog.Logger
	lag func(lag time.Duration)
}

// seen reports how long after it was written a batch of revocations came.
func (r reader) seen(read memory.Revocation) {
	if !read.WrittenAt.IsZero() && r.lag != nil {
		r.lag(time.Since(read.WrittenAt))
	}
}

// unreadable is the message about an unreadable Secret of a type.
func unreadable(kind corev1.SecretType) string {
	switch kind {
	case registration.SecretType:
		return "cannot read a registration; its client is refused"
	case registration.ResourceSecretType:
		return "cannot read the record of a resource; no client gets tokens for it"
	case registration.TokenSecretType:
		return "cannot read the record of an OAuth2Token; its tokens are refused"
	case registration.SealingSecretType:
		return "cannot read the sealing keys; those known so far stay in use"
	default:
		return "cannot read the signing keys; those known so far stay in use"
	}
}

// record reads a Secret of the registry.
func (r reader) record(secret *corev1.Secret) memory.Record {
	record, err := recordOf(secret)
	if err != nil {
		r.log.Error(unreadable(secret.Type), "secret", secret.Name, "error", err)
	}
	logDropped(r.log, secret.Name, record.DroppedClaims)
	return record
}

func recordOf(secret *corev1.Secret) (memory.Record, error) {
	return memory.DecodeRecord(secret.Name, string(secret.Type), watch.VersionOf(secret), secret.Data)
}

// logDropped logs claims of registrations that are not allowed. The manager writes none.
func logDropped(log *slog.Logger, source string, dropped []string) {
	if len(dropped) > 0 {
		log.Warn("a registration has claims that are not allowed; tokens do not carry them", "source", source, "claims", dropped[:min(len(dropped), oauth2.MaxCustomClaims)])
	}
}

// clientOf reads an OAuth2Client.
func clientOf(object *v1alpha1.OAuth2Client) memory.Client {
	owner := oauth2.Owner{
		UID:         string(object.UID),
		Terminating: !object.DeletionTimestamp.IsZero(),
		Suspended:   object.Spec.State == v1alpha1.ClientSuspended,
	}
	if before := object.Spec.RevokeTokensIssuedBefore; before != nil {
		owner.RevokedBefore = before.UTC()
	}
	return memory.Client{
		Place: memory.PlaceOf(object.Namespace, object.Name), Tenant: memory.TenantOf(object.Namespace), Owner: owner,
		ClientID: object.ClientID(), CreatedAt: object.CreationTimestamp.Time,
	}
}

// tokenOf reads an OAuth2Token.
func tokenOf(object *v1alpha1.OAuth2Token) memory.Token {
	owner := &oauth2.MintedOwner{
		UID: string(object.UID), Terminating: !object.DeletionTimestamp.IsZero(), ClientName: object.Spec.ClientRef.Name,
	}
	for _, scope := range object.Spec.Scopes {
		owner.Scopes = append(owner.Scopes, string(scope))
	}
	return memory.Token{
		Place: memory.PlaceOf(object.Namespace, object.Name), Tenant: memory.TenantOf(object.Namespace), Owner: owner,
		Fixed: object.Spec.Mode == v1alpha1.TokenFixed, CreatedAt: object.CreationTimestamp.Time,
	}
}

// revocation reads a TokenRevocation.
func (r reader) revocation(object *v1alpha1.TokenRevocation) memory.Revocation {
	read := memory.Revocation{Name: object.Name, Version: watch.VersionOf(object)}
	var err error
	read.Selector, read.Batch, err = revocation.Read(object)
	if err != nil {
		read.Unreadable = true
		r.log.Error("cannot read a TokenRevocation; what it revokes stays valid", "name", object.Name, "error", err)
	}
	if redeemed := revocation.ReadRedemption(object); redeemed != nil {
		read.Redeemed = &redeemed.Client
	}
	if object.Spec.Batch.ExpiresAt != nil {
		if written, err := time.Parse(writtenFormat, object.Annotations[annotationWritten]); err == nil {
			read.WrittenAt = written
		}
	}
	return read
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// memory is what is remembered of clients between two looks. A manager that starts anew needs none.
type memory struct {
	written   status.Written
	contest   status.Contest
	backoff   attempt.Backoff
	proposals attempt.Proposals[credential.Proposal]
	// announced are the ids of the secrets that an event has reported, until they are
	// confirmed.
	announced attempt.Proposals[string]
	// unanswered are the changes by writes of registrations that were not answered, until it is
	// known whether the writes were done.
	unanswered attempt.Unanswered[update]
	// expected are the clients whose first secret is on its way to the cache.
	expected attempt.Proposals[struct{}]
	repairs  attempt.Repairs
	keys     publish.Keys
	// generationKey is the key by which Secrets prove the generation of their values.
	generationKey generationKey
	// declared are Secrets that users let us read, by UID; see declaredReader.
	declared attempt.Proposals[*corev1.Secret]
	// waiters are the clients whose client_id another client holds.
	waiters publish.Waiters
	// reporting bounds the statuses that are written at once.
	reporting *semaphore.Weighted
	copies    output.Copies
}

// errExpected means that the cache lacks a first secret. The watch brings it.
var errExpected = errors.New("the cache does not have the first secret of the client yet")

// expectedFor is how long the cache may take.
const expectedFor = 10 * time.Second

// answered returns the changes by a write of the registration that was not answered, once, if the
// registration shows that the write was done.
func (m *memory) answered(uid types.UID, s seen) (u update, done bool) {
	changes := m.unanswered.Get(uid, s.at.Earliest)
	at := slices.IndexFunc(changes, func(u update) bool {
		return s.held && sameSecrets(s.record(), u.after) && !s.registered.Client.Revocation.Before.Before(u.revoked)
	})
	if at < 0 {
		return update{}, false
	}
	m.unanswered.Drop(uid)
	return changes[at], true
}

// settle drops the expectation of a secret that the cache has, and the proposal of one that is in
// its Secret: if that Secret is deleted, another value takes its place.
func (m *memory) settle(uid types.UID, s seen, plan credential.Plan) {
	if plan.Reason == credential.None {
		m.expected.Drop(uid)
	}
	if made, young := m.proposals.Get(uid, s.at.Earliest); young && made.Is(s.value) {
		m.proposals.Drop(uid)
	}
}

// proposal is the secret to write. An attempt that failed is repeated with the same one while it is
// young, so that the registration is written once.
func (m *memory) proposal(of client.Object, random io.Reader, now credential.Time) (credential.Proposal, error) {
	if made, young := m.proposals.Get(of.GetUID(), now.Earliest); young {
		return made, nil
	}
	minted, err := oauth2.NewClientSecret(random)
	if err != nil {
		return credential.Proposal{}, err
	}
	made := credential.Proposal{Credential: minted, At: now}
	m.proposals.Put(of, made, now.Earliest.Add(credential.YoungFor))
	return made, nil
}

// forget drops what is remembered of a client that was deleted.
func (m *memory) forget(o client.Object) {
	m.backoff.End(client.ObjectKeyFromObject(o))
	m.proposals.Drop(o.GetUID())
	m.announced.Drop(o.GetUID())
	m.unanswered.Drop(o.GetUID())
	m.expected.Drop(o.GetUID())
	m.written.Forget(o)
	m.repairs.Drop(o)
	m.copies.Forget(o)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// do carries a decision out in the order of writes: the new verifier as pending, the user's Secret,
// the verifier confirmed. It returns what there is then, also with an error.
func (r *Reconciler) do(ctx context.Context, c *v1alpha1.OAuth2Client, m method, s seen, d decision) (seen, decision, error) {
	if d.obstacle != nil {
		// A suspension must hold whatever else is wrong. A client that does not hold its id
		// has nothing to keep, and must not come to hold it while something is in the way.
		var err error
		if s.held {
			s, err = r.publish(ctx, c, s, d)
		}
		return s, d, err
	}
	switch d.action {
	case await:
		return s, d, errExpected
	case create:
		return r.create(ctx, c, m, s, d)
	case apply, lookLive: // decide asks for a live look once
	}
	s.names = m.remember(s)
	r.memory.settle(c.UID, s, d.plan)
	var err error
	if d.plan.Reason != credential.None {
		if s, d, err = r.mint(ctx, c, m, s, d); err != nil {
			return s, d, err
		}
	}
	if s, err = r.publish(ctx, c, s, d); err != nil {
		return s, d, err
	}
	if s.conflict == nil {
		if s.object, err = m.write(ctx, s.object, d); err != nil {
			return s, d, err
		}
		s.elsewhere = false
	}
	if s.copies, err = m.removeFormer(ctx, s); err != nil {
		return s, d, err
	}
	journal{r.Recorder, r.Audit}.leaves(c, s.former)
	if current := current(c, s.names); len(current) < len(s.names) {
		s.names = current
		s, err = r.publish(ctx, c, s, d)
	}
	return s, d, err
}

// current are the names that are left to remember once what has another name is gone: whatever is
// created under such a name then is the user's.
func current(c *v1alpha1.OAuth2Client, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name != secretName(c) })
}

// annotationNames is the annotation of a registration with the names under which something was
// written for the client, where an owner reference does not show it, or a late cache may not.
const annotationNames = "hallpass.dev/secret-names"

// mint registers a new secret as pending, then writes the user's Secret, which is the commit point.
// The caller publishes what follows.
func (r *Reconciler) mint(ctx context.Context, c *v1alpha1.OAuth2Client, m method, s seen, d decision) (seen, decision, error) {
	now := r.time()
	if err := r.memory.repairs.Check(c, now.Earliest); err != nil {
		return s, d, err
	}
	made, err := r.memory.proposal(c, r.Random, now)
	if err != nil {
		return s, d, err
	}
	d.plan = d.plan.Propose(made, policyOf(c))
	read := s.stored
	if s, err = r.publish(ctx, c, s, d); err != nil {
		return s, d, err
	}
	// the secret is pending already, and another manager may have made another one current
	if s.stored == read {
		if _, err := output.Unchanged(ctx, r.Live, s.stored); err != nil {
			return s, d, err
		}
	}
	// it cannot fail: decide rendered the same entries
	d.data, _ = render(c, m, r.Installation.Issuer, s, &d.client, made.Value)
	if s.object, err = m.write(ctx, s.object, d); err != nil {
		return s, d, err
	}
	s.value = made.Value
	r.memory.proposals.Drop(c.UID)
	journal{r.Recorder, r.Audit}.minted(c, d.plan.Reason, made.ID, d.plan.Record.Rotation.First == made.ID)
	r.memory.announced.Put(c, made.ID, now.Earliest.Add(credential.PendingLife))
	d.plan = d.plan.Commit(s.uses, policyOf(c), r.time())
	return s, d, nil
}

// create writes the first secret of a client and its registration at the same time. A token request
// that is quicker than the registration waits at the token server. If one of the two is not
// written, the next reconcile repairs it. Of two managers one fails, because both writes create.
func (r *Reconciler) create(ctx context.Context, c *v1alpha1.OAuth2Client, m method, s seen, d decision) (seen, decision, error) {
	s.names = m.remember(s)
	now := r.time()
	made, err := r.memory.proposal(c, r.Random, now)
	if err != nil {
		return s, d, err
	}
	d.plan = d.plan.Create(made, policyOf(c), now)
	d.data, _ = render(c, m, r.Installation.Issuer, s, &d.client, made.Value)
	var writing sync.WaitGroup
	var published seen
	var unpublished error
	writing.Go(func() { published, unpublished = r.publish(ctx, c, s, d) })
	object, unwritten := m.write(ctx, s.object, d)
	writing.Wait()
	if s = published; unwritten == nil {
		s.object, s.value = object, made.Value
	}
	if err := errors.Join(unwritten, unpublished); err != nil {
		// the next attempt registers the same secret: the Secret may have it
		return s, d, err
	}
	r.memory.proposals.Drop(c.UID)
	r.memory.expected.Put(c, struct{}{}, now.Earliest.Add(expectedFor))
	return s, d, errExpected
}

// publish writes the registration if it differs from what is stored, on the version that was read.
// It returns what is registered then.
func (r *Reconciler) publish(ctx context.Context, c *v1alpha1.OAuth2Client, s seen, d decision) (seen, error) {
	wanted := d.registration()
	data, err := registration.Encode(wanted)
	if err != nil {
		return s, err
	}
	before := s
	annotations := map[string]string{
		registration.AnnotationClientID:    d.client.ID,
		v1alpha1.AnnotationClientNamespace: c.Namespace,
		v1alpha1.AnnotationClient:          c.Name,
	}
	if remembers := s.stored != nil && s.stored.Annotations[annotationNames] != ""; remembers || len(s.names) > 0 {
		annotations[annotationNames] = strings.Join(s.names, " ")
	}
	s.stored, err = publish.Write(ctx, r.Client, s.stored, publish.Record{
		NamespacedName: registrationKey(r.RegistryNamespace, c),
		Of:             "client " + d.client.ID,
		Type:           registration.SecretType,
		Annotations:    annotations,
		Data:           data,
		Room:           r.Policy.Room,
		Forced:         d.wants > 0,
	})
	u := updateOf(before, wanted, d)
	u.announced, _ = r.memory.announced.Get(c.UID, s.at.Earliest)
	if output.MayBeDone(err) {
		r.memory.unanswered.Put(c, u, s.at.Earliest)
	}
	if err != nil {
		return s, err
	}
	s.registered, s.held = wanted, true
	if s.stored != before.stored {
		r.memory.unanswered.Drop(c.UID)
		journal{r.Recorder, r.Audit}.published(c, u)
	}
	return s, nil
}

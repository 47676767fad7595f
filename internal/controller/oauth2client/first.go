// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// unheardOf reports whether the cache has nothing of a client: no registration and no Secret under any name. Such a client gets its
// first secret without a question, because whatever is there after all refuses the writes. Two kinds of clients take the slow way: a
// chosen client_id may be another client's, and a Secret that is to be retained would stay for good if the client is gone by now.
func (r *Reconciler) unheardOf(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) (bool, error) {
	if w.stored != nil || w.secret != nil || c.Spec.ClientID != "" || c.Spec.Secret.DeletionPolicy == v1alpha1.DeletionRetain {
		return false, nil
	}
	var known corev1.SecretList
	if err := r.Client.List(ctx, &known, client.InNamespace(c.Namespace), client.MatchingFields{indexByClient: c.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return false, fmt.Errorf("list the Secrets of OAuth2Client %s/%s: %w", c.Namespace, c.Name, err)
	}
	return len(known.Items) == 0, nil
}

// mintFirst makes the first secret of a client. Its registration and its Secret are written at the same time, which is a third of the way
// to the Secret. An application that is quicker than the registration waits for it at the token server, which sees that the client is
// new. Where only one of the two is written, the next look heals it: a Secret alone is registered (see adopt), and a registration alone
// gets another secret. Both writes create, so that of two managers one fails at each. It ends in errUnseen: when the cache has both, the
// next look says so in the status, behind the first secrets of other clients.
func (r *Reconciler) mintFirst(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	minted, err := r.propose(c, w)
	if err != nil {
		return err
	}
	w.value = minted.Value
	r.settleCredential(w) // it is current from the start: nothing is left to confirm
	w.registration.Rotation.First = minted.ID
	rendered := r.renderSecret(c, w)
	var writing sync.WaitGroup
	var unpublished error
	writing.Go(func() { unpublished = r.publish(ctx, c, w) })
	unwritten := r.writeSecret(ctx, w, rendered)
	writing.Wait()
	if unwritten == nil {
		r.proposals.Drop(c.UID)
	}
	if err := errors.Join(unwritten, unpublished); err != nil {
		return err
	}
	r.firsts.wrote(c, r.Clock.Now())
	return errUnseen
}

// errUnseen says that the cache has not heard yet of the first secret that was just written. The watch brings it, and wakes us again.
var errUnseen = errors.New("the cache does not have the first secret of the client yet")

// unseenFor is how long that is believed.
const unseenFor = 10 * time.Second

// firsts are the clients whose first secret was written here and is not in the cache yet. Acting on what the cache has of one would write
// it once more. The zero value is ready to use.
type firsts struct{ until sync.Map } // instants by UID

func (f *firsts) wrote(c *v1alpha1.OAuth2Client, now time.Time) {
	f.until.Store(c.UID, now.Add(unseenFor))
}

func (f *firsts) seen(c *v1alpha1.OAuth2Client) { f.forget(c.UID) }

func (f *firsts) forget(uid types.UID) { f.until.Delete(uid) }

func (f *firsts) unseen(c *v1alpha1.OAuth2Client, now time.Time) bool {
	found, there := f.until.Load(c.UID)
	until, ok := found.(time.Time)
	if there && ok && now.Before(until) {
		return true
	}
	f.seen(c)
	return false
}

// justCreated reports whether a registration has only the secret that it was created with, and so lately that its writing may still go on.
func justCreated(r registration.Registration, now time.Time) bool {
	verifiers := r.Client.Verifiers
	return len(verifiers) == 1 && verifiers[0].ID == r.Rotation.First && now.Before(verifiers[0].CreatedAt.Add(credential.PendingLife))
}

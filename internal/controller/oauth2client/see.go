// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// seen is what a look at a client found. The decision is made on it alone.
type seen struct {
	found
	earlier

	at credential.Time
	// ceilings are what policies allow at most, resources what owners consent to.
	ceilings  oauth2.Ceilings
	resources policy.Declared
	// stored has the name of the client's registration. registered is what it says, if held: if it
	// is this client's. taken says that another client holds the id.
	stored      *corev1.Secret
	registered  registration.Registration
	held, taken bool
	// beyond says that the namespace may have no more clients than those that are older.
	beyond bool
	// accountUID is that of the service account that the client authenticates as.
	accountUID string
	// ca is the CA that clients need, in PEM; empty if it is not ours.
	ca   string
	uses credential.Uses
	// keys are the signing keys, read for a client that asks for an algorithm; nil if there are none that can be read.
	keys *keyring.Ring
	// collapsed is the instant that took the place of single revocations; zero if there is none.
	collapsed time.Time
}

// earlier is what is known of what was written for the client before.
type earlier struct {
	// names are those under which something was written and may still be there, the newest last, as the
	// registration remembers them. copies are the names of objects that only name the client.
	names, copies []string
	// expected says that its first secret was written here and is not in the cache yet.
	expected bool
}

// found is what there is of a client in its own namespace.
type found struct {
	// object is its Secret or ConfigMap, value the client secret in it, live how it was read.
	object client.Object
	value  oauth2.Secret
	live   bool
	// unknown says that nothing that was written for the client is there at all.
	unknown bool
	// obstacle is why the object cannot be used.
	obstacle *metav1.Condition
}

// unreadable reports whether only a newer version can read the client's registration.
func (s seen) unreadable() bool {
	return s.obstacle != nil && s.obstacle.Reason == v1alpha1.ReasonNewerVersion
}

// record is what is registered of the client's secrets.
func (s seen) record() credential.Record {
	return credential.Record{Verifiers: s.registered.Client.Credentials.Verifiers, Rotation: s.registered.Rotation}
}

// see reads all that the decision about a client depends on: from caches, and live where they have
// no answer. If the client is forbidden, nothing of its namespace is read.
func (r *Reconciler) see(ctx context.Context, c *v1alpha1.OAuth2Client, m method) (seen, error) {
	s := seen{at: r.time()}
	for _, look := range []func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error){r.seePolicy, r.seeRegistration, r.seeRoom, r.seeCollapsed} {
		var err error
		if s, err = look(ctx, c, s); err != nil {
			return s, err
		}
	}
	if s.taken || s.unreadable() {
		return s, nil
	}
	var err error
	if s.accountUID, err = m.identify(ctx); err != nil || forbidden(c, s) != nil {
		return s, err
	}
	_, s.expected = r.memory.expected.Get(c.UID, s.at.Earliest)
	if s.found, err = m.look(ctx, s, false); err != nil || s.obstacle != nil {
		return s, err
	}
	if s.ca, s.obstacle, err = output.ReadCA(ctx, r.Client, r.CABundle); err != nil {
		return s, err
	}
	if c.Spec.TokenSigningAlgorithm != "" {
		switch ring, err := r.memory.keys.Read(ctx, r.Client, r.RegistryNamespace); {
		case err == nil:
			s.keys = &ring
		case !apierrors.IsNotFound(err) && !errors.Is(err, keyring.ErrUnreadable):
			return s, err
		}
	}
	return r.seeUses(ctx, c, s)
}

// time is the present time as far as it is known.
func (r *Reconciler) time() credential.Time { return credential.Time(apiclock.TimeOf(r.Clock)) }

// seePolicy reads the ceilings of the namespace and the resources that the client asks for.
func (r *Reconciler) seePolicy(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	var err error
	if s.ceilings, err = r.Policy.Ceilings(ctx, c.Namespace); err != nil {
		return s, err
	}
	resources := make(policy.Declared, len(c.Spec.Access))
	for _, access := range c.Spec.Access {
		name := resourceOf(access)
		if resources[name], err = r.Policy.Resource(ctx, name); err != nil {
			return s, err
		}
	}
	s.resources = resources
	return s, nil
}

// seeRegistration reads what is registered under the client's id. What another live client holds
// stays its own; what a deleted one left makes way.
func (r *Reconciler) seeRegistration(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	stored, err := publish.Read(ctx, r.Client, r.registrationKey(c))
	if err != nil || stored == nil {
		return s, err
	}
	registered, err := registration.Decode(stored.Data)
	if len(registered.DroppedClaims) > 0 {
		ctrl.LoggerFrom(ctx).Info("the stored registration has claims that are not allowed; it is written without them",
			"registration", stored.Name, "claims", registered.DroppedClaims)
	}
	switch of := registered.Client; {
	case err != nil:
		if s, err = r.seeUnreadable(ctx, c, s, stored, err); err != nil || s.taken || s.unreadable() {
			return s, err
		}
	case of.UID == string(c.UID):
		if s.held = of.ID == c.ClientID(); s.held {
			s.registered = registered
			s.names = strings.Fields(stored.Annotations[annotationNames])
		}
	default: // of a deleted client nothing is of use: a verifier is bound to its owner's UID
		holder := types.NamespacedName{Namespace: of.Namespace, Name: of.Name}
		r.memory.waiters.Wait(client.ObjectKeyFromObject(c), holder)
		gone, err := output.Gone(ctx, r.Live, "OAuth2Client", holder, of.UID)
		if s.taken = !gone; err != nil || s.taken {
			return s, err
		}
	}
	r.memory.waiters.Done(client.ObjectKeyFromObject(c))
	s.stored = stored
	return s, nil
}

// seeUnreadable finds out whose a registration is that cannot be read: its annotations name the client.
// One that a newer version wrote stays as it is; any other is written again by the client that it names,
// and makes way once there is no such client.
func (r *Reconciler) seeUnreadable(ctx context.Context, c *v1alpha1.OAuth2Client, s seen, stored *corev1.Secret, why error) (seen, error) {
	owner := types.NamespacedName{Namespace: stored.Annotations[v1alpha1.AnnotationClientNamespace], Name: stored.Annotations[v1alpha1.AnnotationClient]}
	isNewer, isOwn := errors.Is(why, wire.ErrNewer), owner == client.ObjectKeyFromObject(c)
	r.memory.waiters.Wait(client.ObjectKeyFromObject(c), owner)
	switch {
	case isNewer && isOwn:
		s.obstacle = new(v1alpha1.UnreadableRecord())
	case isNewer:
		s.taken = true
	case !isOwn && owner.Name != "":
		err := r.Live.Get(ctx, owner, &v1alpha1.OAuth2Client{})
		if s.taken = err == nil; client.IgnoreNotFound(err) != nil {
			return s, fmt.Errorf("ask for OAuth2Client %s: %w", owner, err)
		}
	}
	return s, nil
}

// registrationKey is where the registration of a client is stored.
func (r *Reconciler) registrationKey(c *v1alpha1.OAuth2Client) types.NamespacedName {
	return types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.SecretName(c.ClientID())}
}

// seeRoom finds out whether the client is one too many. One that is registered stays.
func (r *Reconciler) seeRoom(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	var err error
	s.beyond, err = r.Policy.Beyond(ctx, c, s.ceilings.Limits().Clients)
	return s, err
}

// seeUses reads what the token servers report of the client's secrets, where that may end one.
func (r *Reconciler) seeUses(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	if policyOf(c).UnusedFor == 0 || len(s.registered.Client.Credentials.Verifiers) == 0 {
		return s, nil
	}
	var reports v1alpha1.UsageReportList
	if err := r.Client.List(ctx, &reports, client.InNamespace(r.RegistryNamespace), client.UnsafeDisableDeepCopy); err != nil {
		return s, fmt.Errorf("read what the token server reports of secrets in use: %w", err)
	}
	evidence := r.Usage.Evidence(reports.Items)
	s.uses = credential.Uses{Read: evidence.Read, Replicas: evidence.Replicas, LastUsed: map[string]usage.Minute{}}
	for _, v := range s.registered.Client.Credentials.Verifiers {
		s.uses.LastUsed[v.ID] = r.Usage.LastUsed(string(c.UID), v.ID)
	}
	return s, nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// seen is the observed state of a client. The decision is made on it alone.
type seen struct {
	found
	earlier
	consents
	inRegistry

	at credential.Time
	// ceilings are what policies allow at most.
	ceilings oauth2.Ceilings
	room
	// accountUID is the UID of the service account that the client authenticates as.
	accountUID string
	// shared means that other clients name the same service account, or the same subject.
	shared bool
	// ca is the CA that clients need, in PEM; empty if it is not ours.
	ca   string
	uses credential.Uses
	// keys are the signing keys, read for a client that asks for an algorithm; nil if there are
	// none that can be read.
	keys *keyring.Ring
	// collapsed is the instant that took the place of single revocations; zero if there is
	// none.
	collapsed time.Time
	// labels are those by which owners of resources select the client.
	labels map[string]string
}

// inRegistry is what is registered under the id of the client.
type inRegistry struct {
	// stored has the name of the client's registration. registered is its content, if held: if
	// it is this client's. taken means that another client holds the id.
	stored      *corev1.Secret
	registered  registration.Registration
	held, taken bool
}

// room is what the namespace has room for.
type room struct {
	// beyond is whether it may have no more clients than those that are older.
	beyond bool
	// bytes is what the registration may weigh.
	bytes publish.Allowance
}

// consents are what the owners of resources consent to, and the trusted issuer of the client.
type consents struct {
	resources policy.Declared
	// newer are the identifiers of resources that only a newer version can read.
	newer  map[oauth2.ObjectName]string
	issuer clientIssuer
	login  clientLogin
}

// earlier is what is known of what was written for the client before.
type earlier struct {
	// names are those under which something was written and may still be there, the newest
	// last, as the registration remembers them. copies are the names of objects that only name
	// the client.
	names, copies []string
	// expected is whether its first secret was written here and is not in the cache yet.
	// uncached is whether the cache has no object of the name that is written, or one without a
	// reference to this very client: under another name of the client, that would be taken for
	// a copy.
	expected, uncached bool
	// again is when to check again whether another client registers its id again, which it had
	// before its registration was lost; zero if none does.
	again time.Time
}

// found is what there is of a client in its own namespace.
type found struct {
	// object is its Secret or ConfigMap, value the client secret in it, live how it was read.
	object client.Object
	value  oauth2.Secret
	live   bool
	// elsewhere is whether the value is in a Secret under a former name, and not yet in object.
	elsewhere bool
	// generation is what the Secret proves of the value.
	generation credential.Generation
	// unknown means that nothing that was written for the client is there at all.
	unknown bool
	// obstacle is why the object cannot be used. conflict is why the ConfigMap beside an
	// Existing Secret is not written, which the client can do without.
	obstacle, conflict *metav1.Condition
	// former are the names of generated Secrets that are deleted once the Existing one is read.
	former []string
}

// unreadable reports whether only a newer version can read the client's registration.
func (s seen) unreadable() bool {
	return s.obstacle != nil && s.obstacle.Reason == v1alpha1.ReasonNewerVersion
}

// unwritten adds why the entries of the object are not there. That is no obstacle for
// an Existing Secret, which has none of them.
func (f found) unwritten(c *v1alpha1.OAuth2Client, m method, because *metav1.Condition) found {
	switch {
	case because == nil:
	case m.source() != secretDeclared:
		f.obstacle = because
	case f.conflict == nil:
		f.conflict = new(*because)
		f.conflict.Message = strings.ReplaceAll(because.Message, "the Secret", fmt.Sprintf("ConfigMap %q", secretName(c)))
	}
	return f
}

// record is what is registered of the client's secrets.
func (s seen) record() credential.Record {
	return credential.Record{Verifiers: s.registered.Client.Credentials.Verifiers, Rotation: s.registered.Rotation}
}

// see reads all that the decision about a client depends on: from caches, and live where they have
// no answer. If the client is forbidden, nothing of its namespace is read.
func (r *Reconciler) see(ctx context.Context, c *v1alpha1.OAuth2Client, m method) (seen, error) {
	s := seen{at: r.time()}
	for _, look := range []func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error){
		r.seePolicy, seeIssuer(r.Client, r.RegistryNamespace, r.Policy.Namespaced()), r.seeLogin, r.seeRegistration, seeLabels(r.Live), r.seeRoom,
		seeBytes(r.Policy.Room), r.seeCollapsed, seeShared(r.Informers),
	} {
		var err error
		if s, err = look(ctx, c, s); err != nil {
			return s, err
		}
	}
	s, err := orFormerHolder(ctx, r.Client, &r.memory.waiters, c, s)
	if err == nil && !s.held && s.obstacle == nil {
		s.obstacle, err = reservation(ctx, r.Policy, c, s.ceilings)
	}
	if err != nil || s.taken || s.obstacle != nil {
		return s, err
	}
	if s.accountUID, err = m.identify(ctx); err != nil || forbidden(c, s) != nil {
		return s, err
	}
	_, s.expected = r.memory.expected.Get(c.UID, s.at.Earliest)
	s.found, err = m.look(ctx, s, false)
	s.uncached = s.object == nil || !slices.ContainsFunc(s.object.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == c.UID })
	if err != nil || s.obstacle != nil {
		return s, err
	}
	var missing *metav1.Condition
	if s.ca, missing, err = output.ReadCA(ctx, r.Client, r.Installation.CABundle); err != nil {
		return s, err
	}
	s.found = s.unwritten(c, m, missing)
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
		resource, err := r.Policy.Resource(ctx, name)
		switch {
		case errors.Is(err, wire.ErrNewer):
			// the client is registered, and what that grants is not known
			if s.newer == nil {
				s.newer = map[oauth2.ObjectName]string{}
			}
			s.newer[name] = resource.Identifier
		case err != nil:
			return s, err
		default:
			resources[name] = resource
		}
	}
	s.resources = resources
	return s, nil
}

// reservation returns the condition of a chosen client_id that is one of those of a namespace, or
// nil. One that no policy lists exactly is not looked up: its client learns nothing about
// namespaces. One that lost its registration keeps the id that it had before the namespace came.
func reservation(ctx context.Context, policies *policy.Source, c *v1alpha1.OAuth2Client, ceilings oauth2.Ceilings) (*metav1.Condition, error) {
	namespace := oauth2.NamespaceIn(c.Spec.ClientID)
	if namespace == "" || wasRegistered(c) || !ceilings.AllowClientID(c.Spec.ClientID) {
		return nil, nil //nolint:nilnil // there is none
	}
	exists, err := policies.HasNamespace(ctx, namespace)
	if err != nil || !exists {
		return nil, err
	}
	return new(v1alpha1.ClientIDReserved(c.Spec.ClientID, namespace)), nil
}

// wasRegistered reports whether a client without a registration had its id before. By then only its
// status knows: it names what is written for the client, which is not read until it may have the
// id.
func wasRegistered(c *v1alpha1.OAuth2Client) bool {
	return c.Status.ClientID == c.ClientID() && (c.Status.Secret.Name != "" || c.Status.ConfigMap.Name != "")
}

// seeRegistration reads what is registered under the client's id. What another live client holds
// stays its own; what a deleted one left is replaced.
func (r *Reconciler) seeRegistration(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	stored, err := publish.Read(ctx, r.Client, registrationKey(r.RegistryNamespace, c))
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

// seeUnreadable finds out whose a registration is that cannot be read: its annotations name the
// client. One that a newer version wrote stays as it is; any other is written again by the client
// that it names, and is deleted once there is no such client.
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

// formerHolderAgain is how soon a client searches again for the one that had its id.
const formerHolderAgain = time.Minute

// orFormerHolder finds the client that chose the same id and had it before its registration was
// lost, as its status reports. The id stays its own: it is registered again, unless something is in
// its way, and then its status reports nothing that is written for it.
func orFormerHolder(ctx context.Context, from client.Reader, waiters *publish.Waiters, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	if s.held || s.taken || s.obstacle != nil || wasRegistered(c) {
		return s, nil
	}
	var clients v1alpha1.OAuth2ClientList
	if err := from.List(ctx, &clients, client.MatchingFields{indexByClientID: c.ClientID()}, client.UnsafeDisableDeepCopy); err != nil {
		return s, fmt.Errorf("list the clients that chose the client_id %s: %w", c.ClientID(), err)
	}
	for i := range clients.Items {
		if other := &clients.Items[i]; other.UID != c.UID && other.DeletionTimestamp.IsZero() && wasRegistered(other) {
			waiters.Wait(client.ObjectKeyFromObject(c), client.ObjectKeyFromObject(other))
			s.taken, s.again = true, s.at.Earliest.Add(formerHolderAgain)
			break
		}
	}
	return s, nil
}

// registrationKey is where the registration of a client is stored.
func registrationKey(registry string, c *v1alpha1.OAuth2Client) types.NamespacedName {
	return types.NamespacedName{Namespace: registry, Name: registration.SecretName(c.ClientID())}
}

// seeRoom finds out whether the client is one too many. One that is registered stays.
func (r *Reconciler) seeRoom(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	var err error
	s.beyond, err = r.Policy.Beyond(ctx, c, s.ceilings.Limits().Clients)
	return s, err
}

// seeBytes finds out how large the registration may be.
func seeBytes(room *publish.Room) func(context.Context, *v1alpha1.OAuth2Client, seen) (seen, error) {
	return func(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
		var err error
		s.bytes, err = room.Allowance(ctx, registration.SecretName(c.ClientID()), c.Namespace)
		return s, err
	}
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
	s.uses = credential.Uses{Namespace: c.Namespace, Read: evidence.Read, Replicas: evidence.Replicas, LastUsed: map[string]usage.Minute{}}
	for _, v := range s.registered.Client.Credentials.Verifiers {
		s.uses.LastUsed[v.ID] = r.Usage.LastUsed(string(c.UID), v.ID)
	}
	return s, nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2token reconciles OAuth2Tokens: it mints tokens for software that cannot fetch its
// own. It decides as the token endpoint decides, keeps the records of the tokens in the registry,
// and delivers the tokens in Secrets of the users.
package oauth2token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/packed"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/poll"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const workers = 8

// Config is what a Reconciler works with.
type Config struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server itself, before a token is made.
	Live client.Reader
	// Secrets are those of our type; see SecretCache.
	Secrets cache.Cache
	// Informers are those of the cache.
	Informers Names
	Recorder  events.EventRecorder
	Clock     clock.PassiveClock
	Random    io.Reader
	// Audit gets a line for each token that is made, in the words of the token server's.
	Audit logr.Logger

	Issuer            oauth2.Issuer
	RegistryNamespace string
	Policy            *policy.Source
	// MaxLifetime is the longest life of a Fixed token.
	MaxLifetime time.Duration
	// Usage knows when tokens were last used.
	Usage *usagereport.Ledger
	// Waiting are the tokens that wait for what no watch shows. It wakes them, and those whose
	// status has something to add about their use.
	Waiting *poll.Waiting
	// CABundle names the ConfigMap whose ca.crt is needed to trust the issuer; zero if its
	// certificate is not ours.
	CABundle types.NamespacedName
}

// time is the present time as far as it is known.
func (c *Config) time() credential.Time { return credential.Time(apiclock.TimeOf(c.Clock)) }

// Reconciler reconciles OAuth2Tokens.
type Reconciler struct {
	*Config

	backoff  attempt.Backoff
	repairs  attempt.Repairs
	keys     publish.Keys
	grants   grants
	minter   minter
	delivery delivery
	reports  reports
	watches  watches
}

// New returns a Reconciler.
func New(c Config) *Reconciler {
	r := &Reconciler{Config: &c, grants: grants{&c}, minter: minter{Config: &c}, reports: reports{Config: &c}}
	r.delivery = delivery{&c, &r.repairs}
	r.reports.revoked = &r.minter.revoked
	r.watches = watches{&c, &r.backoff, &r.minter.revoked}
	return r
}

// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2tokens,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2tokens/status,verbs=patch

// Reconcile reconciles one token. A second run without a change writes nothing.
func (r *Reconciler) Reconcile(ctx context.Context, object *v1alpha1.OAuth2Token) (ctrl.Result, error) {
	if !object.DeletionTimestamp.IsZero() || r.reports.written.Behind(object) {
		// what a deleted one leaves goes by garbage collection and by the registry's own
		// controller
		return ctrl.Result{}, nil
	}
	key, before := client.ObjectKeyFromObject(object), r.state(ctx, object)
	return r.backoff.Run(key, before, r.Clock.Now, func() (ctrl.Result, attempt.State, error) {
		s := &state{}
		result, err := r.attempt(ctx, object, s)
		// a refusal, which the backoff spaces: damped as a repair, it would be reported as
		// another
		if errors.Is(err, output.ErrAltered) {
			r.repairs.Drop(object)
		}
		return result, s.leaves(before), err
	})
}

func (r *Reconciler) attempt(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) (ctrl.Result, error) {
	err := r.ensure(ctx, object, s)
	if errors.Is(err, output.ErrGone) {
		return ctrl.Result{}, nil
	}
	damping := r.repairs.Damping(object, r.Clock.Now())
	if damping != nil {
		s.unstable = new(v1alpha1.RepairDoesNotHold("Secret", secretName(object), damping.Count, damping.Pause))
	}
	if errors.Is(err, wire.ErrNewer) { // the record wakes the token once it can be written
		s.condition, err = new(v1alpha1.NewerRecord()), nil
	}
	if err != nil && !errors.Is(err, attempt.ErrDamped) {
		failed := r.reports.failure(ctx, object, s, err)
		if s.noRoom != nil {
			return r.wait(object, s), failed
		}
		return ctrl.Result{}, errors.Join(err, failed)
	}
	r.Policy.Room.Done(kind, client.ObjectKeyFromObject(object))
	r.Waiting.Expect(client.ObjectKeyFromObject(object), poll.Expected(secretName(object), s.condition))
	stalls, err := r.reports.write(ctx, object, s)
	if err != nil {
		return ctrl.Result{}, err
	}
	again := s.lookAgain(object, stalls, r.Clock.Now())
	if damping != nil && (again == 0 || again > damping.Again()) {
		again = damping.Again()
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// kind is that of the objects that wait for room.
const kind = "OAuth2Token"

// wait has an OAuth2Token woken when there is room for its record. Where room came since it was
// looked for, it is reconciled again.
func (r *Reconciler) wait(object *v1alpha1.OAuth2Token, s *state) ctrl.Result {
	if r.Policy.Room.Wait(kind, client.ObjectKeyFromObject(object), r.recordKey(object).Name, registration.WeighToken(s.record)) {
		return ctrl.Result{}
	}
	return ctrl.Result{RequeueAfter: time.Second}
}

// ensure runs the steps until one reports an obstacle.
func (r *Reconciler) ensure(ctx context.Context, object *v1alpha1.OAuth2Token, s *state) error {
	for _, step := range []func(context.Context, *v1alpha1.OAuth2Token, *state) error{
		r.findRecord, r.checkRoom, r.grants.findClient, r.grants.decide, r.checkLifetime, r.delivery.findSecret, r.grants.findCA, checkTemplates, r.ensureToken,
		r.delivery.applySecret,
	} {
		if err := step(ctx, object, s); err != nil || s.condition != nil {
			return err
		}
	}
	return nil
}

// lookAgain is when something is due that no watch announces. stalls is when the object becomes
// Stalled.
func (s *state) lookAgain(object *v1alpha1.OAuth2Token, stalls, now time.Time) time.Duration {
	if !stalls.IsZero() {
		return max(stalls.Sub(now), time.Second)
	}
	if !s.found {
		return 0
	}
	instants := []time.Time{credential.Renewal(s.current, string(object.UID))}
	if s.revoked {
		instants = append([]time.Time{s.current.IssuedAt.Add(minAge)}, instants...)
	}
	if object.Spec.Mode == v1alpha1.TokenFixed {
		instants = []time.Time{credential.Warning(s.current), s.current.ExpiresAt}
	}
	for _, instant := range instants {
		if instant.After(now) {
			return max(instant.Sub(now), time.Second)
		}
	}
	return 0
}

// indexByClient finds the OAuth2Tokens of a client.
const indexByClient = "spec.clientRef.name"

func indexedClient(o client.Object) []string {
	if token, ok := o.(*v1alpha1.OAuth2Token); ok {
		return []string{token.Spec.ClientRef.Name}
	}
	return nil
}

// SecretCache is a cache of the Secrets that hold tokens: one cache cannot select two types. Of the
// values it keeps the tokens.
func SecretCache(mgr ctrl.Manager, informers *packed.Informers, namespaces []string) (cache.Cache, error) {
	trim := output.Trim{
		Annotation: v1alpha1.AnnotationToken,
		Alive:      func(owner types.NamespacedName) bool { return !informers.Absent(&v1alpha1.OAuth2Token{}, owner) },
		Value: func(value []byte) []byte {
			if !bytes.HasPrefix(value, []byte(oauth2.OpaqueTokenPrefix)) && bytes.Count(value, []byte{'.'}) != 2 || bytes.ContainsRune(value, ' ') {
				return nil
			}
			return value
		},
	}
	return output.SecretCache(mgr, informers,
		cache.ByObject{Field: fields.OneTermEqualSelector("type", v1alpha1.SecretTypeToken), Transform: trim.Transform}, namespaces)
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	for field, values := range map[string]client.IndexerFunc{indexByClient: indexedClient, indexByTokenID: indexedTokenID} {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.OAuth2Token{}, field, values); err != nil {
			return fmt.Errorf("index OAuth2Tokens by %s: %w", field, err)
		}
	}
	if err := output.IndexByOwner(context.Background(), r.Secrets, &corev1.Secret{}, v1alpha1.AnnotationToken); err != nil {
		return err
	}
	deletions := fair.NewBurst(r.waitingForRoom)
	changedSpec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	building := ctrl.NewControllerManagedBy(mgr).
		Named("oauth2token").
		For(&v1alpha1.OAuth2Token{}).
		// A Secret that is edited or deleted is healed.
		WatchesRawSource(source.Kind(r.Secrets, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(tokenOfSecret))).
		// Its status shows its use, at a bounded rate. What it waits for and no watch shows
		// has changed.
		WatchesRawSource(source.Channel(r.Waiting.Woken, &handler.EnqueueRequestForObject{})).
		// A record that is lost is written again; a client, a resource or the keys may have
		// changed.
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.watches.tokensOfRecord)).
		Watches(&v1alpha1.OAuth2Client{}, handler.EnqueueRequestsFromMapFunc(r.watches.tokensOfClient), changedSpec).
		// What its owner allows of Fixed tokens is not in the record of a resource.
		Watches(&v1alpha1.OAuth2Resource{}, handler.EnqueueRequestsFromMapFunc(r.watches.tokensOfDeclared), changedSpec).
		// A revoked token is replaced.
		Watches(&v1alpha1.TokenRevocation{}, r.watches.onRevocation()).
		// Every Secret holds the CA.
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.watches.tokensOfBundle)).
		// The state of a deleted token is dropped, and it makes room for another one.
		Watches(&v1alpha1.OAuth2Token{}, handler.Funcs{DeleteFunc: r.afterDeletion(deletions)}).
		WatchesRawSource(deletions.Source()).
		// One that there was no room for, by the bytes of its record.
		WatchesRawSource(source.Channel(r.Policy.Room.Woken(kind), &handler.EnqueueRequestForObject{})).
		WithOptions(fair.Options(workers, attempt.RateLimiter(), nil))
	if !r.Policy.Namespaced() {
		// Policies, and the labels that they select namespaces by.
		building.Watches(&v1alpha1.OAuth2Policy{}, handler.EnqueueRequestsFromMapFunc(r.watches.everyToken), changedSpec).
			WatchesMetadata(policy.NamespaceMetadata(), handler.EnqueueRequestsFromMapFunc(r.watches.tokensOfNamespace),
				builder.WithPredicates(predicate.LabelChangedPredicate{}))
	}
	if err := building.Complete(deletions.Before(reconcile.AsReconciler(mgr.GetClient(), r))); err != nil {
		return fmt.Errorf("set up the OAuth2Token controller: %w", err)
	}
	return nil
}

// ownerOf is the OAuth2Token as the owner of what is written for it.
func ownerOf(object *v1alpha1.OAuth2Token) output.Owner {
	return output.Owner{
		NamespacedName: client.ObjectKeyFromObject(object), Kind: "OAuth2Token", Annotation: v1alpha1.AnnotationToken, UID: object.UID,
		Generation: object.Generation,
	}
}

// state is what the caches have of an OAuth2Token, its record and its Secret. A change of it by
// others ends a pause.
func (r *Reconciler) state(ctx context.Context, object *v1alpha1.OAuth2Token) attempt.State {
	secret := types.NamespacedName{Namespace: object.Namespace, Name: secretName(object)}
	return attempt.StateOf(object,
		output.Version(ctx, r.Client, &corev1.Secret{}, r.recordKey(object)),
		output.Version(ctx, r.Secrets, &corev1.Secret{}, secret))
}

// leaves is the state after an attempt that began with another state.
func (s *state) leaves(state attempt.State) attempt.State {
	state = state.Recorded(s.stored)
	if s.secret != nil {
		state.Versions[1] = s.secret.GetResourceVersion()
	}
	return state
}

// afterDeletion drops the state of an OAuth2Token that was deleted, and gives away the room that it
// leaves, once a burst of deletions.
func (r *Reconciler) afterDeletion(deletions fair.Burst) func(context.Context, event.DeleteEvent, workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	return func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		r.backoff.End(client.ObjectKeyFromObject(e.Object))
		r.Waiting.Expect(client.ObjectKeyFromObject(e.Object), poll.Object{})
		r.Policy.Room.Done(kind, client.ObjectKeyFromObject(e.Object))
		r.minter.proposals.Drop(e.Object.GetUID())
		r.reports.announced.Drop(e.Object.GetUID())
		r.reports.unanswered.Drop(e.Object.GetUID())
		r.reports.over.Drop(e.Object.GetUID())
		r.repairs.Drop(e.Object)
		r.reports.written.Forget(e.Object)
		r.reports.copies.Forget(e.Object)
		r.Usage.Absent(string(e.Object.GetUID()))
		deletions.Note(e.Object.GetNamespace(), queue)
	}
}

// waitingForRoom finds the OAuth2Tokens of a namespace that there was no room for and is now, and
// ends their pauses.
func (r *Reconciler) waitingForRoom(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	waiting, err := r.Policy.WaitingForRoom(ctx, &v1alpha1.OAuth2Token{}, namespace)
	for _, key := range waiting {
		r.backoff.End(key)
	}
	return waiting, err
}

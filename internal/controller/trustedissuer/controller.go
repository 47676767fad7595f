// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trustedissuer compiles OAuth2TrustedIssuers into the records that the token server
// verifies JWTs by: it fetches the keys of each, resolves the selectors to names of namespaces, and
// reports in the status what is in the way.
package trustedissuer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const (
	// workers is how many issuers are reconciled at once. One that does not answer keeps its
	// worker for ten seconds.
	workers = 8
	// countLag is how long a change of clients waits for others.
	countLag = time.Second
)

// Reconciler makes OAuth2TrustedIssuers true.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server itself, before
	// anything is taken for gone.
	Client client.Client
	Live   client.Reader
	Policy *policy.Source
	// Fetcher fetches keys. SystemNamespace has the ConfigMaps with keys.
	Fetcher         issuerkeys.Fetcher
	SystemNamespace string
	// ClusterIssuer returns the issuer of the tokens of this cluster's service accounts.
	ClusterIssuer func(context.Context) (string, error)

	Issuer            oauth2.Issuer
	RegistryNamespace string
	Clock             clock.PassiveClock
	Recorder          events.EventRecorder

	backoff attempt.Backoff
	contest status.Contest
	fetches fetches
}

// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2trustedissuers,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2trustedissuers/status,verbs=patch

// Reconcile makes one issuer true. A second run without a change, and before the next fetch is due,
// writes nothing.
func (r *Reconciler) Reconcile(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer) (ctrl.Result, error) {
	if !object.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // its record goes by the registry's own controller
	}
	key, before := client.ObjectKeyFromObject(object), r.state(ctx, object)
	return r.backoff.Run(key, before, r.Clock.Now, func() (ctrl.Result, attempt.State, error) {
		s := &state{now: r.Clock.Now()}
		if err := r.attempt(ctx, object, s); err != nil {
			return ctrl.Result{}, before.Recorded(s.stored), errors.Join(err, r.reportFailure(ctx, object, s, err))
		}
		return ctrl.Result{RequeueAfter: s.again(r.Clock.Now())}, before, nil
	})
}

func (r *Reconciler) attempt(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer, s *state) error {
	for _, step := range []func(context.Context, *v1alpha1.OAuth2TrustedIssuer, *state) error{
		r.compile, r.findRecord, r.findRefusal, r.findKeys, r.publish,
	} {
		err := step(ctx, object, s)
		// the record wakes the issuer once it can be written
		if errors.Is(err, wire.ErrNewer) {
			s.obstacle, err = new(v1alpha1.NewerRecord()), nil
		}
		if err != nil {
			return err
		}
	}
	return r.report(ctx, object, s)
}

// state is what the cache has of an issuer and of its record. A change of it by others ends a
// pause.
func (r *Reconciler) state(ctx context.Context, object *v1alpha1.OAuth2TrustedIssuer) attempt.State {
	return attempt.StateOf(object, output.Version(ctx, r.Client, &corev1.Secret{}, r.recordKey(object.Name)))
}

// recordKey is where the record of an issuer is stored.
func (r *Reconciler) recordKey(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.IssuerSecretName(name)}
}

// indexByIssuer finds the OAuth2TrustedIssuers of an issuer.
const indexByIssuer = "spec.issuer"

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.OAuth2TrustedIssuer{}, indexByIssuer, func(o client.Object) []string {
		if issuer, ok := o.(*v1alpha1.OAuth2TrustedIssuer); ok {
			return []string{issuerOf(issuer)}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index OAuth2TrustedIssuers by their issuer: %w", err)
	}
	to := handler.EnqueueRequestsFromMapFunc
	err = ctrl.NewControllerManagedBy(mgr).
		Named("oauth2trustedissuer").
		For(&v1alpha1.OAuth2TrustedIssuer{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		// One that comes or goes concerns those of the same issuer.
		Watches(&v1alpha1.OAuth2TrustedIssuer{}, handler.Funcs{
			CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.wakeSame(ctx, e.Object, q) },
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
				r.fetches.forget(e.Object.GetUID())
				r.wakeSame(ctx, e.Object, q)
			},
		}).
		// A record that is lost or edited is written again.
		Watches(&corev1.Secret{}, to(r.issuerOfRecord)).
		// Selectors are resolved to names here.
		WatchesMetadata(policy.NamespaceMetadata(), to(r.everyIssuer), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		// Clients are counted.
		Watches(&v1alpha1.OAuth2Client{}, counting, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: attempt.RateLimiter()}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
	if err != nil {
		return fmt.Errorf("set up the OAuth2TrustedIssuer controller: %w", err)
	}
	return nil
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func request(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}

func (r *Reconciler) wakeSame(ctx context.Context, o client.Object, q queue) {
	issuer, ok := o.(*v1alpha1.OAuth2TrustedIssuer)
	if !ok {
		return
	}
	for _, other := range r.list(ctx, client.MatchingFields{indexByIssuer: issuerOf(issuer)}) {
		if other.Name != issuer.Name {
			q.Add(other)
		}
	}
}

func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var issuers v1alpha1.OAuth2TrustedIssuerList
	if err := r.Client.List(ctx, &issuers, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the trusted issuers that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(issuers.Items))
	for i := range issuers.Items {
		requests = append(requests, request(issuers.Items[i].Name))
	}
	return requests
}

func (r *Reconciler) everyIssuer(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.list(ctx)
}

func (r *Reconciler) issuerOfRecord(_ context.Context, o client.Object) []reconcile.Request {
	name := o.GetAnnotations()[v1alpha1.AnnotationTrustedIssuer]
	if o.GetNamespace() != r.RegistryNamespace || name == "" {
		return nil
	}
	return []reconcile.Request{request(name)}
}

// counting wakes the issuer that a client names, or named before, after countLag.
var counting = handler.Funcs{ //nolint:gochecknoglobals // constant functions
	CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { count(q, e.Object) },
	UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { count(q, e.ObjectOld, e.ObjectNew) },
	DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { count(q, e.Object) },
}

func count(q queue, clients ...client.Object) {
	for _, o := range clients {
		c, ok := o.(*v1alpha1.OAuth2Client)
		if !ok {
			continue
		}
		for _, name := range policy.IssuersOf(c) {
			q.AddAfter(request(name), countLag)
		}
	}
}

// ChangesClients reports whether a change of a Secret of the registry is one of what a trusted
// issuer lets clients do. Fetched keys are none.
func ChangesClients(before, after client.Object) bool {
	was, is := issuerIn(before), issuerIn(after)
	for _, issuer := range []*oauth2.TrustedIssuer{was, is} {
		if issuer != nil {
			issuer.Keys.Set, issuer.Keys.FetchedAt, issuer.Keys.Until = "", time.Time{}, time.Time{}
		}
	}
	return !reflect.DeepEqual(was, is)
}

func issuerIn(o client.Object) *oauth2.TrustedIssuer {
	secret, ok := o.(*corev1.Secret)
	if !ok || secret.Type != registration.IssuerSecretType {
		return nil
	}
	issuer, err := registration.DecodeIssuer(secret.Data)
	if err != nil {
		return nil
	}
	return &issuer
}

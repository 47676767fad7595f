// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2resource compiles OAuth2Resources into the records that the token server decides
// by, one a resource, with every selector resolved to names, and counts in their status who holds
// what.
package oauth2resource

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/fair"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const (
	workers = 4
	// countLag is how long a change of clients waits for others, so that the count in a status
	// is written once for all that come together.
	countLag = time.Second
)

// Reconciler makes OAuth2Resources true.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads from the API server itself, before
	// anything is taken for gone.
	Client client.Client
	Live   client.Reader
	Policy *policy.Source

	RegistryNamespace string
	// ReservedIdentifiers are audiences that mean something else already, such as those of the
	// API server.
	ReservedIdentifiers []string
	Recorder            events.EventRecorder

	backoff attempt.Backoff
	contest status.Contest
	// waiters are the resources whose identifier another resource holds.
	waiters publish.Waiters
}

// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2resources,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2resources/status,verbs=patch

// state is what one reconcile read.
type state struct {
	// resource is the record as it should be, stored what there is, held whether that is this
	// resource's, and before what it was then.
	resource oauth2.Resource
	stored   *corev1.Secret
	held     bool
	before   oauth2.Resource
	// wants is what the record would weigh that there is no room for; zero if there is.
	wants int
	// ceilings are what policies allow in the namespace.
	ceilings oauth2.Ceilings
	// ready and grants are why it does not serve, or not in full; nil if nothing is in the way.
	// limits is the limit beyond which it exists, or nil.
	ready, grants, limits *metav1.Condition
	// missing are the namespaces that grants name and that do not exist.
	missing []string
	// again is in what time to check again whether another resource registers an identifier
	// again that it had; zero if none does.
	again time.Duration
}

// Reconcile makes one resource true. A second run without a change writes nothing.
func (r *Reconciler) Reconcile(ctx context.Context, object *v1alpha1.OAuth2Resource) (ctrl.Result, error) {
	if !object.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // its record goes by the registry's own controller
	}
	key, before := client.ObjectKeyFromObject(object), r.state(ctx, object)
	return r.backoff.Run(key, before, time.Now, func() (ctrl.Result, attempt.State, error) {
		s := &state{}
		if err := r.attempt(ctx, object, s); err != nil {
			return ctrl.Result{}, before.Recorded(s.stored), errors.Join(err, r.reportFailure(ctx, object, s, err))
		}
		if s.wants == 0 {
			r.Policy.Room.Done(kind, key)
		} else if !r.Policy.Room.Wait(kind, key, r.recordKey(s.resource.Identifier).Name, s.wants) {
			s.again = time.Second // room came since it was looked for
		}
		return ctrl.Result{RequeueAfter: s.again}, before, nil
	})
}

// kind is that of the objects that wait for room.
const kind = "OAuth2Resource"

func (r *Reconciler) attempt(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	for _, step := range []func(context.Context, *v1alpha1.OAuth2Resource, *state) error{
		r.compile, r.findRecord, r.checkRoom, r.checkIdentifier, r.publish,
	} {
		err := step(ctx, object, s)
		// others took the room since it was looked for
		if errors.Is(err, publish.ErrNoRoom) {
			s.again = time.Second
			return nil
		}
		// the record wakes the resource once it can be written
		if errors.Is(err, wire.ErrNewer) {
			s.ready, err = new(v1alpha1.NewerRecord()), nil
		}
		if err != nil {
			return err
		}
		if s.ready != nil {
			break
		}
	}
	return r.report(ctx, object, s)
}

// state is what the cache has of a resource and of its record. A change of it by others ends a
// pause.
func (r *Reconciler) state(ctx context.Context, object *v1alpha1.OAuth2Resource) attempt.State {
	return attempt.StateOf(object, output.Version(ctx, r.Client, &corev1.Secret{}, r.recordKey(r.Policy.Identifier(object))))
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	records := predicate.NewPredicateFuncs(func(o client.Object) bool {
		secret, ok := o.(*corev1.Secret)
		return ok && secret.Namespace == r.RegistryNamespace && secret.Type == registration.ResourceSecretType
	})
	for field, index := range map[string]client.IndexerFunc{
		indexBySelector: indexedSelector, indexByNamespace: indexedNamespaces, indexByIdentifier: indexedIdentifier,
	} {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.OAuth2Resource{}, field, index); err != nil {
			return fmt.Errorf("index OAuth2Resources by %s: %w", field, err)
		}
	}
	deletions := fair.NewBurst(func(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
		return r.Policy.WaitingForRoom(ctx, &v1alpha1.OAuth2Resource{}, namespace)
	})
	everyResource := handler.EnqueueRequestsFromMapFunc(r.everyResource)
	building := ctrl.NewControllerManagedBy(mgr).
		Named("oauth2resource").
		For(&v1alpha1.OAuth2Resource{}).
		// One that goes makes room for another one, and frees its identifier.
		Watches(&v1alpha1.OAuth2Resource{}, handler.Funcs{DeleteFunc: r.afterDeletion(deletions)}).
		WatchesRawSource(deletions.Source()).
		// One that there was no room for, by the bytes of its record.
		WatchesRawSource(source.Channel(r.Policy.Room.Woken(kind), &handler.EnqueueRequestForObject{})).
		// A record that is lost or edited is written again.
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(resourceOfRecord), builder.WithPredicates(records)).
		// Tokens that act for others are held back until every token server reads them.
		Watches(&v1alpha1.UsageReport{}, handler.EnqueueRequestsFromMapFunc(r.actingForOthers), builder.WithPredicates(readers)).
		// Clients are counted.
		Watches(&v1alpha1.OAuth2Client{}, counting, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}))).
		WithOptions(fair.Options(workers, attempt.RateLimiter(), nil))
	if !r.Policy.Namespaced() {
		// Selectors are resolved to names here, and policies limit what may be chosen.
		building = building.
			WatchesMetadata(policy.NamespaceMetadata(), handler.EnqueueRequestsFromMapFunc(r.resourcesOfNamespace),
				builder.WithPredicates(predicate.LabelChangedPredicate{})).
			Watches(&v1alpha1.OAuth2Policy{}, everyResource, builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	}
	if err := building.Complete(deletions.Before(reconcile.AsReconciler(mgr.GetClient(), r))); err != nil {
		return fmt.Errorf("set up the OAuth2Resource controller: %w", err)
	}
	return nil
}

// afterDeletion wakes the resources that wait for the identifier of a deleted one, and gives away
// the room that it leaves, once a burst of deletions.
func (r *Reconciler) afterDeletion(deletions fair.Burst) func(context.Context, event.DeleteEvent, queue) {
	return func(_ context.Context, e event.DeleteEvent, q queue) {
		r.Policy.Room.Done(kind, client.ObjectKeyFromObject(e.Object))
		for _, key := range r.waiters.Deleted(client.ObjectKeyFromObject(e.Object)) {
			r.backoff.End(key)
			q.Add(reconcile.Request{NamespacedName: key})
		}
		deletions.Note(e.Object.GetNamespace(), q)
	}
}

func resourceOfRecord(_ context.Context, o client.Object) []reconcile.Request {
	owner := types.NamespacedName{
		Namespace: o.GetAnnotations()[v1alpha1.AnnotationResourceNamespace], Name: o.GetAnnotations()[v1alpha1.AnnotationResource],
	}
	if owner.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: owner}}
}

// everyResource finds them all.
func (r *Reconciler) everyResource(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.list(ctx)
}

// resourcesOfNamespace finds the resources of a namespace, those with a grant to it, and those that
// select namespaces by labels. It ends no pause: namespaces come and go all day.
func (r *Reconciler) resourcesOfNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return slices.Concat(r.list(ctx, client.InNamespace(namespace.GetName())), r.list(ctx, client.MatchingFields{indexByNamespace: namespace.GetName()}),
		r.list(ctx, client.MatchingFields{indexBySelector: anySelector}))
}

// indexBySelector finds the OAuth2Resources with a grant to namespaces that a selector selects,
// indexByNamespace those with a grant to a namespace by its name, and indexByIdentifier those that
// chose an identifier.
const (
	indexByIdentifier = "spec.identifier"
	indexBySelector   = "spec.grants.from.namespaceSelector"
	indexByNamespace  = "spec.grants.from.namespaces"
	anySelector       = "any"
)

func indexedNamespaces(o client.Object) []string {
	resource, ok := o.(*v1alpha1.OAuth2Resource)
	if !ok {
		return nil
	}
	var names []string
	for _, grant := range resource.Spec.Grants {
		names = append(names, policy.Texts(grant.From.Namespaces)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func indexedIdentifier(o client.Object) []string {
	if resource, ok := o.(*v1alpha1.OAuth2Resource); ok && resource.Spec.Identifier != "" {
		return []string{resource.Spec.Identifier}
	}
	return nil
}

func indexedSelector(o client.Object) []string {
	resource, ok := o.(*v1alpha1.OAuth2Resource)
	if ok && slices.ContainsFunc(resource.Spec.Grants, func(g v1alpha1.ResourceGrant) bool { return len(g.From.NamespaceSelector.MatchLabels) > 0 }) {
		return []string{anySelector}
	}
	return nil
}

func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var resources v1alpha1.OAuth2ResourceList
	if err := r.Client.List(ctx, &resources, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the resources that a change concerns")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(resources.Items))
	for i := range resources.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&resources.Items[i])})
	}
	return requests
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// counting wakes the resources that a client asks for, or asked for before, after countLag.
var counting = handler.Funcs{ //nolint:gochecknoglobals // constant functions
	CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { count(q, e.Object) },
	UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { count(q, e.ObjectOld, e.ObjectNew) },
	DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { count(q, e.Object) },
}

func count(q queue, clients ...client.Object) {
	for _, o := range clients {
		if asking, ok := o.(*v1alpha1.OAuth2Client); ok {
			for _, access := range asking.Spec.Access {
				key := types.NamespacedName{Namespace: string(access.ResourceNamespace), Name: access.ResourceName}
				q.AddAfter(reconcile.Request{NamespacedName: key}, countLag)
			}
		}
	}
}

// publish writes the record if it differs from what is stored, on the version that was read.
func (r *Reconciler) publish(ctx context.Context, object *v1alpha1.OAuth2Resource, s *state) error {
	data, err := encode(s.resource)
	if err == nil || errors.Is(err, registration.ErrTooLarge) {
		data, err = r.limit(ctx, s, data)
	}
	if err != nil || data == nil {
		return err
	}
	s.stored, err = publish.Write(ctx, r.Client, s.stored, publish.Record{
		NamespacedName: r.recordKey(s.resource.Identifier),
		Of:             "resource " + s.resource.Identifier,
		Type:           registration.ResourceSecretType,
		Annotations: map[string]string{
			registration.AnnotationResource:      s.resource.Identifier,
			v1alpha1.AnnotationResourceNamespace: object.Namespace,
			v1alpha1.AnnotationResource:          object.Name,
		},
		Data:   data,
		Room:   r.Policy.Room,
		Forced: s.wants > 0,
	})
	return err
}

// limit returns the record that is written where the wanted one is too large, or has no room in the
// memory of the token servers; nil for none. Data is the wanted one, or nil if no Secret can hold
// it. Namespaces that are created by others must not end what was granted before, and the stored
// record may grant what the spec has withdrawn since.
func (r *Reconciler) limit(ctx context.Context, s *state, data map[string][]byte) (map[string][]byte, error) {
	allowance, err := r.Policy.Room.Allowance(ctx, r.recordKey(s.resource.Identifier).Name, s.resource.Namespace)
	if err != nil {
		return nil, err
	}
	weigh := func() int { return registration.Weigh(registration.ResourceSecretType, data) }
	if len(s.resource.Descriptions) > 0 && (data == nil || registration.SizeOfResource(data) > registration.MaxResource || !allowance.Fits(weigh())) {
		// what is granted matters more than how a page describes it
		s.resource.Descriptions = nil
		if data, err = encode(s.resource); err != nil && !errors.Is(err, registration.ErrTooLarge) {
			return nil, err
		}
	}
	if size := registration.SizeOfResource(data); data == nil || size > registration.MaxResource {
		s.resource = keepConsents(s.resource, s.before)
		kept, err := encode(s.resource)
		if err != nil {
			return nil, err
		}
		if maps.EqualFunc(kept, data, bytes.Equal) {
			s.limits = cmp.Or(s.limits, new(v1alpha1.LargeResourceKept(size, registration.MaxResource)))
		} else {
			s.ready = new(v1alpha1.ResourceTooLarge(registration.MaxResource))
		}
		data = kept
	}
	weight := weigh()
	if allowance.Fits(weight) {
		return data, nil
	}
	s.wants, s.ready = weight, new(allowance.Condition(weight, s.held))
	if !s.held {
		return nil, nil //nolint:nilnil // that nothing is written is an answer
	}
	s.resource = restrict(s.resource, s.before)
	return encode(s.resource)
}

// restrict removes from a resource what its record did not have before. An empty list of
// introspectors would allow more: one of the list stays.
func restrict(resource, before oauth2.Resource) oauth2.Resource {
	resource = keepConsents(resource, before)
	resource.Scopes = slices.DeleteFunc(slices.Clone(resource.Scopes), func(scope string) bool { return !slices.Contains(before.Scopes, scope) })
	kept := slices.DeleteFunc(slices.Clone(resource.Introspectors), func(name oauth2.ObjectName) bool { return !slices.Contains(before.Introspectors, name) })
	if len(kept) == 0 && len(resource.Introspectors) > 0 {
		kept = resource.Introspectors[:1]
	}
	resource.Introspectors, resource.DisplayName = kept, before.DisplayName
	return resource
}

// keepConsents removes from a resource the consents that its record did not have before.
func keepConsents(resource, before oauth2.Resource) oauth2.Resource {
	resource.Consents, resource.Users = oauth2.KeepConsents(resource.Consents, before.Consents), oauth2.KeepConsents(resource.Users, before.Users)
	resource.Exchanged = oauth2.KeepConsents(resource.Exchanged, before.Exchanged)
	resource.ExchangedUsers = oauth2.KeepConsents(resource.ExchangedUsers, before.ExchangedUsers)
	resource.ExchangeHeld = resource.ExchangeHeld && len(resource.Exchanged) > 0
	resource.UsersHeld = resource.UsersHeld && len(resource.Users)+len(resource.ExchangedUsers) > 0
	return resource
}

func encode(resource oauth2.Resource) (map[string][]byte, error) {
	resource.Consents, resource.Users = oauth2.MergeConsents(resource.Consents), oauth2.MergeConsents(resource.Users)
	resource.Exchanged, resource.ExchangedUsers = oauth2.MergeConsents(resource.Exchanged), oauth2.MergeConsents(resource.ExchangedUsers)
	return registration.EncodeResource(resource)
}

// recordKey is where the record of the resource with an identifier is stored.
func (r *Reconciler) recordKey(identifier string) types.NamespacedName {
	return types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.ResourceSecretName(identifier)}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2client makes OAuth2Clients true: it registers each one, keeps its credentials in a
// Secret beside it and reports the result in the status. It writes no spec, sets no finalizer and
// never touches a Secret that is not the client's.
package oauth2client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
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

// workers is how many clients are reconciled at once; most of the time each waits for the API
// server. No more than reporters of them write a status: where the status of all clients is due, a
// change of a grant and a new client must not queue behind them.
const (
	workers   = 64
	reporters = 16
)

// Reconciler makes OAuth2Clients true.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server: before anything random is made or taken for gone.
	Live client.Reader
	// Declared reads the Secrets that users let us read by a label; see DeclaredCache.
	Declared cache.Cache
	Recorder events.EventRecorder
	// Audit gets a line for each change of a credential.
	Audit  logr.Logger
	Clock  clock.PassiveClock
	Random io.Reader

	Installation      Installation
	RegistryNamespace string
	// Policy has the policies on clients, and what the owners of resources consent to.
	Policy *policy.Source
	// Usage knows when clients were last used.
	Usage *usagereport.Ledger
	// Waiting are the clients that wait for what no watch shows. It wakes them, and those whose
	// status has more to report.
	Waiting *poll.Waiting
	// Informers are those of the cache. They find names without unpacking objects.
	Informers Names

	memory memory
}

// Installation is what clients are given to reach the token server and login.
type Installation struct {
	Issuer oauth2.Issuer
	// LoginURL is the origin of login; empty if the installation has none.
	LoginURL string
	// CABundle names the ConfigMap with the CA of the issuer; zero if its certificate is not
	// ours.
	CABundle types.NamespacedName
}

// Names finds the names of objects in the cache.
type Names interface {
	Names(like client.Object) []types.NamespacedName
	Indexed(like client.Object, field, namespace, value string) ([]types.NamespacedName, error)
}

// What users ask for. There is no write verb here: the operator never writes into a spec.
//
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2clients,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2clients/status,verbs=patch

// The credentials of the users, and the registrations, signing keys and certificates of our own
// namespaces.
//
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete

// Events about the users' objects; patch counts up one that repeats.
//
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile makes one client true. A second run without a change writes nothing.
func (r *Reconciler) Reconcile(ctx context.Context, c *v1alpha1.OAuth2Client) (ctrl.Result, error) {
	if !c.DeletionTimestamp.IsZero() || r.memory.written.Behind(c) {
		// what a deleted one leaves goes by garbage collection and by the registry's own
		// controller
		return ctrl.Result{}, nil
	}
	writer := r.Client
	if len(c.Status.Conditions) > 0 { // what was reported is there, and a write is a repair
		writer = r.memory.repairs.Client(writer, c, r.Clock.Now)
	}
	declared := declaredReader{r.Declared, r.Live, &r.memory.declared, r.Clock}
	m := methodOf(c, writer, r.Live, declared, generationKeys{r.Client, r.Live, r.RegistryNamespace, r.Random, &r.memory.generationKey})
	key, before := client.ObjectKeyFromObject(c), r.state(ctx, c, m)
	return r.memory.backoff.Run(key, before, r.Clock.Now, func() (ctrl.Result, attempt.State, error) {
		result, s, err := r.attempt(ctx, c, m)
		// a refusal, which the backoff spaces: damped as a repair, it would be reported as
		// another
		if errors.Is(err, output.ErrAltered) {
			r.memory.repairs.Drop(c)
		}
		return result, s.leaves(before), err
	})
}

// attempt sees, decides, does and reports. It returns what there is then, also with an error.
func (r *Reconciler) attempt(ctx context.Context, c *v1alpha1.OAuth2Client, m method) (ctrl.Result, seen, error) {
	s, d, err := r.look(ctx, c, m)
	looked := err == nil
	if looked {
		if u, done := r.memory.answered(c.UID, s); done {
			journal{r.Recorder, r.Audit}.published(c, u)
		}
		s, d, err = r.do(ctx, c, m, s, d)
	}
	switch {
	case errors.Is(err, errExpected):
		// as what wakes it, when nothing else waits; see lowPriority
		return ctrl.Result{RequeueAfter: expectedFor, Priority: new(handler.LowPriority)}, s, nil
	case errors.Is(err, output.ErrGone):
		return ctrl.Result{}, s, nil
	case errors.Is(err, wire.ErrNewer):
		// the registration wakes the client once it can be written
		d.obstacle = new(v1alpha1.NewerRecord())
		wanted, _ := statusOf(c, m, s, d)
		return ctrl.Result{}, s, r.report(ctx, c, wanted)
	case errors.Is(err, attempt.ErrDamped):
	case errors.Is(err, publish.ErrNoRoom) && looked:
		d.wants = registration.WeighClient(d.registration().Client)
		return wait(r.Policy.Room, c, d), s, r.reportFailure(ctx, c, m, s, d, err)
	case err != nil && looked:
		return ctrl.Result{}, s, errors.Join(err, r.reportFailure(ctx, c, m, s, d, err))
	case err != nil:
		return ctrl.Result{}, s, errors.Join(err, r.reportUnseen(ctx, c, err))
	}
	var heals time.Time
	d.failure, heals = r.damping(c, m.kind())
	r.Waiting.Expect(client.ObjectKeyFromObject(c), poll.Expected(secretName(c), d.condition(), s.conflict))
	r.announce(c, s, d)
	wanted, stalls := statusOf(c, m, s, d)
	result := wait(r.Policy.Room, c, d)
	if result.RequeueAfter == 0 {
		// also behind an obstacle: the status has it once it is due
		due := wanted.Rotation.NextAt.Time
		if !due.After(s.at.Earliest) {
			due = time.Time{}
		}
		result.RequeueAfter = d.again(r.Clock.Now(), stalls, credential.Earliest(heals, s.again, due))
	}
	return result, s, r.report(ctx, c, wanted)
}

// kind is that of the objects that wait for room.
const kind = "OAuth2Client"

// wait has a client woken when there is room for its registration. Where room came since it was
// looked for, the client is reconciled again.
func wait(room *publish.Room, c *v1alpha1.OAuth2Client, d decision) ctrl.Result {
	switch key := client.ObjectKeyFromObject(c); {
	case d.wants == 0:
		room.Done(kind, key)
	case !room.Wait(kind, key, registration.SecretName(c.ClientID()), d.wants):
		return ctrl.Result{RequeueAfter: time.Second}
	}
	return ctrl.Result{}
}

// damping is why repairs of what is written for the client wait, and when to reconcile again; nil
// while they hold.
func (r *Reconciler) damping(c *v1alpha1.OAuth2Client, kind string) (*metav1.Condition, time.Time) {
	now := r.Clock.Now()
	damping := r.memory.repairs.Damping(c, now)
	if damping == nil {
		return nil, time.Time{}
	}
	return new(v1alpha1.RepairDoesNotHold(kind, secretName(c), damping.Count, damping.Pause)), now.Add(damping.Again())
}

// look sees and decides; it looks live where the decision has to be made on what the API server
// has.
func (r *Reconciler) look(ctx context.Context, c *v1alpha1.OAuth2Client, m method) (seen, decision, error) {
	d := decision{client: oauth2.Client{ID: c.ClientID()}}
	s, err := r.see(ctx, c, m)
	if s.resources != nil { // also where a later look failed, for the status that reports it
		d = decide(c, m, r.Installation.Issuer, s)
	}
	if err == nil && d.action == lookLive {
		if s.found, err = m.look(ctx, s, true); err == nil {
			d = decide(c, m, r.Installation.Issuer, s)
		}
	}
	s.conflict = d.conflict
	return s, d, err
}

// state is what the cache has of a client and of what is written for it. A change ends a pause.
func (r *Reconciler) state(ctx context.Context, c *v1alpha1.OAuth2Client, m method) attempt.State {
	return attempt.StateOf(c, output.Version(ctx, r.Client, &corev1.Secret{}, registrationKey(r.RegistryNamespace, c)), m.version(ctx))
}

// leaves is the state that an attempt leaves which began with another one.
func (s seen) leaves(state attempt.State) attempt.State {
	state = state.Recorded(s.stored)
	if s.object != nil {
		state.Versions[1] = s.object.GetResourceVersion()
	}
	return state
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if err := index(mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r.memory.reporting = semaphore.NewWeighted(reporters)
	deletions := fair.NewBurst(r.waitingForRoom)
	w := wakes{r.Client, r.Informers, r.RegistryNamespace, r.Installation.CABundle, &r.memory, r.Usage, r.Waiting, r.Policy.Room, deletions}
	to := handler.EnqueueRequestsFromMapFunc
	building := ctrl.NewControllerManagedBy(mgr).
		Named("oauth2client").
		For(&v1alpha1.OAuth2Client{}).
		// A user's Secret that is edited or deleted is healed; a registration that is lost
		// is written again. Those that come were written here, and their status waits until
		// all that is worse off has been looked after.
		Watches(&corev1.Secret{}, lowPriority(to(w.clientsOfSecret))).
		// Whether a client's algorithm is there shows in its condition.
		Watches(&corev1.Secret{}, to(w.clientsOfKeys)).
		// A client's ConfigMap is healed likewise, and the CA stands in every user's
		// Secret.
		Watches(&corev1.ConfigMap{}, to(w.clientsOfConfigMap)).
		// A service account that comes, goes or is made again decides which callers are
		// admitted.
		WatchesMetadata(&corev1.ServiceAccount{}, to(w.clientsOfAccount)).
		// What a trusted issuer lets clients do.
		Watches(&corev1.Secret{}, to(w.clientsOfIssuer), builder.WithPredicates(consentOfIssuers)).
		// What the owners of resources consent to.
		Watches(&v1alpha1.OAuth2Resource{}, to(w.clientsOfResource), builder.WithPredicates(appearance)).
		// A client that goes is forgotten, and makes room for one that was one too many.
		Watches(&v1alpha1.OAuth2Client{}, handler.Funcs{DeleteFunc: w.afterDeletion}).
		// A second client of a service account, or of a subject, concerns the first one,
		// and so does its end.
		Watches(&v1alpha1.OAuth2Client{}, w.sharingWorkloads()).
		// A Secret that a user brought along is read again when it changes.
		WatchesRawSource(source.Kind(r.Declared, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(w.clientsOfDeclared))).
		// Single revocations that became an instant show in its condition, and their end
		// too.
		Watches(&v1alpha1.TokenRevocation{}, to(w.clientsOfCollapsed), builder.WithPredicates(appearance)).
		// News of its use, at a bounded rate, and changes of what it waits for and no watch
		// shows.
		WatchesRawSource(source.Channel(r.Waiting.Woken, &handler.EnqueueRequestForObject{})).
		// Those that there was no room for: by their number, and by the bytes of their
		// registrations.
		WatchesRawSource(deletions.Source()).
		WatchesRawSource(source.Channel(r.Policy.Room.Woken(kind), &handler.EnqueueRequestForObject{})).
		WithOptions(fair.Options(workers, attempt.RateLimiter(), nil))
	if !r.Policy.Namespaced() {
		// Policies, and the labels that they select namespaces by.
		building = building.
			Watches(&v1alpha1.OAuth2Policy{}, to(w.everyClient), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
			WatchesMetadata(policy.NamespaceMetadata(), to(w.clientsOfNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{}))
	}
	if err := building.Complete(deletions.Before(reconcile.AsReconciler(mgr.GetClient(), r))); err != nil {
		return fmt.Errorf("set up the OAuth2Client controller: %w", err)
	}
	return nil
}

// index lets the cache find objects by these values.
func index(indexer client.FieldIndexer) error {
	for _, object := range []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}} {
		if err := output.IndexByOwner(context.Background(), indexer, object, v1alpha1.AnnotationClient); err != nil {
			return err
		}
	}
	for field, value := range map[string]func(*v1alpha1.OAuth2Client) string{
		indexByWorkload: workloadOf,
		indexByAccount:  func(c *v1alpha1.OAuth2Client) string { return c.Spec.Authentication.ServiceAccount.Name },
		indexByDeclared: func(c *v1alpha1.OAuth2Client) string {
			if methodOf(c, nil, nil, nil, generationKeys{}).source() != secretDeclared {
				return ""
			}
			return secretName(c)
		},
		indexByClientID: func(c *v1alpha1.OAuth2Client) string { return c.Spec.ClientID },
		indexByReserved: func(c *v1alpha1.OAuth2Client) string { return oauth2.NamespaceIn(c.Spec.ClientID) },
		indexByAlgorithm: func(c *v1alpha1.OAuth2Client) string {
			if c.Spec.TokenSigningAlgorithm == "" {
				return ""
			}
			return anyAlgorithm
		},
	} {
		err := indexer.IndexField(context.Background(), &v1alpha1.OAuth2Client{}, field, func(o client.Object) []string {
			if c, ok := o.(*v1alpha1.OAuth2Client); ok && value(c) != "" {
				return []string{value(c)}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("index OAuth2Clients by %s: %w", field, err)
		}
	}
	if err := indexer.IndexField(context.Background(), &v1alpha1.OAuth2Client{}, policy.IndexByIssuer, indexedIssuers); err != nil {
		return fmt.Errorf("index OAuth2Clients by their trusted issuers: %w", err)
	}
	if err := indexer.IndexField(context.Background(), &v1alpha1.TokenRevocation{}, indexByCollapsed, indexedCollapsed); err != nil {
		return fmt.Errorf("index TokenRevocations by the client whose revocations they collapse: %w", err)
	}
	return nil
}

// The indexes of the OAuth2Clients beside policy.IndexByAccess: by the client_id that they chose,
// by the namespace whose clients have such a client_id, by the Secret of their own that they read,
// and whether they ask for an algorithm.
const (
	indexByClientID  = "spec.clientID"
	indexByReserved  = "spec.clientID.namespace"
	indexByDeclared  = "spec.secret.name"
	indexByAlgorithm = "spec.tokenSigningAlgorithm"
	anyAlgorithm     = "any"
)

// Trim is what the cache keeps of the Secrets and ConfigMaps that are written for clients: of the
// values the client secrets.
func Trim(informers *packed.Informers) toolscache.TransformFunc {
	return output.Trim{
		Annotation: v1alpha1.AnnotationClient,
		Alive:      func(owner types.NamespacedName) bool { return !informers.Absent(&v1alpha1.OAuth2Client{}, owner) },
		Value: func(value []byte) []byte {
			if _, err := oauth2.ParseClientSecret(oauth2.NewSecret(string(value))); err != nil {
				return nil
			}
			return value
		},
	}.Transform
}

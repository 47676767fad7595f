// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2client makes OAuth2Clients true: it registers each one, keeps its credentials in a Secret beside it and says in
// the status what became of it. It writes no spec, sets no finalizer and never touches a Secret that is not the client's.
package oauth2client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// workers is how many clients are reconciled at once; most of the time each waits for the API server. No more than reporters of them write
// a status: where all clients have something new to say, whoever changes a grant or makes a client must not queue behind them.
const (
	workers   = 64
	reporters = 16
)

// maxRequest is how long the value of the rotate annotation may be to stand in the status as it is: the bound of
// status.rotation.handledRequest, in bytes.
const maxRequest = 256

// Reconciler makes OAuth2Clients true.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server itself: before anything random is made, and before anything is taken for gone.
	Live client.Reader
	// Declared reads the Secrets that users let us read by a label; see DeclaredCache.
	Declared cache.Cache
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Random   io.Reader

	Issuer            oauth2.Issuer
	RegistryNamespace string
	// Policy knows what is laid down about the clients, and what the owners of resources consent to.
	Policy *policy.Source
	// Usage knows when clients were last used, and Woken gets those whose status has something to add about it.
	Usage *usagereport.Ledger
	Woken <-chan event.GenericEvent
	// CABundle names the ConfigMap whose ca.crt clients need to trust the issuer; zero if its certificate is not ours.
	CABundle types.NamespacedName

	written   status.Written
	firsts    firsts
	backoff   attempt.Backoff
	proposals attempt.Proposals[proposed]
	reporting *semaphore.Weighted
}

// What users ask for. There is no write verb here: the operator never writes into a spec.
//
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2clients,verbs=get;list;watch
// +kubebuilder:rbac:groups=hallpass.dev,resources=oauth2clients/status,verbs=patch

// The credentials of the users, and the registrations, signing keys and certificates of our own namespaces.
//
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete

// Events about the users' objects; patch counts up one that repeats.
//
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile makes one client true. A second run on an unchanged world writes nothing.
func (r *Reconciler) Reconcile(ctx context.Context, c *v1alpha1.OAuth2Client) (ctrl.Result, error) {
	if !c.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // what it leaves goes by garbage collection and by the registry's own controller
	}
	if r.written.Behind(c) {
		return ctrl.Result{}, nil // our own last write is on its way through the watch and wakes us again
	}
	key, before := client.ObjectKeyFromObject(c), r.state(ctx, c)
	if wait := r.backoff.Wait(key, before, r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	w := &world{policy: policyOf(c)}
	result, err := r.attempt(ctx, c, w)
	if err != nil {
		r.backoff.Failed(key, before, w.leaves(before), r.Clock.Now())
		return ctrl.Result{}, err
	}
	r.backoff.End(key)
	return result, nil
}

// attempt makes one client true, or says in its status why it is not.
func (r *Reconciler) attempt(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) (ctrl.Result, error) {
	err := r.ensureRegistered(ctx, c, w)
	switch {
	case errors.Is(err, errGone):
		return ctrl.Result{}, nil
	case errors.Is(err, errUnseen):
		return ctrl.Result{RequeueAfter: unseenFor, Priority: new(handler.LowPriority)}, nil // as what wakes it; see whatComesLast
	}
	if err == nil {
		err = r.checkAlgorithm(ctx, c, w)
	}
	if err != nil {
		return ctrl.Result{}, errors.Join(err, r.reportFailure(ctx, c, w, err))
	}
	r.announce(c, w)
	if err := r.report(ctx, c, w.status(c)); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: w.lookAgain(r.Clock.Now())}, nil
}

// ensureRegistered walks the order of writes: the new verifier as pending, the user's Secret, the verifier confirmed. No
// point at which it may be killed loses the credential that an app holds.
func (r *Reconciler) ensureRegistered(ctx context.Context, c *v1alpha1.OAuth2Client, w *world) error {
	for _, find := range []func(context.Context, *v1alpha1.OAuth2Client, *world) error{
		r.findPolicy, r.findRegistration, r.findServiceAccount, r.checkPolicy, r.findSecret, r.findCA, r.findKeys, r.checkServiceAccount, r.checkTemplates,
	} {
		if err := find(ctx, c, w); err != nil {
			return err
		}
		if w.condition != nil { // somebody else has the id or the Secret's name, or the CA or the keys are not there
			return r.keepRegistration(ctx, c, w)
		}
	}
	if declares(c) {
		r.registerDeclared(w)
		if err := r.retire(ctx, c, w); err != nil {
			return err
		}
		return errors.Join(r.publish(ctx, c, w), r.removeFormer(ctx, c, w))
	}
	if err := r.ensureCredential(ctx, c, w); err != nil {
		return err
	}
	if w.condition != nil {
		return r.keepRegistration(ctx, c, w)
	}
	for _, ensure := range []func(context.Context, *v1alpha1.OAuth2Client, *world) error{r.retire, r.publish, r.applyOutput, r.removeFormer} {
		if err := ensure(ctx, c, w); err != nil {
			return err
		}
	}
	return nil
}

// SetupWithManager says what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if err := r.index(mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r.reporting = semaphore.NewWeighted(reporters)
	toClientOfSecret := handler.EnqueueRequestsFromMapFunc(r.clientsOfSecret)
	toEveryClient := handler.EnqueueRequestsFromMapFunc(r.everyClient)
	namespaces := &metav1.PartialObjectMetadata{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	building := ctrl.NewControllerManagedBy(mgr).
		Named("oauth2client").
		For(&v1alpha1.OAuth2Client{}).
		// A user's Secret that is edited or deleted is healed; a registration that is lost is written again. Those that come were written
		// here, and what there is to say about that in the status waits until all that is worse off has been looked after.
		Watches(&corev1.Secret{}, whatComesLast(toClientOfSecret)).
		// Whether a client's algorithm is there shows in its condition.
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.clientsOfKeys)).
		// A client's ConfigMap is healed likewise, and the CA stands in every user's Secret.
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.clientsOfConfigMap)).
		// A service account that comes, goes or is made again decides who is let in.
		WatchesMetadata(&corev1.ServiceAccount{}, handler.EnqueueRequestsFromMapFunc(r.clientsOfAccount)).
		// What the owners of resources consent to.
		Watches(&v1alpha1.OAuth2Resource{}, handler.EnqueueRequestsFromMapFunc(r.clientsOfResource), builder.WithPredicates(appearance)).
		// A client that goes is forgotten, and makes room for one that was one too many.
		Watches(&v1alpha1.OAuth2Client{}, handler.EnqueueRequestsFromMapFunc(r.clientsAfter), builder.WithPredicates(deletions)).
		// A Secret that a user brought along is read again when it changes.
		WatchesRawSource(source.Kind(r.Declared, &corev1.Secret{}, handler.TypedEnqueueRequestsFromMapFunc(r.clientsOfDeclared))).
		// What is told of its use, at a bounded rate.
		WatchesRawSource(source.Channel(r.Woken, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter:             attempt.RateLimiter(),
		})
	if !r.Policy.Narrow() {
		// What is laid down.
		building = building.
			Watches(&v1alpha1.OAuth2Policy{}, toEveryClient, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
			WatchesMetadata(namespaces, handler.EnqueueRequestsFromMapFunc(r.clientsOfNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{}))
	}
	if err := building.Complete(reconcile.AsReconciler(mgr.GetClient(), r)); err != nil {
		return fmt.Errorf("set up the OAuth2Client controller: %w", err)
	}
	return nil
}

// index lets the cache find objects by what is looked for.
func (*Reconciler) index(indexer client.FieldIndexer) error {
	byClient := func(o client.Object) []string { return []string{o.GetAnnotations()[v1alpha1.AnnotationClient]} }
	for _, kind := range []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}} {
		if err := indexer.IndexField(context.Background(), kind, indexByClient, byClient); err != nil {
			return fmt.Errorf("index %T by their client: %w", kind, err)
		}
	}
	err := indexer.IndexField(context.Background(), &v1alpha1.OAuth2Client{}, indexByAccount, func(o client.Object) []string {
		if c, ok := o.(*v1alpha1.OAuth2Client); ok && byServiceAccount(c) {
			return []string{c.Spec.Authentication.ServiceAccount.Name}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index OAuth2Clients by their service account: %w", err)
	}
	return nil
}

// DeclaredCache is a cache of the Secrets that carry the label which lets them be read, and of no others. One cache cannot
// select by type and by label at once, so it is one of its own. It is of all namespaces unless some are named.
func DeclaredCache(mgr ctrl.Manager, namespaces []string) (cache.Cache, error) {
	return output.SecretCache(mgr, cache.ByObject{Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelCredentials: "true"})}, namespaces)
}

func policyOf(c *v1alpha1.OAuth2Client) credential.Policy {
	return credential.Policy{
		UID:       string(c.UID),
		Interval:  c.Spec.Rotation.Interval.Or(0),
		Overlap:   c.Spec.Rotation.Overlap.Or(credential.DefaultOverlap),
		UnusedFor: c.Spec.Rotation.RetireWhenUnusedFor.Or(0),
		Request:   requestOf(c.Annotations[v1alpha1.AnnotationRotate]),
	}
}

// requestOf is the value of the rotate annotation, or a digest of one that is too long for the status.
func requestOf(value string) string {
	if len(value) <= maxRequest {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// findCA reads the CA that clients need to trust the issuer. While it is not there yet there is nothing to do but to wait for
// the watch that announces it.
func (r *Reconciler) findCA(ctx context.Context, _ *v1alpha1.OAuth2Client, w *world) error {
	if r.CABundle.Name == "" {
		return nil
	}
	var bundle corev1.ConfigMap
	err := r.Client.Get(ctx, r.CABundle, &bundle)
	if apierrors.IsNotFound(err) {
		w.condition = new(v1alpha1.Progressing("write the Secret, because the token server has no certificate authority"))
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the CA of the token server: %w", err)
	}
	w.ca = []byte(bundle.Data[keyCACertificate])
	return nil
}

// errGone says that the client was deleted while it was being looked at.
var errGone = errors.New("the OAuth2Client is gone")

// checkAlive asks the API server whether the client is still there: the cache may not have heard of its deletion, and what is
// made for it then would be left over.
func (r *Reconciler) checkAlive(ctx context.Context, c *v1alpha1.OAuth2Client) error {
	found, err := r.live(ctx, client.ObjectKeyFromObject(c))
	if err == nil && (found == nil || found.UID != c.UID || !found.DeletionTimestamp.IsZero()) {
		return errGone
	}
	return err
}

// gone asks the API server whether an OAuth2Client of that UID is no more. Only a clear no counts: a refusal to answer is not
// an absence.
func (r *Reconciler) gone(ctx context.Context, namespace, name, uid string) (bool, error) {
	found, err := r.live(ctx, types.NamespacedName{Namespace: namespace, Name: name})
	return err == nil && (found == nil || string(found.UID) != uid), err
}

// live reads the metadata of an OAuth2Client from the API server itself; nil if there is none.
func (r *Reconciler) live(ctx context.Context, key types.NamespacedName) (*metav1.PartialObjectMetadata, error) {
	return output.Live(ctx, r.Live, "OAuth2Client", key)
}

// conflictRetry is how soon a name is looked at again that somebody else's object has or that has no object: no watch sees those.
const conflictRetry = time.Minute

// lookAgain is when something is due that no watch announces.
func (w *world) lookAgain(now time.Time) time.Duration {
	var first time.Time
	if w.condition != nil {
		switch w.condition.Reason {
		case v1alpha1.ReasonSecretConflict, v1alpha1.ReasonConfigMapConflict,
			v1alpha1.ReasonSecretNotFound: // no watch shows a Secret that comes without the label
			first = now.Add(conflictRetry)
		}
	}
	for _, instant := range []time.Time{w.due, credential.NextExpiry(recordOf(w.registration)), w.keysChangeAt, w.evidenceAt} {
		if !instant.IsZero() && (first.IsZero() || instant.Before(first)) {
			first = instant
		}
	}
	if first.IsZero() {
		return 0
	}
	return max(first.Sub(now), time.Second)
}

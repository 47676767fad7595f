// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servingcert gives the token server a serving certificate from a certificate authority of
// its own, renews both in time, and publishes the authority for those who call.
package servingcert

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
)

// The objects in the system namespace.
const (
	// AuthoritySecretName holds the authority's certificate and key.
	AuthoritySecretName = "hallpass-ca"
	// ServingSecretName holds the serving certificate and key that the token server mounts.
	ServingSecretName = "hallpass-tokenserver-tls"
	// BundleConfigMapName holds, under ca.crt, the authority that callers trust.
	BundleConfigMapName = "hallpass-ca"
	// BundleKey is the entry of the bundle.
	BundleKey = "ca.crt"
)

// lookAtFile is how often the file with further authorities is read.
const lookAtFile = time.Minute

// lookAgain bounds how long the controller trusts its sleep: clocks are set, and machines
// suspended.
const lookAgain = time.Hour

// Reconciler keeps the authority, the serving certificate and the bundle. An authority is published
// a lead before its certificates are served, and trusted until it ends: a caller may be late with
// it.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Time is the present time as far as it is known.
	Time            func() apiclock.Time
	Random          io.Reader
	SystemNamespace string
	// Names are the DNS names and IP addresses that the certificate is for.
	Names []string
	Lives Lives
	// Foreign is whether another tool, such as cert-manager, writes the serving certificate
	// into its Secret. Then only the authority in there is published.
	Foreign bool
	// ForeignSecret is the name of that Secret; empty stands for ServingSecretName.
	ForeignSecret string
	// IssuerCA returns further authorities in PEM that callers have to trust, those of a
	// certificate that they see at the issuer; nil if there are none.
	IssuerCA func() (string, error)
}

// The certificate authority for callers to trust; its key is in a Secret. list and watch are
// granted for this one name only, so a watch has to select it by field.
//
// +kubebuilder:rbac:namespace=hallpass-system,groups="",resources=configmaps,verbs=create
// +kubebuilder:rbac:namespace=hallpass-system,groups="",resources=configmaps,resourceNames=hallpass-ca,verbs=list;watch;update

// Reconcile reads all three: they are one chain. Each write wakes it, before the cache has what
// was written after that: such a conflict is no failure.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	result, err := r.ensure(ctx)
	if r.IssuerCA != nil && (result.RequeueAfter == 0 || result.RequeueAfter > lookAtFile) {
		result.RequeueAfter = lookAtFile
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		ctrl.LoggerFrom(ctx).V(1).Info("the cache is behind; reconciling again", "conflict", err.Error())
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	return result, err
}

func (r *Reconciler) ensure(ctx context.Context) (ctrl.Result, error) {
	if r.Foreign {
		return ctrl.Result{}, r.publishForeign(ctx)
	}
	now, lives := r.Time(), r.Lives.withDefaults()
	trusted, err := r.ensureAuthorities(ctx, now, lives)
	if err != nil {
		return ctrl.Result{}, err
	}
	// Callers get an authority before any caller meets a certificate of it.
	if err := r.ensureBundle(ctx, trusted.bundle()); err != nil {
		return ctrl.Result{}, err
	}
	serving, err := r.ensureServing(ctx, trusted, now, lives)
	if err != nil {
		return ctrl.Result{}, err
	}
	next := min(trusted.next(now.Earliest, lives).Sub(now.Earliest), serving.renewAt().Sub(now.Earliest))
	return ctrl.Result{RequeueAfter: pause(next, now)}, nil
}

// pause is the time until there is something to do. What ends waits for the clocks to agree.
func pause(next time.Duration, now apiclock.Time) time.Duration {
	if now.Agreed {
		return min(max(next, time.Second), lookAgain)
	}
	return min(max(next, time.Second), apiclock.Apart)
}

// publishForeign publishes the authority that came with a serving certificate of another tool. A
// Secret without one has a certificate that every machine trusts, so nothing is to be trusted
// beside. Without a Secret what is published stays: token servers continue with the certificate
// that they have until the other tool has made the next one.
func (r *Reconciler) publishForeign(ctx context.Context) error {
	stored, data, err := r.read(ctx, cmp.Or(r.ForeignSecret, ServingSecretName))
	if err != nil || stored == nil {
		return err
	}
	if authority, there := data[BundleKey]; there {
		return r.ensureBundle(ctx, string(authority))
	}
	formerly, err := r.formerlyOurs(ctx, data)
	if err != nil {
		return err
	}
	return r.ensureBundle(ctx, formerly)
}

// formerlyOurs is the bundle of the manager's own authority if that issued a serving certificate
// which the other tool has not replaced yet.
func (r *Reconciler) formerlyOurs(ctx context.Context, data map[string][]byte) (string, error) {
	serving, err := parsePair(data)
	if err != nil {
		return "", nil //nolint:nilerr // what cannot be read is not the manager's
	}
	_, own, err := r.read(ctx, AuthoritySecretName)
	if err != nil {
		return "", err
	}
	trusted, err := parseAuthorities(own)
	if err != nil {
		return "", nil //nolint:nilerr // without an authority of its own the manager has issued nothing
	}
	if issuerOf(serving, authoritiesIn([]byte(trusted.bundle())), r.Time().Earliest).certificate == nil {
		return "", nil
	}
	return trusted.bundle(), nil
}

func (r *Reconciler) ensureAuthorities(ctx context.Context, now apiclock.Time, lives Lives) (authorities, error) {
	stored, data, err := r.read(ctx, AuthoritySecretName)
	if err != nil {
		return authorities{}, err
	}
	current, err := parseAuthorities(data)
	// it is lost; the authority of the certificate that is being served is still known
	if err != nil {
		if current, err = r.salvage(ctx, now.Earliest); err != nil {
			return authorities{}, err
		}
	}
	advanced, err := current.advance(now, lives, r.Random)
	if err != nil {
		return advanced, err
	}
	return advanced, r.write(ctx, stored, AuthoritySecretName, advanced.data())
}

// salvage finds the published authority that issued the serving certificate in use. Without both,
// callers need the new authority at once; so an administrator gets rid of one whose key is out.
func (r *Reconciler) salvage(ctx context.Context, now time.Time) (authorities, error) {
	_, data, err := r.read(ctx, ServingSecretName)
	if err != nil {
		return authorities{}, err
	}
	var bundle corev1.ConfigMap
	err = r.Client.Get(ctx, types.NamespacedName{Namespace: r.SystemNamespace, Name: BundleConfigMapName}, &bundle)
	if client.IgnoreNotFound(err) != nil {
		return authorities{}, fmt.Errorf("read the published certificate authority: %w", err)
	}
	serving, err := parsePair(data)
	if err != nil {
		return authorities{}, nil //nolint:nilerr // what cannot be read is made again
	}
	return authorities{former: issuerOf(serving, authoritiesIn([]byte(bundle.Data[BundleKey])), now)}, nil
}

func (r *Reconciler) ensureServing(ctx context.Context, trusted authorities, now apiclock.Time, lives Lives) (pair, error) {
	stored, data, err := r.read(ctx, ServingSecretName)
	if err != nil {
		return pair{}, err
	}
	issuer := trusted.issuer(now.Earliest, lives)
	if current, err := parsePair(data); err == nil && trusted.accept(current, r.Names, now.Earliest, lives) && !current.isDue(issuer, now, lives.Serving) {
		return current, nil
	}
	made, err := issuer.issue(r.Names, now, lives.Serving, r.Random)
	if err != nil {
		return pair{}, err
	}
	return made, r.write(ctx, stored, ServingSecretName, map[string][]byte{corev1.TLSCertKey: made.certPEM, corev1.TLSPrivateKeyKey: made.keyPEM})
}

func (r *Reconciler) ensureBundle(ctx context.Context, bundle string) error {
	if r.IssuerCA != nil {
		further, err := r.IssuerCA()
		if err != nil {
			return fmt.Errorf("read the authorities of the issuer's certificate: %w", err)
		}
		bundle = strings.TrimSuffix(bundle, "\n") + "\n" + further
	}
	key := types.NamespacedName{Namespace: r.SystemNamespace, Name: BundleConfigMapName}
	wanted := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
	}, Data: map[string]string{BundleKey: bundle}}
	var stored corev1.ConfigMap
	err := r.Client.Get(ctx, key, &stored)
	switch {
	case apierrors.IsNotFound(err):
		err = r.Client.Create(ctx, wanted)
	case err == nil && stored.Data[BundleKey] != bundle:
		output.KeepOthers(wanted, &stored)
		err = r.Client.Update(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("publish the certificate authority in ConfigMap %s: %w", key, err)
	}
	return nil
}

// read reads a Secret and its data; both are nil if there is none.
func (r *Reconciler) read(ctx context.Context, name string) (*corev1.Secret, map[string][]byte, error) {
	stored, err := publish.Read(ctx, r.Client, types.NamespacedName{Namespace: r.SystemNamespace, Name: name})
	if stored == nil {
		return nil, nil, err
	}
	return stored, stored.Data, nil
}

func (r *Reconciler) write(ctx context.Context, stored *corev1.Secret, name string, data map[string][]byte) error {
	_, err := publish.Write(ctx, r.Client, stored, publish.Record{
		NamespacedName: types.NamespacedName{Namespace: r.SystemNamespace, Name: name}, Of: "Secret " + name, Type: corev1.SecretTypeTLS, Data: data,
	})
	return err
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.SystemNamespace, Name: AuthoritySecretName}}
	// The first reconcile comes without an event: at the very start none of the objects is
	// there.
	firstLook := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(all)
		return nil
	})
	toAll := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if o.GetNamespace() == r.SystemNamespace {
			return []reconcile.Request{all}
		}
		return nil
	})
	err := ctrl.NewControllerManagedBy(mgr).
		Named("servingcert").
		WatchesRawSource(firstLook).
		// What is deleted or edited is made again.
		Watches(&corev1.Secret{}, toAll).
		Watches(&corev1.ConfigMap{}, toAll).
		WithOptions(controller.Options{RateLimiter: attempt.RateLimiter()}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the serving certificate controller: %w", err)
	}
	return nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenrevocation

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/controller/status"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// Reporter reports in the status of a TokenRevocation whether there is a client, or an issuer of
// persons, that its selector names: a selector that is misspelt revokes nothing. Batches, and
// selectors that token servers write, have no status.
type Reporter struct {
	// Client reads from the cache and writes.
	Client            client.Client
	RegistryNamespace string
	// Covers reports whether the manager works in a namespace.
	Covers func(namespace string) bool
}

// +kubebuilder:rbac:namespace=hallpass-registry,groups=hallpass.dev,resources=tokenrevocations/status,verbs=patch

// Reconcile writes the status of one TokenRevocation if it differs.
func (r *Reporter) Reconcile(ctx context.Context, object *v1alpha1.TokenRevocation) (ctrl.Result, error) {
	selector := byPerson(object)
	if selector == nil || object.Namespace != r.RegistryNamespace || !object.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	ready, err := r.check(ctx, *selector)
	if err != nil {
		return ctrl.Result{}, err
	}
	found := v1alpha1.TokenRevocationStatus{ObservedGeneration: object.Generation, Conditions: slices.Clone(object.Status.Conditions)}
	status.Set(&found.Conditions, object.Generation, v1alpha1.ConditionReady, &ready)
	_, err = status.Patch(ctx, r.Client, object, &object.Status, found)
	return ctrl.Result{}, err
}

// byPerson is the selector of a TokenRevocation that a person wrote; nil if it is none.
func byPerson(o client.Object) *revocation.Selector {
	object, ok := o.(*v1alpha1.TokenRevocation)
	if !ok {
		return nil
	}
	selector := revocation.ReadSelector(object)
	if selector == nil || selector.Collapses {
		return nil
	}
	return selector
}

// check searches for a client that the selector names.
func (r *Reporter) check(ctx context.Context, selector revocation.Selector) (metav1.Condition, error) {
	if selector.ClientID != "" {
		record, err := publish.Read(ctx, r.Client, types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.SecretName(selector.ClientID)})
		if err == nil && record == nil {
			return v1alpha1.RevocationClientNotFound(selector.ClientID), nil
		}
		return v1alpha1.RevocationInForce(), err
	}
	if name := issuerOf(selector); name != "" {
		record, err := publish.Read(ctx, r.Client, types.NamespacedName{Namespace: r.RegistryNamespace, Name: registration.IssuerSecretName(name)})
		if err == nil && record == nil {
			return v1alpha1.RevocationIssuerNotFound(name), nil
		}
		return v1alpha1.RevocationInForce(), err
	}
	var clients v1alpha1.OAuth2ClientList
	if r.Covers(selector.Namespace) {
		if err := r.Client.List(ctx, &clients, client.InNamespace(selector.Namespace), client.Limit(1)); err != nil {
			return metav1.Condition{}, fmt.Errorf("list the clients of namespace %s: %w", selector.Namespace, err)
		}
	}
	if len(clients.Items) == 0 {
		return v1alpha1.RevocationNamespaceWithoutClients(selector.Namespace), nil
	}
	return v1alpha1.RevocationInForce(), nil
}

// issuerOf is the issuer of the persons that the selector names; empty if it names none.
func issuerOf(selector revocation.Selector) string {
	person, _ := oauth2.ParsePerson(selector.Subject) // zero if it names none
	return cmp.Or(person.Issuer, selector.IssuerName)
}

// indexBySelected finds the TokenRevocations that people wrote, by the client_id, the namespace or
// the issuer of persons that they select.
const indexBySelected = "spec.selector"

func selectedIssuer(name string) string { return "issuer " + name }

func selectedClient(clientID string) string     { return "client " + clientID }
func selectedNamespace(namespace string) string { return "namespace " + namespace }

func indexedSelected(o client.Object) []string {
	switch selector := byPerson(o); {
	case selector == nil:
		return nil
	case selector.ClientID != "":
		return []string{selectedClient(selector.ClientID)}
	case issuerOf(*selector) != "":
		return []string{selectedIssuer(issuerOf(*selector))}
	default:
		return []string{selectedNamespace(selector.Namespace)}
	}
}

// SetupWithManager sets up what wakes the controller.
func (r *Reporter) SetupWithManager(mgr ctrl.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.TokenRevocation{}, indexBySelected, indexedSelected); err != nil {
		return fmt.Errorf("index TokenRevocations by what they select: %w", err)
	}
	appearance := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("tokenrevocationstatus").
		For(&v1alpha1.TokenRevocation{}, builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool { return byPerson(o) != nil }))).
		// A client or an issuer that is registered, or is gone.
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.selecting), builder.WithPredicates(appearance)).
		WithOptions(controller.Options{RateLimiter: attempt.RateLimiter()}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
	if err != nil {
		return fmt.Errorf("set up the controller of the status of TokenRevocations: %w", err)
	}
	return nil
}

// selecting finds the TokenRevocations that select the client of a registration, or persons of the
// issuer of a record.
func (r *Reporter) selecting(ctx context.Context, record client.Object) []reconcile.Request {
	if record.GetNamespace() != r.RegistryNamespace {
		return nil
	}
	var selections []string
	if clientID := record.GetAnnotations()[registration.AnnotationClientID]; clientID != "" {
		selections = []string{selectedClient(clientID), selectedNamespace(record.GetAnnotations()[v1alpha1.AnnotationClientNamespace])}
	} else if name := record.GetAnnotations()[v1alpha1.AnnotationTrustedIssuer]; name != "" {
		selections = []string{selectedIssuer(name)}
	}
	var requests []reconcile.Request
	for _, selected := range selections {
		var found v1alpha1.TokenRevocationList
		err := r.Client.List(ctx, &found, client.InNamespace(r.RegistryNamespace), client.MatchingFields{indexBySelected: selected}, client.UnsafeDisableDeepCopy)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "cannot list the TokenRevocations that select a client")
			return nil
		}
		for i := range found.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&found.Items[i])})
		}
	}
	return requests
}

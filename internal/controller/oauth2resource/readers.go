// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"context"
	"fmt"
	"slices"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// silent is how long after its last report a replica counts as one that runs: three times
	// as long as the longest pause between two reports.
	silent = 30 * time.Minute
	// HeldAgain is how soon a resource checks again whether an earlier replica has stopped.
	HeldAgain = time.Minute
)

// holdBack holds back exchanged tokens and tokens of persons while a token server runs that does
// not read them, or none has reported: such a replica would refuse tokens that others issue.
func (r *Reconciler) holdBack(ctx context.Context, s *state) error {
	exchanged, users := len(s.resource.Exchanged) > 0, len(s.resource.Users) > 0
	if !exchanged && !users {
		return nil
	}
	var reports v1alpha1.UsageReportList
	if err := r.Client.List(ctx, &reports, client.InNamespace(r.RegistryNamespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list the reports of the token servers: %w", err)
	}
	var outdated []string
	hold := func(version int32) bool {
		replicas, all := outdatedReplicas(reports.Items, version, time.Now())
		if len(replicas) > len(outdated) {
			outdated = replicas
		}
		return !all
	}
	s.resource.ExchangeHeld = exchanged && hold(oauth2.VersionWithExchanged)
	s.resource.UsersHeld = users && hold(oauth2.VersionWithPersons)
	if !s.resource.ExchangeHeld && !s.resource.UsersHeld {
		return nil
	}
	s.again = HeldAgain
	if s.grants == nil {
		s.grants = new(v1alpha1.TokenServersOutdated(outdated))
	}
	return nil
}

// outdatedReplicas returns the replicas that run and do not read tokens of a version. all is
// whether every replica reads them, of which there is at least one.
func outdatedReplicas(reports []v1alpha1.UsageReport, version int32, now time.Time) (outdated []string, all bool) {
	some := false
	for i := range reports {
		report := &reports[i]
		last := report.CreationTimestamp.Time
		if covered := report.Spec.CoveredUntil.Time; covered.After(last) {
			last = covered
		}
		switch {
		case report.Spec.Part != 1, report.Spec.State != v1alpha1.UsageServing, now.Sub(last) > silent:
		case report.Spec.TokenVersion < version:
			outdated = append(outdated, report.Spec.Replica)
		default:
			some = true
		}
	}
	slices.Sort(outdated)
	return outdated, some && len(outdated) == 0
}

// readers are the changes of reports that may change which tokens all replicas read.
var readers = predicate.Funcs{ //nolint:gochecknoglobals // constant functions
	CreateFunc: func(e event.CreateEvent) bool { return isFirstPart(e.Object) },
	DeleteFunc: func(e event.DeleteEvent) bool { return isFirstPart(e.Object) },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.UsageReport)
		after, also := e.ObjectNew.(*v1alpha1.UsageReport)
		return ok && also && after.Spec.Part == 1 && (before.Spec.TokenVersion != after.Spec.TokenVersion || before.Spec.State != after.Spec.State)
	},
}

func isFirstPart(o client.Object) bool {
	report, ok := o.(*v1alpha1.UsageReport)
	return ok && report.Spec.Part == 1
}

// actingForOthers finds the resources with a grant to clients that act for others.
func (r *Reconciler) actingForOthers(ctx context.Context, _ client.Object) []reconcile.Request {
	var resources v1alpha1.OAuth2ResourceList
	if err := r.Client.List(ctx, &resources, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list the resources that wait for token servers")
		return nil
	}
	var requests []reconcile.Request
	for i := range resources.Items {
		if slices.ContainsFunc(resources.Items[i].Spec.Grants, func(g v1alpha1.ResourceGrant) bool {
			return g.For(v1alpha1.SubjectExchanged) || g.For(v1alpha1.SubjectUser)
		}) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&resources.Items[i])})
		}
	}
	return requests
}

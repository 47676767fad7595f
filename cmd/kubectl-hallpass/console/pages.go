// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/attention"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// generalRoutes are the routes of all pages, and of those that are about no single object.
type generalRoutes struct{ *Server }

// session is what every page shows.
func (s generalRoutes) session(ctx context.Context, _ call) (any, error) {
	everywhere := s.Cluster.In(metav1.NamespaceAll)
	may := s.rights.may(ctx, everywhere, map[string]action.Right{
		"namespaces": {Verb: "list", Kind: cluster.Namespaces()}, "all": {Verb: "list", Kind: cluster.Clients()},
		"keys": {Verb: "get", Kind: cluster.Secrets(), Namespace: s.Registry}, "issuers": {Verb: "list", Kind: cluster.Issuers()},
		"people": {Verb: "create", Kind: cluster.Revocations(), Namespace: s.Registry},
	})
	names := []string{}
	if may["namespaces"] {
		read, err := everywhere.List(ctx, cluster.Namespaces(), metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for i := range read.Items {
			names = append(names, read.Items[i].GetName())
		}
	}
	return map[string]any{
		"context": s.Context, "server": s.Cluster.Config.Host, "user": s.User, "version": s.Version, "readOnly": s.ReadOnly,
		"namespace": s.Cluster.Namespace, "allNamespaces": s.AllNamespaces && may["all"], "namespaces": names,
		"mayAll": may["all"], "mayKeys": may["keys"], "mayIssuers": may["issuers"], "mayRevokePeople": may["people"] && !s.ReadOnly,
		"endsIn": s.ends().Sub(s.Now()).Seconds(), "now": s.Now().UTC().Format(time.RFC3339),
	}, nil
}

// stay puts the end of the console off, as every other request of its user does.
func (s generalRoutes) stay(context.Context, call) (any, error) { return done(nil) }

// rightsOf are the rights of the caller in a namespace.
func (s generalRoutes) rightsOf(ctx context.Context, c call) (any, error) {
	return s.inNamespace(ctx, c.cluster), nil
}

// maxItems bounds the items of one topic that the overview lists.
const maxItems = 20

type topic struct {
	Topic attention.Topic  `json:"topic"`
	Count int              `json:"count"`
	Items []attention.Item `json:"items"`
}

// overview counts the objects, and lists what needs attention.
func (s generalRoutes) overview(ctx context.Context, c call) (any, error) {
	clients, err := list[v1alpha1.OAuth2Client](ctx, c.cluster, cluster.Clients())
	if err != nil {
		return nil, err
	}
	resources, err := list[v1alpha1.OAuth2Resource](ctx, c.cluster, cluster.Resources())
	if err != nil {
		return nil, err
	}
	tokens, err := list[v1alpha1.OAuth2Token](ctx, c.cluster, cluster.Tokens())
	if err != nil {
		return nil, err
	}
	items := attention.Find(clients, resources, tokens, s.Now())
	topics := []topic{}
	for _, t := range attention.Topics() {
		of := slices.DeleteFunc(slices.Clone(items), func(i attention.Item) bool { return i.Topic != t })
		if len(of) > 0 {
			topics = append(topics, topic{t, len(of), of[:min(len(of), maxItems)]})
		}
	}
	return map[string]any{"clients": len(clients), "resources": len(resources), "tokens": len(tokens), "topics": topics}, nil
}

func list[T any](ctx context.Context, c *cluster.Client, kind cluster.Kind) ([]T, error) {
	read, err := c.List(ctx, kind, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return cluster.All[T](read.Items)
}

// installation are the findings of doctor.
func (s generalRoutes) installation(ctx context.Context, _ call) (any, error) {
	e := action.Examination{System: s.System, Registry: s.Registry, Version: s.Version, Now: s.Now}
	return e.Findings(ctx, s.Cluster), nil
}

// keys are the signing keys without their private halves.
func (s generalRoutes) keys(ctx context.Context, _ call) (any, error) {
	return action.Keys(ctx, s.Cluster.In(s.Registry), s.Now())
}

// maxEvents bounds the events that a page lists.
const maxEvents = 500

// events are those of the objects of Hallpass, the newest first.
func (s generalRoutes) events(ctx context.Context, c call) (any, error) {
	events, err := list[corev1.Event](ctx, c.cluster, cluster.Events())
	if err != nil {
		return nil, err
	}
	return eventViews(slices.DeleteFunc(events, func(e corev1.Event) bool { return !ours(e) })), nil
}

// ours reports whether an event is about an object of Hallpass.
func ours(e corev1.Event) bool {
	return e.InvolvedObject.GroupVersionKind().Group == v1alpha1.GroupVersion.Group
}

func eventViews(events []corev1.Event) []eventView {
	action.SortEvents(events)
	slices.Reverse(events)
	views := []eventView{}
	for i := range events[:min(len(events), maxEvents)] {
		views = append(views, viewEvent(&events[i]))
	}
	return views
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"cmp"
	"context"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// Right is the right to do something with the objects of a kind.
type Right struct {
	Verb string
	Kind cluster.Kind
	// Subresource is empty for the objects themselves.
	Subresource string
	// Namespace is empty for all namespaces.
	Namespace string
	// Name is empty for all objects.
	Name string
}

// May asks the API server whether the caller may do something.
func May(ctx context.Context, c *cluster.Client, r Right) (bool, error) {
	review, err := cluster.Unstructured(cluster.AccessReviews(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.Namespace, Verb: r.Verb, Name: r.Name, Group: r.Kind.GVR.Group, Resource: r.Kind.GVR.Resource, Subresource: r.Subresource,
		}},
	})
	if err != nil {
		return false, err
	}
	answered, err := c.In(metav1.NamespaceAll).Create(ctx, cluster.AccessReviews(), review, cluster.Options{})
	if err != nil {
		return false, err
	}
	typed, err := cluster.As[authorizationv1.SelfSubjectAccessReview](answered)
	if err != nil {
		return false, err
	}
	return typed.Status.Allowed, nil
}

// MayEach asks about several rights at once. The answers have the order of the rights.
func MayEach(ctx context.Context, c *cluster.Client, rights []Right) ([]bool, error) {
	answers, errs := make([]bool, len(rights)), make([]error, len(rights))
	var asking sync.WaitGroup
	for i, right := range rights {
		asking.Go(func() { answers[i], errs[i] = May(ctx, c, right) })
	}
	asking.Wait()
	return answers, cmp.Or(errs...) //nolint:wrapcheck // they are those of May
}

// User asks the API server who the caller is: the name and the groups.
func User(ctx context.Context, c *cluster.Client) (authenticationv1.UserInfo, error) {
	question, err := cluster.Unstructured(cluster.SelfReviews(), &authenticationv1.SelfSubjectReview{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	answered, err := c.In(metav1.NamespaceAll).Create(ctx, cluster.SelfReviews(), question, cluster.Options{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	typed, err := cluster.As[authenticationv1.SelfSubjectReview](answered)
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return typed.Status.UserInfo, nil
}

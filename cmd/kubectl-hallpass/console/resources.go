// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/action"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/change"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// resourceRoutes are the routes of APIs.
type resourceRoutes struct{ *Server }

func (s resourceRoutes) resources(ctx context.Context, c call) (any, error) {
	return viewsOf(ctx, c, cluster.Resources(), viewResource)
}

func (s resourceRoutes) resource(ctx context.Context, c call) (any, error) {
	object, err := c.cluster.Get(ctx, cluster.Resources(), c.name)
	if err != nil {
		return nil, err
	}
	r, err := cluster.As[v1alpha1.OAuth2Resource](object)
	if err != nil {
		return nil, err
	}
	view := viewResource(r)
	view.YAML, view.May = manifest(object), s.inNamespace(ctx, c.cluster)
	return view, nil
}

// scopeForm is a scope of an API as it is typed.
type scopeForm struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// declared are scopes as an OAuth2Resource has them.
func declared(forms []scopeForm) []v1alpha1.ResourceScope {
	var scopes []v1alpha1.ResourceScope
	for _, f := range forms {
		scopes = append(scopes, v1alpha1.ResourceScope{Name: v1alpha1.Scope(f.Name), Description: f.Description})
	}
	return scopes
}

// newResource is the OAuth2Resource that the form of a new API makes.
func (c call) newResource() (*unstructured.Unstructured, error) {
	var f struct {
		Name                  string      `json:"name"`
		DisplayName           string      `json:"displayName"`
		Identifier            string      `json:"identifier"`
		Scopes                []scopeForm `json:"scopes"`
		To                    []string    `json:"to"`
		TokenLifetime         string      `json:"tokenLifetime"`
		MaxFixedTokenLifetime string      `json:"maxFixedTokenLifetime"`
	}
	if err := decode(c.Request, &f); err != nil {
		return nil, err
	}
	if err := checkNewName("API", f.Name, "orders-api"); err != nil {
		return nil, err
	}
	n := change.NewResource{
		Name: f.Name, Namespace: c.cluster.Namespace, DisplayName: f.DisplayName, Identifier: f.Identifier, To: f.To,
		Scopes: declared(f.Scopes), TokenLifetime: f.TokenLifetime, MaxFixedTokenLifetime: f.MaxFixedTokenLifetime,
	}
	r, err := n.Resource()
	if err != nil {
		return nil, inputError{err}
	}
	return cluster.Unstructured(cluster.Resources(), r)
}

// manifest is the manifest that the form of a new API makes. Nothing is sent to the cluster.
func (s resourceRoutes) manifest(_ context.Context, c call) (any, error) {
	return rendered(c.newResource())
}

func (s resourceRoutes) createResource(ctx context.Context, c call) (any, error) {
	object, err := c.newResource()
	return c.create(ctx, cluster.Resources(), object, err)
}

// declare sets the display name and the scopes of an API.
func (s resourceRoutes) declare(ctx context.Context, c call) (any, error) {
	var body struct {
		DisplayName string      `json:"displayName"`
		Scopes      []scopeForm `json:"scopes"`
	}
	if err := decode(c.Request, &body); err != nil {
		return nil, err
	}
	d := change.Declaration{DisplayName: body.DisplayName, Scopes: declared(body.Scopes)}
	return c.edit(ctx, func(r *v1alpha1.OAuth2Resource) ([]change.Operation, error) {
		operations, err := change.Declare(r, d)
		if err != nil {
			return nil, inputError{err}
		}
		return operations, nil
	})
}

func (c call) access() (change.Access, error) {
	var body struct {
		Namespace string   `json:"namespace"`
		Scopes    []string `json:"scopes"`
	}
	if err := decode(c.Request, &body); err != nil {
		return change.Access{}, err
	}
	if body.Namespace == "" || len(body.Scopes) == 0 {
		return change.Access{}, inputf("give the namespace of the clients, and at least one scope")
	}
	if err := checkNames(body.Namespace, ""); err != nil {
		return change.Access{}, inputError{err}
	}
	a := change.Access{Namespaces: []v1alpha1.NamespaceName{v1alpha1.NamespaceName(body.Namespace)}}
	for _, scope := range body.Scopes {
		a.Scopes = append(a.Scopes, v1alpha1.Scope(scope))
	}
	return a, nil
}

func (s resourceRoutes) grant(ctx context.Context, c call) (any, error) {
	return c.editGrants(ctx, change.Grant)
}

func (s resourceRoutes) ungrant(ctx context.Context, c call) (any, error) {
	return c.editGrants(ctx, func(r *v1alpha1.OAuth2Resource, access change.Access) ([]change.Operation, error) {
		operations, _ := change.Ungrant(r, access)
		return operations, nil
	})
}

func (c call) editGrants(ctx context.Context, operations func(*v1alpha1.OAuth2Resource, change.Access) ([]change.Operation, error)) (any, error) {
	access, err := c.access()
	if err != nil {
		return nil, err
	}
	return c.edit(ctx, func(r *v1alpha1.OAuth2Resource) ([]change.Operation, error) { return operations(r, access) })
}

func (c call) edit(ctx context.Context, operations func(*v1alpha1.OAuth2Resource) ([]change.Operation, error)) (any, error) {
	_, _, err := action.EditResource(ctx, c.cluster, c.name, options(), operations)
	return done(err)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"net/http"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
)

// call is a request of the page.
type call struct {
	*http.Request

	// cluster is in the namespace of the request.
	cluster *cluster.Client
	// name is that of the object; empty if there is none in the path.
	name string
}

// options are those of all writes of the console.
func options() cluster.Options { return cluster.Options{Manager: fieldManager} }

// done is the answer of a write without a result.
func done(err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]bool{"done": true}, nil
}

// checkNewName checks the name of a new object. The example is one that it may have.
func checkNewName(what, name, example string) error {
	if name == "" {
		return inputf("give the %s a name, such as %s", what, example)
	}
	if err := checkNames("", name); err != nil {
		return inputError{err}
	}
	return nil
}

// rendered is the manifest that a form has made.
func rendered(object *unstructured.Unstructured, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]string{"yaml": manifest(object)}, nil
}

// create creates the object that a form has made.
func (c call) create(ctx context.Context, kind cluster.Kind, object *unstructured.Unstructured, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	_, err = c.cluster.Create(ctx, kind, object, options())
	return done(err)
}

// viewsOf are the views of the objects of a kind.
func viewsOf[T, V any](ctx context.Context, c call, kind cluster.Kind, view func(*T) V) (any, error) {
	objects, err := list[T](ctx, c.cluster, kind)
	if err != nil {
		return nil, err
	}
	views := []V{}
	for i := range objects {
		views = append(views, view(&objects[i]))
	}
	return views, nil
}

// revealed answers one entry of a Secret.
func revealed(data map[string][]byte, entry string) (any, error) {
	value, there := data[entry]
	if !there {
		return nil, inputf("the Secret has no entry %q any more. Load the page again", entry)
	}
	return map[string]string{"value": string(value)}, nil
}

// typed requires that a name was typed before something is destroyed. Otherwise the error begins
// with what was not done.
func (c call) typed(name, undone string) error {
	var typed struct {
		Name string `json:"name"`
	}
	if err := decode(c.Request, &typed); err != nil {
		return err
	}
	if typed.Name != name {
		return inputf("%s: type the name %q", undone, name)
	}
	return nil
}

// remove deletes the object of a call, if its name was typed.
func remove(kind cluster.Kind) answer {
	return func(ctx context.Context, c call) (any, error) {
		if err := c.typed(c.name, "nothing is deleted"); err != nil {
			return nil, err
		}
		object, err := c.cluster.Get(ctx, kind, c.name)
		if err != nil {
			return nil, err
		}
		return done(c.cluster.Delete(ctx, kind, c.name, object.GetUID(), options()))
	}
}

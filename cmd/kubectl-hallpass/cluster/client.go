// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster reads and writes objects of the API server with the rights of the caller. It
// sends no discovery request, keeps fields that this build does not know, and returns errors that
// explain what to do.
package cluster

import (
	"context"
	"fmt"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// pageSize is the number of objects in one answer of a list.
const pageSize = 500

// Client talks to one cluster in one namespace.
type Client struct {
	// Namespace is where named objects are; empty for all namespaces.
	Namespace string
	// Config is how the API server is reached.
	Config *rest.Config
	// Slow is called when a request takes longer than Patience; nil if nothing is to be done.
	Slow     func()
	Patience time.Duration

	dynamic dynamic.Interface
}

// Options are those of a write.
type Options struct {
	// Manager is the field manager.
	Manager string
	// DryRun is who carries out the write without storing it; empty to store it.
	DryRun DryRun
}

// DryRun is who carries out a write that is not stored.
type DryRun string

// The dry runs.
const (
	// ByServer has the API server validate the write.
	ByServer DryRun = "server"
	// ByClient writes nothing. The object that is changed is read.
	ByClient DryRun = "client"
)

// strict has the API server refuse fields that it does not know, as an older installation does not,
// in the place of leaving them out.
const strict = metav1.FieldValidationStrict

func (o Options) dryRun() []string {
	if o.DryRun == ByServer {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// New makes a client. It sends no request.
func New(config *rest.Config, namespace string) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the API server limits requests by its own rules
	connected, err := connect(dynamic.ConfigFor(config))
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w. Correct it, or choose another one with --kubeconfig or --context", err)
	}
	return &Client{Namespace: namespace, Config: config, dynamic: connected}, nil
}

func connect(config *rest.Config) (*dynamic.DynamicClient, error) {
	client, err := httpClient(config)
	if err != nil {
		return nil, err
	}
	return dynamic.NewForConfigAndClient(config, client) //nolint:wrapcheck // New names the kubeconfig
}

// In is the client in another namespace.
func (c *Client) In(namespace string) *Client {
	other := *c
	other.Namespace = namespace
	return &other
}

// watched calls Slow unless the returned function is called in time.
func (c *Client) watched() (stop func()) {
	if c.Slow == nil {
		return func() {}
	}
	timer := time.AfterFunc(c.Patience, c.Slow)
	return func() { timer.Stop() }
}

func (c *Client) of(kind Kind) dynamic.ResourceInterface {
	if c.Namespace == "" || kind.Clusterwide {
		return c.dynamic.Resource(kind.GVR)
	}
	return c.dynamic.Resource(kind.GVR).Namespace(c.Namespace)
}

// Get reads one object.
func (c *Client) Get(ctx context.Context, kind Kind, name string) (*unstructured.Unstructured, error) {
	defer c.watched()()
	read, err := c.of(kind).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(err, attempt{"get", kind, name})
	}
	return read, nil
}

// List reads all objects that the options select, page by page.
func (c *Client) List(ctx context.Context, kind Kind, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	options.Limit = pageSize
	var all *unstructured.UnstructuredList
	for {
		page, err := c.Page(ctx, kind, options)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = page
		} else {
			all.Items = append(all.Items, page.Items...)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			all.SetContinue("")
			all.SetRemainingItemCount(nil)
			return all, nil
		}
	}
}

// Page reads one page of a list: as many objects as options.Limit from options.Continue on.
func (c *Client) Page(ctx context.Context, kind Kind, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	defer c.watched()()
	page, err := c.of(kind).List(ctx, options)
	if err != nil {
		return nil, c.explain(err, attempt{"list", kind, ""})
	}
	return page, nil
}

// Watch watches from a version on.
func (c *Client) Watch(ctx context.Context, kind Kind, options metav1.ListOptions) (watch.Interface, error) {
	defer c.watched()()
	watched, err := c.of(kind).Watch(ctx, options)
	if err != nil {
		return nil, c.explain(err, attempt{"watch", kind, ""})
	}
	return watched, nil
}

// Create creates an object, or a subresource of the object of that name.
func (c *Client) Create(
	ctx context.Context, kind Kind, object *unstructured.Unstructured, o Options, subresources ...string,
) (*unstructured.Unstructured, error) {
	if o.DryRun == ByClient {
		return object, nil
	}
	defer c.watched()()
	created, err := c.of(kind).Create(ctx, object, metav1.CreateOptions{DryRun: o.dryRun(), FieldManager: o.Manager, FieldValidation: strict}, subresources...)
	if err != nil {
		return nil, c.explain(err, attempt{"create", kind, object.GetName()})
	}
	return created, nil
}

// Merge changes the fields of a merge patch (RFC 7386).
func (c *Client) Merge(ctx context.Context, kind Kind, name string, patch []byte, o Options) (*unstructured.Unstructured, error) {
	return c.patch(ctx, kind, name, types.MergePatchType, patch, o)
}

// Edit applies a JSON patch (RFC 6902).
func (c *Client) Edit(ctx context.Context, kind Kind, name string, patch []byte, o Options) (*unstructured.Unstructured, error) {
	return c.patch(ctx, kind, name, types.JSONPatchType, patch, o)
}

func (c *Client) patch(ctx context.Context, kind Kind, name string, form types.PatchType, patch []byte, o Options) (*unstructured.Unstructured, error) {
	if o.DryRun == ByClient {
		object, err := c.Get(ctx, kind, name)
		if err != nil {
			return nil, err
		}
		return patched(object, form, patch)
	}
	defer c.watched()()
	changed, err := c.of(kind).Patch(ctx, name, form, patch, metav1.PatchOptions{DryRun: o.dryRun(), FieldManager: o.Manager, FieldValidation: strict})
	if err != nil {
		return nil, c.explain(err, attempt{"patch", kind, name})
	}
	return changed, nil
}

// patched is an object with a patch that is not sent.
func patched(object *unstructured.Unstructured, form types.PatchType, patch []byte) (*unstructured.Unstructured, error) {
	document, err := object.MarshalJSON()
	if err == nil {
		document, err = apply(form, document, patch)
	}
	if err == nil {
		err = object.UnmarshalJSON(document)
	}
	if err != nil {
		return nil, fmt.Errorf("patch %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return object, nil
}

// apply applies a patch to a document, as the API server does.
func apply(form types.PatchType, document, patch []byte) ([]byte, error) {
	if form == types.MergePatchType {
		return jsonpatch.MergePatch(document, patch) //nolint:wrapcheck // patched names the object
	}
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, err //nolint:wrapcheck // patched names the object
	}
	return operations.Apply(document) //nolint:wrapcheck // patched names the object
}

// Delete deletes an object, if it still is the one of that UID.
func (c *Client) Delete(ctx context.Context, kind Kind, name string, uid types.UID, o Options) error {
	if o.DryRun == ByClient {
		return nil
	}
	defer c.watched()()
	if err := c.of(kind).Delete(ctx, name, metav1.DeleteOptions{DryRun: o.dryRun(), Preconditions: &metav1.Preconditions{UID: &uid}}); err != nil {
		return c.explain(err, attempt{"delete", kind, name})
	}
	return nil
}

// As reads an object as a type of Go. Fields that the type lacks are left out.
func As[T any](object *unstructured.Unstructured) (*T, error) {
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
		return nil, fmt.Errorf("%s %s has another form than this plugin knows: %w. Install the plugin of the cluster's version",
			object.GetKind(), object.GetName(), err)
	}
	return typed, nil
}

// All reads objects as a type of Go.
func All[T any](items []unstructured.Unstructured) ([]T, error) {
	typed := make([]T, 0, len(items))
	for i := range items {
		one, err := As[T](&items[i])
		if err != nil {
			return nil, err
		}
		typed = append(typed, *one)
	}
	return typed, nil
}

// Read reads one object as a type of Go.
func Read[T any](ctx context.Context, c *Client, kind Kind, name string) (*T, error) {
	read, err := c.Get(ctx, kind, name)
	if err != nil {
		return nil, err
	}
	return As[T](read)
}

// Unstructured is an object as requests have it, without its empty status.
func Unstructured(kind Kind, object any) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", kind.Name, err)
	}
	delete(fields, "status")
	rendered := &unstructured.Unstructured{Object: fields}
	rendered.SetGroupVersionKind(kind.GVK())
	return rendered, nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster reads from the API server what login needs: the client secrets at the identity
// providers, and the authorities of the token server's certificate. It reads each object by its
// name, and has no right to list.
//
// +kubebuilder:rbac:namespace=hallpass-login,groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:namespace=hallpass-system,groups="",resources=configmaps,resourceNames=hallpass-ca,verbs=get
package cluster

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/login/provider"
)

const (
	// fresh is how long an object is used without asking.
	fresh = time.Minute
	// pause is how long an object is not read again although its value was refused.
	pause = 10 * time.Second
	// timeout bounds one request.
	timeout = 5 * time.Second
	// maxObjects bounds the cache.
	maxObjects = 256
	// secretKey is the entry of a provider's Secret.
	secretKey = "client_secret"
	// bundleKey is the entry of a ConfigMap with authorities.
	bundleKey = "ca.crt"
)

// Objects are objects of the cluster, read by name and cached. While the API server does not
// answer, the last value stays in use.
type Objects struct {
	core rest.Interface
	now  func() time.Time

	mu    sync.Mutex
	known map[string]entry
}

// entry is the value of an object, and when it was read.
type entry struct {
	value string
	read  time.Time
}

// New connects with the rights of the process.
func New(config *rest.Config, now func() time.Time) (*Objects, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("make the scheme of objects: %w", err)
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.Timeout = timeout
	config.QPS = -1 // the cache bounds the requests for each object
	core, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return &Objects{core: core, now: now, known: map[string]entry{}}, nil
}

// Secrets are the client secrets in the Secrets of a namespace. It implements provider.Secrets.
type Secrets struct {
	Objects   *Objects
	Namespace string
}

// ClientSecret implements provider.Secrets.
func (s Secrets) ClientSecret(ctx context.Context, name string, again bool) (string, error) {
	value, err := s.Objects.get(ctx, "secrets", s.Namespace, name, again, func(result rest.Result) (string, error) {
		var secret corev1.Secret
		err := result.Into(&secret)
		// An editor leaves a line end, which belongs to no secret.
		return strings.TrimRight(string(secret.Data[secretKey]), "\r\n"), err
	})
	if err == nil && value == "" {
		err = provider.ErrNoSecret
	}
	return value, err
}

// Bundle returns the authorities in a ConfigMap. Without one it is empty.
func (o *Objects) Bundle(ctx context.Context, namespace, name string) (string, error) {
	return o.get(ctx, "configmaps", namespace, name, false, func(result rest.Result) (string, error) {
		var bundle corev1.ConfigMap
		err := result.Into(&bundle)
		return bundle.Data[bundleKey], err //nolint:wrapcheck // Bundle names the object
	})
}

// get returns the value of an object, which is empty if there is no such object.
func (o *Objects) get(
	ctx context.Context, resource, namespace, name string, again bool, read func(rest.Result) (string, error),
) (string, error) {
	key, age := resource+"/"+namespace+"/"+name, fresh
	o.mu.Lock()
	last, known := o.known[key]
	o.mu.Unlock()
	if again || last.value == "" {
		age = pause
	}
	now := o.now()
	if known && now.Sub(last.read) < age {
		return last.value, nil
	}
	value, err := read(o.core.Get().Namespace(namespace).Resource(resource).Name(name).Do(ctx))
	switch {
	case apierrors.IsNotFound(err):
		value = ""
	case err != nil && known:
		return last.value, nil // the API server is away
	case err != nil:
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !known && len(o.known) >= maxObjects {
		clear(o.known)
	}
	o.known[key] = entry{value, now}
	return value, nil
}

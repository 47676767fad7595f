// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/issuerkeys"
	"github.com/hallpass-dev/hallpass/internal/jws"
)

// keySource is where keys come from: the network, or an entry of a ConfigMap.
type keySource struct {
	issuerkeys.Source

	configMap, entry string
}

// keyReader reads keys wherever they come from. An error is an *issuerkeys.Error.
type keyReader struct {
	issuerkeys.Fetcher

	api client.Reader
	// namespace is that of the ConfigMaps, in which no tenant can write.
	namespace string
}

// Read reads the keys of a source. It asks the API server for a ConfigMap itself: no cache has it.
func (r keyReader) Read(ctx context.Context, source keySource) (jws.KeySet, error) {
	if source.configMap == "" {
		return r.Fetch(ctx, source.Source)
	}
	failed := func(format string, args ...any) error {
		return &issuerkeys.Error{Reason: v1alpha1.ReasonKeysNotFetched, What: fmt.Sprintf(format, args...)}
	}
	var found corev1.ConfigMap
	err := r.api.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: source.configMap}, &found)
	switch {
	case apierrors.IsNotFound(err):
		return jws.KeySet{}, failed("there is no ConfigMap %s in the namespace %s", source.configMap, r.namespace)
	case err != nil:
		return jws.KeySet{}, failed("the ConfigMap %s in the namespace %s could not be read", source.configMap, r.namespace)
	}
	document, there := found.Data[source.entry]
	switch {
	case !there:
		return jws.KeySet{}, failed("the ConfigMap %s in the namespace %s has no entry %s", source.configMap, r.namespace, source.entry)
	case len(document) > jws.MaxKeySetSize:
		return jws.KeySet{}, failed("the JWK set is larger than %d KiB", jws.MaxKeySetSize>>10)
	}
	return source.Parse([]byte(document))
}

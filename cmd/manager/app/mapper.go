// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// mapper remembers each mapping that it was asked for. The cache asks for one at each read, and
// what makes it anew each time was a third of all that a manager allocated.
type mapper struct {
	meta.RESTMapper

	mappings sync.Map // *meta.RESTMapping by schema.GroupVersionKind
}

func newMapper(config *rest.Config, transport *http.Client) (meta.RESTMapper, error) {
	dynamic, err := apiutil.NewDynamicRESTMapper(config, transport)
	if err != nil {
		return nil, fmt.Errorf("prepare the mapping of kinds to resources: %w", err)
	}
	return &mapper{RESTMapper: dynamic}, nil
}

// RESTMapping implements meta.RESTMapper.
func (m *mapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if len(versions) > 1 {
		return m.RESTMapper.RESTMapping(kind, versions...) //nolint:wrapcheck // it is a decorator
	}
	// without one it is the version that the API server prefers
	key := kind.WithVersion(strings.Join(versions, ""))
	if known, ok := m.mappings.Load(key); ok {
		return known.(*meta.RESTMapping), nil //nolint:forcetypeassert,errcheck // nothing else is stored
	}
	mapping, err := m.RESTMapper.RESTMapping(kind, versions...)
	if err == nil {
		m.mappings.Store(key, mapping)
	}
	return mapping, err //nolint:wrapcheck // it is a decorator
}

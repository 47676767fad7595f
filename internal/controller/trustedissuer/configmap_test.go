// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package trustedissuer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const mapped = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

// configMaps is an API server with the data of ConfigMaps.
type configMaps struct {
	client.Reader

	data map[types.NamespacedName]map[string]string
	away error
}

func (c *configMaps) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	found, ok := into.(*corev1.ConfigMap)
	data, there := c.data[key]
	switch {
	case c.away != nil:
		return c.away
	case !ok, !there:
		return apierrors.NewNotFound(corev1.Resource("configmaps"), key.Name)
	}
	found.Data = data
	return nil
}

// Keys are read from the named entry of the namespace of the manager. What is wrong with it is in
// the condition, without what it has.
func TestKeysAreReadFromAConfigMap(t *testing.T) {
	const canary = "Q4N4RY"
	for name, c := range map[string]struct {
		data map[string]string
		away error
		says string
	}{
		"a key":                      {map[string]string{"jwks": mapped}, nil, ""},
		"another entry":              {map[string]string{"keys": mapped}, nil, "has no entry jwks"},
		"no JWK set":                 {map[string]string{"jwks": canary}, nil, "not a set of public keys"},
		"a private key":              {map[string]string{"jwks": `{"keys":[{"kty":"EC","crv":"P-256","d":"` + canary + `"}]}`}, nil, "not a set of public keys"},
		"no key":                     {map[string]string{"jwks": `{"keys":[]}`}, nil, "not a set of public keys"},
		"more than 64 KiB":           {map[string]string{"jwks": strings.Repeat(" ", 1<<20)}, nil, "larger than 64 KiB"},
		"no ConfigMap":               {nil, nil, "there is no ConfigMap east in the namespace hallpass-system"},
		"an API server that is away": {map[string]string{"jwks": mapped}, errors.New(canary), "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFetching(t)
			api := &configMaps{data: map[types.NamespacedName]map[string]string{{Namespace: "tenant", Name: "east"}: {"jwks": mapped}}, away: c.away}
			if c.data != nil {
				api.data[types.NamespacedName{Namespace: "hallpass-system", Name: "east"}] = c.data
			}
			f.by, f.source = keyReader{api: api, namespace: "hallpass-system"}, keySource{configMap: "east", entry: "jwks"}
			got := f.after(0)
			if c.says == "" {
				if got.failed != nil || got.keys == "" || got.next.Sub(noon) != time.Minute {
					t.Fatalf("%v, keys %q, the next time at %s", got.failed, got.keys, got.next)
				}
				return
			}
			if got.failed == nil || !strings.Contains(got.failed.What, c.says) || strings.Contains(got.failed.What, canary) || got.keys != "" {
				t.Errorf("%v, want %q", got.failed, c.says)
			}
			if got.next.Sub(noon) != firstRetry {
				t.Errorf("it is read again after %s", got.next.Sub(noon))
			}
		})
	}
}

// The last good keys are kept while the ConfigMap is away, and replaced with what it has then.
func TestAConfigMapThatIsAwayKeepsItsKeys(t *testing.T) {
	f := newFetching(t)
	name := types.NamespacedName{Namespace: "hallpass-system", Name: "east"}
	api := &configMaps{data: map[types.NamespacedName]map[string]string{name: {"jwks": mapped}}}
	f.by, f.source = keyReader{api: api, namespace: name.Namespace}, keySource{configMap: name.Name, entry: "jwks"}
	first := f.after(0)
	delete(api.data, name)
	if got := f.after(time.Minute); got.failed == nil || got.keys != first.keys {
		t.Errorf("away: %v, keys %q", got.failed, got.keys)
	}
	api.data[name] = map[string]string{"jwks": `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`}
	if got := f.after(firstRetry); got.failed != nil || got.keys == first.keys {
		t.Errorf("back: %v, keys %q", got.failed, got.keys)
	}
}

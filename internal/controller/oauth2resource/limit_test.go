// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2resource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// granting is a resource that grants a scope to so many namespaces, of 60 bytes each.
func granting(namespaces int) oauth2.Resource {
	r := oauth2.Resource{Identifier: "https://api.test", UID: "u", Namespace: "shop", Name: "api", Scopes: []string{"read"}}
	consent := oauth2.Consent{Scopes: []string{"read"}}
	for i := range namespaces {
		consent.Namespaces = append(consent.Namespaces, fmt.Sprintf("%060d", i))
	}
	if namespaces > 0 {
		r.Consents = []oauth2.Consent{consent}
	}
	return r
}

func reasonOf(condition *metav1.Condition) string {
	if condition == nil {
		return ""
	}
	return condition.Reason
}

func TestTheSizeOfARecordIsLimited(t *testing.T) {
	const most = registration.MaxResource / 63 // namespaces that a record names, or a few less
	other := granting(2)
	other.Scopes, other.Introspectors = []string{"write"}, []oauth2.ObjectName{{Namespace: "shop", Name: "a"}, {Namespace: "shop", Name: "b"}}
	kept := granting(2)
	kept.Scopes, kept.Introspectors = nil, other.Introspectors[:1]
	described := func(r oauth2.Resource, size int) oauth2.Resource {
		r.Descriptions = []oauth2.Description{{Scope: "read", Text: strings.Repeat("x", size)}}
		return r
	}
	withRoom := func(bytes int) *publish.Room {
		return publish.NewRoom(publish.Bounds{All: bytes, Namespace: bytes, Guaranteed: bytes, Reserved: bytes})
	}
	for name, c := range map[string]struct {
		before *oauth2.Resource // what is on record
		wanted oauth2.Resource
		room   *publish.Room
		// written is nil where nothing is.
		written       *oauth2.Resource
		ready, limits string
	}{
		"a small one":                          {nil, granting(10), nil, new(granting(10)), "", ""},
		"a new one that is too large":          {nil, granting(most + 1), nil, new(granting(0)), v1alpha1.ReasonTooLarge, ""},
		"one that no Secret can hold":          {new(granting(3)), granting(12_000), nil, new(granting(3)), v1alpha1.ReasonTooLarge, ""},
		"one that has become too large":        {new(granting(20)), granting(most + 1), nil, new(granting(20)), v1alpha1.ReasonTooLarge, ""},
		"one that was too large before":        {new(granting(most + 9)), granting(most + 9), nil, new(granting(most + 9)), "", v1alpha1.ReasonTooLarge},
		"one that is too large and shrinks":    {new(granting(most + 9)), granting(most + 5), nil, new(granting(most + 5)), "", v1alpha1.ReasonTooLarge},
		"one with descriptions":                {nil, described(granting(10), 500), withRoom(4000), new(described(granting(10), 500)), "", ""},
		"descriptions without room":            {nil, described(granting(10), 4000), withRoom(4000), new(granting(10)), "", ""},
		"descriptions that are too large":      {nil, described(granting(10), registration.MaxResource), nil, new(granting(10)), "", ""},
		"a new one within its room":            {nil, granting(10), withRoom(4000), new(granting(10)), "", ""},
		"a new one without room":               {nil, granting(100), withRoom(4000), nil, v1alpha1.ReasonTooManyBytes, ""},
		"one that grows without room":          {new(granting(2)), granting(100), withRoom(4000), new(granting(2)), v1alpha1.ReasonTooManyBytes, ""},
		"one that changes without room":        {new(granting(2)), other, withRoom(100), &kept, v1alpha1.ReasonTooManyBytes, ""},
		"a new one that is too large for both": {nil, granting(most + 1), withRoom(100), nil, v1alpha1.ReasonTooManyBytes, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{RegistryNamespace: registration.Namespace, Policy: &policy.Source{Room: c.room}}
			s := &state{resource: c.wanted, held: c.before != nil}
			if c.before != nil {
				s.before = *c.before
			}
			data, err := encode(s.resource)
			if err != nil {
				data = nil
			}
			data, err = r.limit(t.Context(), s, data)
			if err != nil {
				t.Fatal(err)
			}
			var written *oauth2.Resource
			if data != nil {
				resource, err := registration.DecodeResource(data)
				if err != nil {
					t.Fatal(err)
				}
				written = &resource
			}
			if diff := cmp.Diff(c.written, written); diff != "" {
				t.Errorf("(-want +written):\n%s", diff)
			}
			if diff := cmp.Diff([]string{c.ready, c.limits}, []string{reasonOf(s.ready), reasonOf(s.limits)}); diff != "" {
				t.Errorf("ready, limits (-want +got):\n%s", diff)
			}
			if waits := c.ready == v1alpha1.ReasonTooManyBytes; (s.wants > 0) != waits {
				t.Errorf("it waits for room for %d bytes", s.wants)
			}
		})
	}
}

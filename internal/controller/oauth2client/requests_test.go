// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// countingReader counts what is read live, by type.
type countingReader struct {
	client.Reader

	read map[string]int
}

func (r countingReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	r.read[fmt.Sprintf("read %T", o)]++
	return r.Reader.Get(ctx, key, o, options...)
}

// TestWhatAClientCostsTheAPIServer counts all requests about a client at each turn of its life.
func TestWhatAClientCostsTheAPIServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counted := countingReader{w.server, map[string]int{}}
	w.r.Live = counted
	w.create(clientOfWorld("app"))
	w.rest("app")
	w.rotate("1") // makes the key of generations
	for _, turn := range []struct {
		name string
		do   func()
		want map[string]int
	}{
		{"another client", func() { w.create(clientOfWorld("second")) }, map[string]int{"create": 2, "status": 1}},
		{"nothing", func() {}, map[string]int{}},
		{"other scopes", func() {
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Scopes = []v1alpha1.Scope{"read"} })
		}, map[string]int{"update": 2, "status": 1}},
		{"a rotation", func() { w.askToRotate("app", "2") }, map[string]int{"read *v1.PartialObjectMetadata": 1, "read *v1.Secret": 1, "update": 3, "status": 1}},
		{"another name", func() {
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "other" })
		}, map[string]int{"read *v1.PartialObjectMetadata": 1, "read *v1.Secret": 4, "create": 1, "update": 1, "delete": 1, "status": 1}},
		{"a deleted Secret", func() { w.must(w.server.Delete(t.Context(), w.secret("other"))) },
			map[string]int{"read *v1.PartialObjectMetadata": 1, "read *v1.Secret": 1, "create": 1, "update": 2, "status": 1}},
	} {
		clear(counted.read)
		w.writes = nil
		turn.do()
		w.rest("app")
		if turn.name == "another client" {
			w.rest("second")
		}
		got := maps.Clone(counted.read)
		for _, line := range w.writes {
			verb, _, _ := strings.Cut(line, " ")
			got[verb]++
		}
		if diff := cmp.Diff(turn.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", turn.name, diff)
		}
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/cluster"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

// lines writes JSON values, one a line, and sends each at once.
type lines struct {
	mu  sync.Mutex
	out http.ResponseWriter
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &lines{out: w}
}

func (l *lines) send(content any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.NewEncoder(l.out).Encode(content); err != nil {
		return err //nolint:wrapcheck // the browser is gone
	}
	return http.NewResponseController(l.out).Flush() //nolint:wrapcheck // as above
}

// problem is the last line of a stream that failed.
func (l *lines) problem(err error) {
	_ = l.send(map[string]string{"error": capital(show.Sentence(err))})
}

// streamRoutes are the routes whose answers stream.
type streamRoutes struct{ *Server }

// streamClients sends the clients page by page, so that the first rows are there before the last
// were read.
func (s streamRoutes) streamClients(w http.ResponseWriter, c call) {
	out := newLines(w)
	options := listOf(pageSize)
	for {
		page, err := within(c.Context(), s.Cluster, s.Timeout, func(ctx context.Context) (*unstructured.UnstructuredList, error) {
			return c.cluster.Page(ctx, cluster.Clients(), options)
		})
		if err != nil {
			out.problem(err)
			return
		}
		rows := []clientRow{}
		for i := range page.Items {
			client, err := cluster.As[v1alpha1.OAuth2Client](&page.Items[i])
			if err != nil {
				out.problem(err)
				return
			}
			rows = append(rows, viewClient(client, s.Now()))
		}
		options.Continue = page.GetContinue()
		if out.send(map[string]any{"rows": rows, "complete": options.Continue == ""}) != nil || options.Continue == "" {
			return
		}
	}
}

// changed is a line about an object that was added, changed or deleted.
type changed struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Deleted   bool   `json:"deleted,omitempty"`
	// Row is the client, and Event the event.
	Row   *clientRow `json:"row,omitempty"`
	Event *eventView `json:"event,omitempty"`
}

// watch sends a line for each change of the objects of Hallpass, until the browser goes or the
// console ends. A kind that the caller may not watch is left out.
func (s streamRoutes) watch(w http.ResponseWriter, c call) {
	out := newLines(w)
	if out.send(map[string]bool{"watching": true}) != nil {
		return
	}
	var all sync.WaitGroup
	for _, kind := range []cluster.Kind{cluster.Clients(), cluster.Tokens(), cluster.Resources(), cluster.Issuers(), cluster.Events()} {
		all.Go(func() {
			if err := s.watchKind(c, kind, out); err != nil && c.Context().Err() == nil {
				_ = out.send(map[string]string{"kind": kind.Noun, "unwatched": capital(show.Sentence(err))})
			}
		})
	}
	all.Wait()
}

func (s streamRoutes) watchKind(c call, kind cluster.Kind, out *lines) error {
	ctx := c.Context()
	from, err := c.cluster.Page(ctx, kind, listOf(1))
	if err != nil {
		return err
	}
	options := metav1.ListOptions{ResourceVersion: from.GetResourceVersion()}
	return c.cluster.Follow(ctx, kind, options, func(what watch.EventType, object *unstructured.Unstructured) error {
		line := changed{Kind: kind.Noun, Namespace: object.GetNamespace(), Name: object.GetName(), Deleted: what == watch.Deleted}
		switch kind {
		case cluster.Clients():
			client, err := cluster.As[v1alpha1.OAuth2Client](object)
			if err != nil {
				return err
			}
			row := viewClient(client, s.Now())
			line.Row = &row
		case cluster.Events():
			event, err := cluster.As[corev1.Event](object)
			if err != nil {
				return err
			}
			if !ours(*event) {
				return nil
			}
			view := viewEvent(event)
			line.Event = &view
		}
		return out.send(line)
	})
}

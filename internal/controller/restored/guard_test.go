// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package restored

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestAWatchDoesNotGoOnAtARevisionThatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		from, current string
		streamed      bool
		gone, failed  bool
		asked         int
	}{
		"where the store is":                   {from: "100", current: "100", asked: 1},
		"where the store was":                  {from: "90", current: "100", asked: 1},
		"where the store is not yet":           {from: "110", current: "100", gone: true, failed: true, asked: 1},
		"before revisions were raised":         {from: "110", current: "1000000100", gone: true, failed: true, asked: 1},
		"from the beginning":                   {from: "0", current: "100"},
		"from now on":                          {current: "100"},
		"with a list, which says it by itself": {from: "110", current: "100", streamed: true},
		"of a store that does not say":         {from: "100", current: "not a number", failed: true, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.URL.Query().Get("watch") != "" {
					_, _ = fmt.Fprintln(w, `{"type":"BOOKMARK","object":{"kind":"Secret","apiVersion":"v1","metadata":{"resourceVersion":"100"}}}`)
					return
				}
				asked++
				if got := r.URL.RawQuery; got != "fieldSelector=metadata.name%3Dkeys&limit=1" || !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
					t.Errorf("asked for %q, %q", got, r.Header)
				}
				_, _ = fmt.Fprintf(w, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":%q},"items":[]}`, c.current)
			}))
			defer api.Close()
			config := &rest.Config{Host: api.URL}
			config.Wrap(Guard)
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			options := metav1.ListOptions{ResourceVersion: c.from, FieldSelector: "metadata.name=keys"}
			if c.streamed {
				options.SendInitialEvents, options.ResourceVersionMatch = new(true), metav1.ResourceVersionMatchNotOlderThan
			}
			w, err := client.CoreV1().Secrets("registry").Watch(t.Context(), options)
			if (err != nil) != c.failed || apierrors.IsResourceExpired(err) != c.gone || asked != c.asked {
				t.Fatalf("asked %d times: %v", asked, err)
			}
			if err != nil {
				return
			}
			defer w.Stop()
			if event := <-w.ResultChan(); event.Type != watch.Bookmark {
				t.Errorf("%+v", event)
			}
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestFluxReadsTheConditions has the library that Flux and others wait with read a client's status.
func TestFluxReadsTheConditions(t *testing.T) {
	for name, c := range map[string]struct {
		obstacle *metav1.Condition
		change   func(c *v1alpha1.OAuth2Client)
		want     status.Status
	}{
		"a client that is registered":          {nil, func(*v1alpha1.OAuth2Client) {}, status.CurrentStatus},
		"a step that is tried again":           {new(v1alpha1.Progressing("register the client")), func(*v1alpha1.OAuth2Client) {}, status.InProgressStatus},
		"a Secret of somebody else's":          {new(v1alpha1.SecretConflict("a")), func(*v1alpha1.OAuth2Client) {}, status.FailedStatus},
		"a client_id that is taken":            {new(v1alpha1.ClientIDConflict("a")), func(*v1alpha1.OAuth2Client) {}, status.FailedStatus},
		"a template that is wrong":             {new(v1alpha1.InvalidTemplate("a", "b")), func(*v1alpha1.OAuth2Client) {}, status.FailedStatus},
		"a spec that nobody has looked at yet": {nil, func(c *v1alpha1.OAuth2Client) { c.Generation++ }, status.InProgressStatus},
		"a client that is being deleted":       {nil, func(c *v1alpha1.OAuth2Client) { c.DeletionTimestamp = new(metav1.Now()) }, status.TerminatingStatus},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "reporting", Generation: 3}}
			object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("OAuth2Client"))
			object.Status, _ = statusOf(object, methodOf(object, nil, nil, nil, generationKeys{}), seen{}, decision{obstacle: c.obstacle})
			c.change(object)
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			if err != nil {
				t.Fatal(err)
			}
			got, err := status.Compute(&unstructured.Unstructured{Object: content})
			if err != nil || got.Status != c.want {
				t.Errorf("%+v (%v), want %s", got, err, c.want)
			}
		})
	}
}

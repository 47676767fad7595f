// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// A client that was registered before registrations had a bound may have more labels than the cache
// of the manager keeps, and a consent may select one that it drops.
func TestAClientWithMoreLabelsThanTheCacheKeepsGoesOn(t *testing.T) {
	many := map[string]string{"z-consent": "yes", "z-other": "yes"}
	for i := range 300 {
		many[fmt.Sprintf("example.com/%05d", i)] = strings.Repeat("x", 63)
	}
	without := func(keys ...string) map[string]string {
		labels := maps.Clone(many)
		for _, key := range keys {
			delete(labels, key)
		}
		return labels
	}
	changed := maps.Clone(many)
	changed["z-consent"] = "no"
	added := maps.Clone(many)
	added["z-added"] = "yes"
	for name, c := range map[string]struct {
		labels, want map[string]string
		// of WithinLimits; none if the client is not too large
		status metav1.ConditionStatus
	}{
		"it keeps what is registered":              {many, many, metav1.ConditionFalse},
		"a label that its owner removes is lost":   {without("z-consent"), without("z-consent"), metav1.ConditionFalse},
		"a label that its owner changes is lost":   {changed, without("z-consent"), metav1.ConditionFalse},
		"a label that its owner adds is not added": {added, many, metav1.ConditionFalse},
		"of few labels all are registered":         {map[string]string{"z-consent": "yes"}, map[string]string{"z-consent": "yes"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			app := clientOfWorld("app")
			app.Spec.Access = []v1alpha1.Access{{ResourceNamespace: "orders", ResourceName: "api", Scopes: []v1alpha1.Scope{"read"}}}
			w.create(app)
			w.rest("app")
			r, record := w.registered("shop.app")
			r.Client.Labels = many
			data, err := registration.Encode(r)
			w.must(err)
			record.Data = data
			w.must(w.server.Update(t.Context(), record))
			w.edit("app", func(app *v1alpha1.OAuth2Client) { app.Labels = c.labels })
			w.trims = true
			w.rest("app")
			r, _ = w.registered("shop.app")
			if diff := cmp.Diff(c.want, r.Client.Labels); diff != "" {
				t.Errorf("labels that are registered (-want +got):\n%s", diff)
			}
			if limits := w.condition("app", v1alpha1.ConditionWithinLimits); limits.Status != c.status {
				t.Errorf("the condition is %+v", limits)
			}
		})
	}
}

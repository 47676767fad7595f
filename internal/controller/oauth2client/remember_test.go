// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

func TestWhichNamesARegistrationRemembers(t *testing.T) {
	renamed := func(to string) v1alpha1.SecretSpec { return v1alpha1.SecretSpec{Name: to} }
	retained := func(to string) v1alpha1.SecretSpec {
		return v1alpha1.SecretSpec{Name: to, DeletionPolicy: v1alpha1.DeletionRetain}
	}
	for name, c := range map[string]struct {
		secret       v1alpha1.SecretSpec
		there        bool
		before, want string
		// left is what is remembered once the former Secrets are gone.
		left string
	}{
		"most clients need no memory":                {renamed(""), false, "", "", ""},
		"a Secret that was there before":             {renamed("b"), true, "", "", ""},
		"a new name":                                 {renamed("b"), false, "", "b", "b"},
		"another name":                               {renamed("c"), false, "b", "b c", "c"},
		"the first name again":                       {renamed(""), false, "b", "b app", "app"},
		"a name from before is the newest":           {renamed("b"), false, "b c", "c b", "b"},
		"a name that is remembered":                  {renamed("b"), true, "b", "b", "b"},
		"a retained Secret has no other way":         {retained(""), true, "", "app", "app"},
		"a retained Secret is renamed":               {retained("b"), false, "app", "app b", "b"},
		"the user's own Secret is not to be removed": {v1alpha1.SecretSpec{Name: "mine", Source: v1alpha1.SecretExisting}, true, "b", "b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Spec: v1alpha1.OAuth2ClientSpec{Secret: c.secret}}
			s := seen{earlier: earlier{names: strings.Fields(c.before)}}
			if c.there {
				s.object = &corev1.Secret{}
			}
			before := slices.Clone(s.names)
			got := methodOf(client, nil, nil, nil).remember(s)
			if diff := cmp.Diff([]string{c.want, c.left}, []string{strings.Join(got, " "), strings.Join(current(client, got), " ")}); diff != "" {
				t.Errorf("remembered and left (-want +got):\n%s", diff)
			}
			if !slices.Equal(before, s.names) {
				t.Errorf("what was read was changed to %q", s.names)
			}
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestAPolicyRequiresContacts(t *testing.T) {
	required := oauth2.Ceilings{}.And(oauth2.Ceilings{ContactsRequired: true}).And(oauth2.Ceilings{})
	named := []v1alpha1.Contact{"shop@example.com"}
	for name, c := range map[string]struct {
		ceilings  oauth2.Ceilings
		contacts  []v1alpha1.Contact
		held      bool
		forbidden bool
	}{
		"no policy":                              {oauth2.Ceilings{}, nil, false, false},
		"a new client without any":               {required, nil, false, true},
		"a new client that names one":            {required, named, false, false},
		"a client that was there before goes on": {required, nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			client := &v1alpha1.OAuth2Client{Spec: v1alpha1.OAuth2ClientSpec{Contacts: c.contacts}}
			got := forbidden(client, seen{inRegistry: inRegistry{held: c.held}, ceilings: c.ceilings})
			if (got != nil) != c.forbidden || got != nil && got.Reason != v1alpha1.ReasonNotAllowedByPolicy {
				t.Errorf("%v", got)
			}
		})
	}
}

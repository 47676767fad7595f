// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func TestAPolicyAllowsGrantTypes(t *testing.T) {
	credentials, bearer := oauth2.Ceilings{GrantTypes: []string{"ClientCredentials"}}, oauth2.Ceilings{GrantTypes: []string{"JWTBearer"}}
	both := []v1alpha1.GrantType{v1alpha1.GrantJWTBearer, v1alpha1.GrantClientCredentials}
	for name, c := range map[string]struct {
		ceilings   oauth2.Ceilings
		grantTypes []v1alpha1.GrantType
		want       oauth2.GrantTypes
		forbidden  bool
	}{
		"no policy":                {oauth2.Ceilings{}, both, oauth2.ClientCredentials | oauth2.JWTBearer, false},
		"a client that names none": {credentials, nil, 0, false},
		"a client that names none, and is not meant": {bearer, nil, 0, true},
		"a grant type that is listed":                {bearer, both[:1], oauth2.JWTBearer, false},
		"one that is and one that is not":            {credentials, both, oauth2.ClientCredentials | oauth2.JWTBearer, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := &v1alpha1.OAuth2Client{Spec: v1alpha1.OAuth2ClientSpec{GrantTypes: c.grantTypes}}
			for _, held := range []bool{false, true} { // also what was allowed before
				s := seen{ceilings: c.ceilings}
				s.held = held
				got := forbidden(client, s)
				if (got != nil) != c.forbidden || got != nil && got.Reason != v1alpha1.ReasonNotAllowedByPolicy {
					t.Errorf("%v", got)
				}
				if compiled := compile(client, s); compiled.GrantTypes != c.want || compiled.Refused != c.forbidden {
					t.Errorf("registered with %v, refused: %t", compiled.GrantTypes.Names(), compiled.Refused)
				}
			}
		})
	}
}

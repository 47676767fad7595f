// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"slices"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// resourceItem is the resource that a token request without one means. Templates have it in any case.
// The entry is for clients of declared resources, and came later than the others: it gives way to one of
// the user's that has its name.
func resourceItem(c *v1alpha1.OAuth2Client, issuer oauth2.Issuer, resources policy.Declared) output.Item {
	audience := issuer.NamespaceAudience(c.Namespace)
	if asked := c.Spec.DefaultResource; asked.Name != "" {
		audience = ""
		if declared := resources[oauth2.ObjectName{Namespace: string(asked.Namespace), Name: asked.Name}]; declared != nil {
			audience = declared.Identifier
		}
	}
	keys := c.Spec.Secret.Keys
	_, templated := c.Spec.Secret.Template[keyResource]
	taken := keys.Resource == "" && (templated || slices.Contains([]v1alpha1.SecretKey{
		keys.ClientID, keys.ClientSecret, keys.IssuerURL, keys.TokenURL, keys.JWKSURL, keys.IntrospectionURL, keys.Scope, keys.CACertificate,
	}, keyResource))
	return output.Item{Name: keyResource, Renamed: keys.Resource, Value: audience, Omitted: taken || audience == "" || len(c.Spec.Access) == 0}
}

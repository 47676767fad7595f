// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"slices"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// resourceItem is the resource that a token request without one means. Templates have it in any
// case, the entry is for clients of declared resources.
func resourceItem(c *v1alpha1.OAuth2Client, issuer oauth2.Issuer, s seen) output.Item {
	audience := issuer.NamespaceAudience(c.Namespace)
	if asked := c.Spec.DefaultResource; asked.Name != "" {
		name := oauth2.ObjectName{Namespace: string(asked.Namespace), Name: asked.Name}
		audience = s.newer[name]
		if declared := s.resources[name]; declared != nil {
			audience = declared.Identifier
		}
	}
	item := laterItem(c, keyResource, c.Spec.Secret.Keys.Resource, audience)
	item.Omitted = item.Omitted || len(c.Spec.Access) == 0
	return item
}

// internalItem is the URL of the token endpoint for callers inside the cluster, if there is one.
func internalItem(c *v1alpha1.OAuth2Client, issuer oauth2.Issuer) output.Item {
	return laterItem(c, keyInternalTokenURL, c.Spec.Secret.Keys.InternalTokenURL, issuer.InternalURL(oauth2.TokenPath))
}

// authorizationItem is the URL of the authorization endpoint, for a client that sends people there.
func authorizationItem(c *v1alpha1.OAuth2Client, s seen) output.Item {
	item := laterItem(c, keyAuthorizationURL, c.Spec.Secret.Keys.AuthorizationURL, s.login.authorizationURL())
	item.Omitted = item.Omitted || !hasCodes(c)
	return item
}

// laterItem is an entry that came later than the others. It gives way to one of the user's that has
// its name, and is left out without a value.
func laterItem(c *v1alpha1.OAuth2Client, name string, renamed v1alpha1.SecretKey, value string) output.Item {
	keys := c.Spec.Secret.Keys
	_, templated := c.Spec.Secret.Template[name]
	taken := renamed == "" && (templated || slices.Contains([]v1alpha1.SecretKey{
		keys.ClientID, keys.ClientSecret, keys.IssuerURL, keys.TokenURL, keys.JWKSURL, keys.IntrospectionURL, keys.Scope, keys.CACertificate,
		keys.Resource, keys.InternalTokenURL, keys.AuthorizationURL,
	}, v1alpha1.SecretKey(name)))
	return output.Item{Name: name, Renamed: renamed, Value: value, Omitted: taken || value == ""}
}

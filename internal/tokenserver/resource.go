// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// resourceDocument tells clients of a declared resource whose tokens it takes: RFC 9728 section 2. It is public, as the API is.
type resourceDocument struct {
	Resource             string   `json:"resource"`
	Name                 string   `json:"resource_name,omitempty"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
}

// resourceMetadata serves the document of the resource in the path. A resource that has an identifier of its own is found under
// the same path: its owner's server forwards its well-known path to here.
func (s *Server) resourceMetadata(r *http.Request, e *event) (answer, error) {
	resource := s.Directory.Resource(oauth2.ObjectName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")})
	if resource == nil {
		return notFound(r, e)
	}
	return answer{maxAge: publicMaxAge, body: resourceDocument{
		Resource:             resource.Identifier,
		Name:                 resource.DisplayName,
		AuthorizationServers: []string{s.Issuer.String()},
		Scopes:               resource.Scopes,
		BearerMethods:        []string{"header"},
	}}, nil
}

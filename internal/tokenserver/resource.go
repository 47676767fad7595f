// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
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

// resourceEndpoint serves the document of the resource in the path. A resource that has an identifier of its
// own is found under the same path: its owner's server forwards its well-known path to here.
type resourceEndpoint struct {
	issuer    oauth2.Issuer
	resources oauth2.Resources
}

func (e resourceEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	resource := e.resources.Resource(oauth2.ObjectName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")})
	if resource == nil {
		return nothing{}.serve(r, in)
	}
	body, err := json.Marshal(resourceDocument{
		Resource:             resource.Identifier,
		Name:                 resource.DisplayName,
		AuthorizationServers: []string{e.issuer.String()},
		Scopes:               resource.Scopes,
		BearerMethods:        []string{"header"},
	})
	if err != nil {
		return answer.Answer{}, auth.Trail{}, fmt.Errorf("render the metadata of resource %s: %w", resource.Identifier, err)
	}
	return answer.Public(answer.JSON, body, publicMaxAge), auth.Trail{}, nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// forwardAuthEndpoint answers proxies that ask before they pass a request on: nginx auth_request,
// ForwardAuth of Traefik, forward_auth of Caddy and the like. What is required stands in the query
// of the URL that the proxy's configuration fixes; of the request only the Authorization header
// counts. It answers 200 with the identity headers and no body, or by RFC 6750 section 3: 401 and
// 403, never 400, which some proxies take for a fault of the server.
type forwardAuthEndpoint struct{ authority *auth.Authority }

func (f forwardAuthEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	attempt := auth.Attempt{Authorization: r.Header.Values("Authorization"), Source: in.source, At: in.at}
	attempt.Required, attempt.RequirementError = oauth2.ParseRequirementQuery(r.URL.RawQuery)
	result, err := f.authority.Admit(r.Context(), attempt)
	var identity answer.Identity
	if err == nil {
		identity, err = answer.IdentityOf(result.Claims, result.Client.Namespace)
	}
	if err != nil {
		challenge := answer.Challenge{
			Required: attempt.Required, Metadata: f.authority.ResourceMetadata(attempt.Required.Audience), Page: answer.WantsPage(r.Header.Values("Accept")),
		}
		return challenge.Refusal(err), result.Trail, err
	}
	return identity.Answer(), result.Trail, nil
}

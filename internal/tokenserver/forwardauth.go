// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// forwardAuth answers proxies that ask before they pass a request on: nginx auth_request, ForwardAuth of Traefik, forward_auth
// of Caddy and the like. What it requires stands in the query of the URL that the proxy's configuration fixes; of the request
// only the Authorization header counts. It answers 200 with the identity headers and no body, or as RFC 6750 section 3 says:
// 401 and 403, never 400, which some proxies take for a fault of the server.
func (s *Server) forwardAuth(r *http.Request, e *event) (answer, error) {
	a := Attempt{Authorization: r.Header.Values("Authorization"), Page: wantsPage(r.Header.Values("Accept"))}
	a.Requirement, a.RequirementError = oauth2.ParseRequirementQuery(r.URL.RawQuery)
	said, err := s.admit(r.Context(), a, e)
	if err != nil {
		return answer{}, err
	}
	return answer{body: rawJSON(nil), identity: said.identity}, nil
}

// wantsPage reports whether somebody who sends this Accept header is a browser: those name text/html, programs do not.
func wantsPage(accept []string) bool {
	for _, value := range accept {
		for mediaRange := range strings.SplitSeq(value, ",") {
			mediaType, _, _ := strings.Cut(mediaRange, ";")
			if strings.EqualFold(strings.TrimSpace(mediaType), "text/html") {
				return true
			}
		}
	}
	return false
}

// WantsPage is the same question about the Accept header of a request that did not come by HTTP.
func WantsPage(accept string) bool { return wantsPage([]string{accept}) }

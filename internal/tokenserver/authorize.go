// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// authorizeEndpoint is the authorization endpoint of RFC 6749 section 3.1. It refuses every
// request, because no people are served: it exists because clients refuse metadata without it. It
// reads no parameter, so nothing of a request decides, is repeated or is redirected to.
type authorizeEndpoint struct{}

func (authorizeEndpoint) serve(r *http.Request, _ request) (answer.Answer, auth.Trail, error) {
	err := oauth2.Refuse(oauth2.UnsupportedResponseType, oauth2.ReasonPeopleNotServed,
		"there is no login here; a program gets a token at the token endpoint with credentials of its own")
	return answer.NoLogin(err, answer.WantsPage(r.Header.Values("Accept"))), auth.Trail{}, err
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// authorizeEndpoint is the authorization endpoint of RFC 6749 section 3.1, below the issuer. It
// refuses every request: where people are served, the metadata name another one, and without it
// clients refuse metadata. It reads no parameter, so nothing of a request decides, is repeated or
// is redirected to.
type authorizeEndpoint struct{ people bool }

func (e authorizeEndpoint) serve(r *http.Request, _ request) (answer.Answer, auth.Trail, error) {
	description := "there is no login here; a program gets a token at the token endpoint with credentials of its own"
	if e.people {
		description = "there is no login at this address; the metadata of the issuer name the authorization endpoint"
	}
	err := oauth2.Refuse(oauth2.UnsupportedResponseType, oauth2.ReasonPeopleNotServed, description)
	asPage := !e.people && answer.WantsPage(r.Header.Values("Accept"))
	return answer.NoLogin(err, asPage), auth.Trail{}, err
}

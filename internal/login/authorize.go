// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// authorize is the authorization endpoint. The token server decides about the request before
// anything is shown. Consent comes before the provider, so that no person is sent there for a
// client that they do not want, and nothing has to be kept of an ID token while the person reads.
func (s *Server) authorize(r *http.Request) reply {
	answer, err := s.Judge.Begin(r.Context(), loginport.BeginRequest{Query: r.URL.RawQuery, Source: s.sourceOf(r)})
	if err != nil {
		return undecided(err)
	}
	begun, ended := proceed(answer)
	if ended != nil {
		return *ended
	}
	a := newAttempt(s.Now(), begun.Ticket)
	var result reply
	if begun.Consent.Needed {
		result = askForConsent(a, begun)
	} else {
		a = a.consented()
		to, failed := s.toProvider(r, a, begun, false)
		if failed != nil {
			return *failed
		}
		result = redirect(to)
	}
	cookie := a.cookie(begun)
	result.cookies = append(makeRoom(r, len(cookie.Name)+len(cookie.Value)), cookie)
	return result.of(begun)
}

// proceed is the attempt of an answer, or the reply that ends the request.
func proceed(answer loginport.BeginAnswer) (*loginport.Attempt, *reply) {
	switch {
	case answer.Refusal != nil:
		page := refused(*answer.Refusal)
		return nil, &page
	case answer.Redirect != "":
		back := redirect(answer.Redirect).because("Refused")
		return nil, &back
	}
	return answer.Attempt, nil
}

// toProvider returns where the browser authenticates, or the reply that ends the request.
func (s *Server) toProvider(r *http.Request, a attempt, of *loginport.Attempt, again bool) (string, *reply) {
	to, err := s.Providers.AuthorizationURL(r.Context(), of.Provider, providerRequest(s.callbackURL(of.Provider), a, of.Nonce, again))
	if err != nil {
		page := s.providerFailed(r, a, of, err)
		return "", &page
	}
	return to, nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// callback is where a provider sends the browser with its answer. The state parameter names the
// cookie, and both have a value that only this browser and the provider know: an answer that was
// meant for another browser ends here (RFC 9700 section 4.7).
func (s *Server) callback(r *http.Request) reply {
	query := r.URL.Query()
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(query[name]) > 1 { // RFC 6749 section 3.1
			return message(badAnswer)
		}
	}
	state := query.Get("state")
	id, _, _ := strings.Cut(state, ".")
	a, err := attemptOf(r, id)
	if err != nil {
		return message(noAttempt)
	}
	if !a.accepts(state) {
		return message(otherTab)
	}
	answer, err := s.Judge.Resume(r.Context(), loginport.ResumeRequest{Ticket: a.ticket, Source: s.sourceOf(r)})
	if err != nil {
		return undecided(err)
	}
	attempt, ended := proceed(answer)
	if ended != nil {
		return ended.forgets(a)
	}
	if r.PathValue("issuer") != attempt.Provider.Name {
		return message(mixedUp).because(string(provider.ReasonIssuerMismatch)).of(attempt)
	}
	if code := query.Get("error"); code != "" {
		return s.providerRefused(r, a, attempt, code)
	}
	if query.Get("code") == "" {
		return message(badAnswer).of(attempt)
	}
	token, err := s.Providers.IDToken(r.Context(), attempt.Provider, provider.Answer{
		RedirectURI: s.callbackURL(attempt.Provider), Verifier: a.verifier, Code: query.Get("code"), Issuer: query.Get("iss"),
	})
	if err != nil {
		return s.providerFailed(r, a, attempt, err)
	}
	return s.finish(r, a, attempt, token)
}

// finish sends the browser to the client with what the token server decides about the ID token.
func (s *Server) finish(r *http.Request, a attempt, of *loginport.Attempt, token loginport.Opaque) reply {
	answer, err := s.Judge.Finish(r.Context(), loginport.FinishRequest{Ticket: a.ticket, IDToken: token, Source: s.sourceOf(r)})
	switch {
	case err != nil:
		return undecided(err).of(of)
	case answer.Refusal != nil:
		return refused(*answer.Refusal).forgets(a).of(of)
	}
	return redirect(string(answer.Redirect)).forgets(a).of(of)
}

// providerRefused is the reply to an error of the provider (OpenID Connect Core 1.0 section
// 3.1.2.6). The client learns what the person decided there. Any other error is a fault
// between Hallpass and the provider, which the person has to learn from a page.
func (s *Server) providerRefused(r *http.Request, a attempt, of *loginport.Attempt, code string) reply {
	switch code {
	case "access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required":
		back, err := s.end(r, a, loginport.ProviderRefused)
		if err != nil {
			return undecided(err)
		}
		return redirect(back).because(string(loginport.ProviderRefused)).forgets(a).of(of)
	case "server_error", "temporarily_unavailable":
		return s.withWayBack(r, a, of, message(providerAway), loginport.ProviderUnavailable).because(string(provider.ReasonUnreachable))
	}
	return s.withWayBack(r, a, of, message(providerMisconfigured), loginport.ProviderUnusable).because("ProviderRefusesRequest")
}

// providerFailed is the page for a provider that was of no use.
func (s *Server) providerFailed(r *http.Request, a attempt, of *loginport.Attempt, err error) reply {
	failure, known := errors.AsType[*provider.Error](err)
	if !known { // the cluster does not give the client secret
		return s.withWayBack(r, a, of, message(unavailable), loginport.ProviderUnavailable).fault(err)
	}
	what, why := providerMisconfigured, loginport.ProviderUnusable
	switch failure.Reason { //nolint:exhaustive // all others are faults of the set-up
	case provider.ReasonUnreachable, provider.ReasonBusy:
		what, why = providerAway, loginport.ProviderUnavailable
	case provider.ReasonCodeRefused, provider.ReasonIssuerMismatch:
		what = badAnswer
	}
	return s.withWayBack(r, a, of, message(what), why).because(string(failure.Reason))
}

// withWayBack ends the attempt, and adds to a page the link by which the person returns to the
// client, which learns why.
func (s *Server) withWayBack(r *http.Request, a attempt, of *loginport.Attempt, page reply, why loginport.Ended) reply {
	page = page.forgets(a).of(of)
	if back, err := s.end(r, a, why); err == nil {
		page.content.Back = safeURL(back)
		page.content.BackTo = of.Consent.RedirectHost
	}
	return page
}

// end ends an attempt without an ID token, and returns the redirect to the client.
func (s *Server) end(r *http.Request, a attempt, why loginport.Ended) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	answer, err := s.Judge.Finish(ctx, loginport.FinishRequest{Ticket: a.ticket, Ended: why, Source: s.sourceOf(r)})
	if err != nil {
		return "", err
	}
	if answer.Refusal != nil {
		return "", errors.New("the ticket is of no use")
	}
	return string(answer.Redirect), nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"crypto/subtle"
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/login/provider"
	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// maxForm bounds the body of the consent form.
const maxForm = 4 << 10

// The fields of the consent form.
const (
	fieldAttempt  = "attempt"
	fieldProof    = "proof"
	fieldDecision = "decision"
	fieldAgain    = "again"

	decisionAllow  = "allow"
	decisionRefuse = "refuse"
)

// consent takes what the person decided. The form names its attempt and proves that it comes from
// the page of this attempt in this browser: the proof is in the page, and in a cookie that no other
// site can read or set.
func (s *Server) consent(r *http.Request) reply {
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return message(badForm)
	}
	a, err := attemptOf(r, r.PostForm.Get(fieldAttempt))
	if err != nil {
		return message(noAttempt)
	}
	if subtle.ConstantTimeCompare([]byte(a.form), []byte(r.PostForm.Get(fieldProof))) != 1 {
		return message(crossSite)
	}
	switch r.PostForm.Get(fieldDecision) {
	case decisionAllow:
		return s.allow(r, a, r.PostForm.Get(fieldAgain) != "")
	case decisionRefuse:
		return s.leaveRefused(r, a)
	}
	return message(badForm)
}

// allow sends the browser to the provider. Browsers apply the form-action of a page to all
// redirects that follow its form (Content Security Policy 3 section 6.4.2), and a provider may
// redirect to hosts that login does not know. So the form is answered with a page that has a
// refresh, and the policy stays strict.
func (s *Server) allow(r *http.Request, a attempt, again bool) reply {
	answer, err := s.Judge.Resume(r.Context(), loginport.ResumeRequest{Ticket: a.ticket, Source: s.sourceOf(r)})
	if err != nil {
		return undecided(err)
	}
	attempt, ended := proceed(answer)
	switch {
	case ended != nil && ended.location != "":
		return leave(leaveToClient, ended.location).because(ended.reason).forgets(a)
	case ended != nil:
		return ended.forgets(a)
	}
	a = a.consented()
	to, failed := s.toProvider(r, a, attempt, again)
	if failed != nil {
		return *failed
	}
	result := leave(leaveToProvider, to).of(attempt)
	result.cookies = []*http.Cookie{a.cookie(attempt)}
	return result
}

// leaveRefused ends the attempt and sends the browser back to the client.
func (s *Server) leaveRefused(r *http.Request, a attempt) reply {
	answer, err := s.Judge.Finish(r.Context(), loginport.FinishRequest{Ticket: a.ticket, Ended: loginport.PersonRefused, Source: s.sourceOf(r)})
	switch {
	case err != nil:
		return undecided(err)
	case answer.Refusal != nil:
		return refused(*answer.Refusal).forgets(a)
	}
	return leave(leaveToClient, string(answer.Redirect)).because(string(loginport.PersonRefused)).forgets(a)
}

// providerRequest is the authentication request of an attempt.
func providerRequest(callback string, a attempt, nonce string, again bool) provider.Request {
	return provider.Request{RedirectURI: callback, State: a.stateParameter(), Nonce: nonce, Verifier: a.verifier, Again: again}
}

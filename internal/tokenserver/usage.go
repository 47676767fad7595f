// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// used is what a request used, as far as that was proven: it stays empty for a secret that did not match and for a token whose
// signature is not ours, so that a forgery that names a client says nothing about it.
type used struct {
	// caller is the UID of the client that authenticated, and secret the id of its client secret, if it was by one. replaced says
	// that another secret has taken the place of this one.
	caller, secret string
	replaced       bool
	// tokenOf is the UID of the client that the token asked about was issued to, and token the one of its OAuth2Token, if it was
	// made for one.
	tokenOf, token string
}

// noteUse tells of the use of the client that called, and of the one whose token was asked about: once a request, where its audit
// line is made.
func (s *Server) noteUse(e *event, now time.Time) {
	if e.used.caller != "" {
		use := oauth2.Use{
			Subject: e.used.caller, At: now, Credential: e.used.secret, Issued: e.endpoint == endpointToken && e.reason == "", Source: e.caller(),
		}
		if e.used.replaced {
			use.Stale = oauth2.PreviousSecretUsed
		}
		s.note(use)
	}
	if e.used.tokenOf == "" {
		return
	}
	denial := e.denial
	if denial == "" {
		denial = e.reason
	}
	use := oauth2.Use{Subject: e.used.tokenOf, At: now, Presented: denial == "", Stale: denial.StaleUse(), Source: e.caller()}
	if e.used.token != "" { // what is stale about it is told where the token is looked after
		if use.Presented {
			s.note(use)
		}
		use.Subject = e.used.token
	}
	s.note(use)
}

func (s *Server) note(use oauth2.Use) {
	if use.Stale != "" {
		s.Metrics.stale(use.Stale)
	}
	if s.Usage != nil {
		s.Usage.Note(use)
	}
}

// caller is the address of whoever used something, or "" where only a proxy's is known.
func (e *event) caller() string {
	switch {
	case e.forwardedFor != "":
		return e.forwardedFor
	case e.endpoint == endpointForward, e.endpoint == endpointExtAuthz:
		return ""
	}
	return e.source
}

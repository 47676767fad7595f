// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// authenticate reads the credentials of a request and finds its client. One that memory refuses is looked up at the source
// before it is told so: a client may use its secret before this replica has heard of it. Every refusal takes that way, so
// that the unknown client, the wrong secret and the suspended client stay alike, and every one counts as a failure of its
// source with that client. Too many of those are told to wait and ask the source nothing.
func (s *Server) authenticate(r *http.Request, form oauth2.Form, e *event) (*oauth2.Client, error) {
	presented, err := oauth2.ParsePresented(r.Header.Values("Authorization"), form)
	if err != nil {
		return nil, err
	}
	e.method = presented.Method
	if oauth2.ValidClientID(presented.ClientID()) {
		e.clientID = presented.ClientID()
	}
	record, verifier, err := oauth2.Authenticate(presented, s.Directory.Record, s.Now())
	if err != nil {
		if wait, ok := s.failures.take(throttleKey{e.source, e.clientID}, s.Now()); !ok {
			return nil, throttled(wait, "too many failed attempts for this client; try again later")
		}
		found, asked, unavailable := s.lookups.presented(r.Context(), presented)
		if unavailable != nil {
			return nil, unavailable
		}
		if !asked {
			return nil, err
		}
		if record, verifier, err = oauth2.Authenticate(presented, found, s.Now()); err != nil {
			return nil, err
		}
	}
	e.clientID, e.credential = record.Client.ID, verifier.ID
	return record.Client, nil
}

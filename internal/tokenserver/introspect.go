// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// inactive is the one answer to every token that is not, or not for this caller (RFC 7662 section 2.2).
const inactive = `{"active":false}`

// introspect is the introspection endpoint: RFC 7662, and RFC 9701 for callers that want the answer signed. The caller is a client
// that authenticates as at the token endpoint.
func (s *Server) introspect(r *http.Request, form oauth2.Form, e *event) (answer, error) {
	if err := s.certified(r); err != nil {
		return answer{}, err
	}
	record, err := s.authenticate(r, form, e)
	if err != nil {
		return answer{}, err
	}
	caller := record.Client
	token := form.Get("token")
	if token == "" {
		return answer{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "token is missing")
	}
	said, err := s.access(r.Context(), question{
		token: token, asker: caller.ID,
		refuses: func(ctx context.Context, claims oauth2.Claims) oauth2.Reason { return s.notFor(ctx, caller, claims, e) },
	}, e)
	if err != nil {
		return answer{}, err
	}
	body := rawJSON(inactive)
	if said.denial != "" {
		e.denial = said.denial
	} else if body, err = said.claims.Introspection(); err != nil {
		return answer{}, err
	}
	if !wantsSigned(r.Header.Values("Accept")) {
		return answer{body: body}, nil
	}
	return s.signed(caller, body, e.now)
}

// signedIntrospection is the media type of a signed answer (RFC 9701 section 4), and what a caller accepts to get one.
const signedIntrospection = "application/" + oauth2.IntrospectionTokenType

// wantsSigned reports whether a caller asks for a signed answer by naming its media type; one that takes anything gets JSON.
func wantsSigned(accept []string) bool {
	for _, header := range accept {
		for element := range strings.SplitSeq(header, ",") {
			if mediaType, parameters, err := mime.ParseMediaType(element); err == nil && mediaType == signedIntrospection {
				quality, err := strconv.ParseFloat(parameters["q"], 64)
				return parameters["q"] == "" || err == nil && quality > 0
			}
		}
	}
	return false
}

// signedAnswer is the payload of a signed answer (RFC 9701 section 5): it has neither sub nor exp, so that nobody takes it for
// an access token of the caller. The random jti keeps a caller from having the same input signed twice: signatures are deterministic,
// and a fault in one of two of the same input can give away the key (decision 0014).
type signedAnswer struct {
	Issuer        string          `json:"iss"`
	Audience      string          `json:"aud"`
	IssuedAt      int64           `json:"iat"`
	ID            string          `json:"jti"`
	Introspection json.RawMessage `json:"token_introspection"`
}

// answerIDBytes is how much randomness a jti has.
const answerIDBytes = 16

// signed signs an answer for the caller that asked: RFC 9701.
func (s *Server) signed(caller *oauth2.Client, body rawJSON, now time.Time) (answer, error) {
	var id [answerIDBytes]byte
	if _, err := io.ReadFull(s.Random, id[:]); err != nil {
		return answer{}, fmt.Errorf("read randomness for a signed answer: %w", err)
	}
	jti := base64.RawURLEncoding.EncodeToString(id[:])
	payload, err := json.Marshal(signedAnswer{s.Issuer.String(), caller.ID, now.Unix(), jti, json.RawMessage(body)})
	if err != nil {
		return answer{}, fmt.Errorf("encode a signed answer: %w", err)
	}
	key, err := s.Directory.Ring().SigningKey(now)
	if err != nil {
		return answer{}, oauth2.Unavailable(lookupRetry)
	}
	signed, err := key.Sign(oauth2.IntrospectionTokenType, payload)
	if err != nil {
		return answer{}, fmt.Errorf("sign an answer: %w", err)
	}
	return answer{body: rawJSON(signed), contentType: signedIntrospection}, nil
}

// notFor refuses tokens that are no business of the caller's.
func (s *Server) notFor(ctx context.Context, caller *oauth2.Client, claims oauth2.Claims, e *event) oauth2.Reason {
	if s.Issuer.MayIntrospect(caller, claims, s.Directory) ||
		s.Issuer.MayIntrospect(caller, claims, s.resources(ctx, claims, budget.Key{Who: caller.ID, What: claims.ClientID}, e)) {
		return ""
	}
	return oauth2.ReasonNotForCaller
}

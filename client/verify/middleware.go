// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// realm is that of the challenges of the token server.
const realm = "hallpass"

// Require passes a request on to next if its token is good and has all of these scopes. FromContext
// returns the claims there. Other requests are answered as RFC 6750 section 3 describes:
//
//   - 401 without an error, if there is no token
//   - 400 invalid_request, if there are several Authorization headers
//   - 401 invalid_token
//   - 403 insufficient_scope, with the scopes that are needed
//   - 503 with Retry-After, if it cannot be decided now
//
// A challenge has the address of the API's metadata (RFC 9728 section 5.1). Only the header
// Authorization is read, never the query or the body.
//
// Require panics if a text is no scope (RFC 6749 section 3.3), as net/http does with a bad pattern.
func (v *Verifier) Require(next http.Handler, scopes ...string) http.Handler {
	for _, scope := range scopes {
		if !quotable(scope) {
			panic("verify: " + strconv.Quote(scope) + " is not a scope")
		}
	}
	challenge := v.challenge(scopes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := bearer(r.Header)
		var claims *Claims
		if err == nil {
			claims, err = v.Verify(r.Context(), raw)
		}
		if err == nil && !claims.HasScopes(scopes...) {
			err = ErrInsufficientScope
		}
		if err != nil {
			refuse(w, challenge, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), claims)))
	})
}

var (
	errNoToken = errors.New("there is no token")
	errSeveral = errors.New("there are several Authorization headers")
)

// bearer returns the token of a request (RFC 6750 section 2.1).
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	switch len(values) {
	case 0:
		return "", errNoToken
	case 1:
	default:
		return "", errSeveral
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errNoToken
	}
	return strings.TrimLeft(raw, " "), nil
}

// challenge is the part of a challenge that every answer has.
func (v *Verifier) challenge(scopes []string) string {
	text := `Bearer realm="` + realm + `"`
	if len(scopes) > 0 {
		text += `, scope="` + strings.Join(scopes, " ") + `"`
	}
	if v.options.metadataURL != "" {
		text += `, resource_metadata="` + v.options.metadataURL + `"`
	}
	return text
}

// refuse answers. The descriptions do not repeat anything of the request.
func refuse(w http.ResponseWriter, challenge string, err error) {
	status, code, description := http.StatusUnauthorized, "invalid_token", "the token is not valid here"
	switch {
	case errors.Is(err, ErrUnavailable):
		w.Header().Set("Retry-After", "5")
		status, code, description = http.StatusServiceUnavailable, "temporarily_unavailable", "tokens cannot be verified now"
	case errors.Is(err, errNoToken):
		w.Header().Set("WWW-Authenticate", challenge)
	case errors.Is(err, errSeveral):
		status, code, description = http.StatusBadRequest, "invalid_request", "there are several Authorization headers"
	case errors.Is(err, ErrInsufficientScope):
		status, code, description = http.StatusForbidden, "insufficient_scope", "the token lacks a scope"
	case errors.Is(err, ErrExpired):
		description = "the token has expired"
	case errors.Is(err, ErrRevoked):
		description = "the token was revoked"
	case errors.Is(err, ErrSubject):
		description = "the token acts for a subject that this API does not accept"
	}
	header := w.Header()
	if header.Get("WWW-Authenticate") == "" && status != http.StatusServiceUnavailable {
		header.Set("WWW-Authenticate", challenge+`, error="`+code+`", error_description="`+description+`"`)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"error":"`+code+`","error_description":"`+description+`"}`)
}

// quotable reports whether a text can stand in a quoted string of a header as it is.
func quotable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

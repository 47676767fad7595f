// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"io"
	"net/http"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// readForm reads the parameters of a POST request from its body. The query is not looked at: credentials do not belong in
// URLs (RFC 6749 section 2.3.1).
func readForm(r *http.Request) (oauth2.Form, error) {
	if contentType := r.Header.Get("Content-Type"); contentType != "" {
		mediaType, _, _ := strings.Cut(contentType, ";")
		if !strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded") {
			return oauth2.Form{}, &httpError{status: http.StatusUnsupportedMediaType, refusal: oauth2.Refuse(
				oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "send the parameters as application/x-www-form-urlencoded")}
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, oauth2.MaxFormBytes+1))
	if err != nil {
		return oauth2.Form{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "the body could not be read")
	}
	if len(body) > oauth2.MaxFormBytes {
		return oauth2.Form{}, &httpError{status: http.StatusRequestEntityTooLarge, refusal: oauth2.Refuse(
			oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "the body is longer than 64 KiB")}
	}
	return oauth2.ParseForm(string(body))
}

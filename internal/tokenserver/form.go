// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// smallBody is what every request may send without asking; 5,000 slow senders of as much hold
	// 40 MiB.
	smallBody = 8 << 10
	// maxLargeBodies is how many longer bodies are read at once. Of them largeBodyShare are guaranteed
	// to each source, and lentLargeBodies are lent: what is not lent is enough for the shares of 16.
	maxLargeBodies  = 64
	lentLargeBodies = 32
	largeBodyShare  = 2
	// maxDiscarded is how much of a body is discarded where none is read.
	maxDiscarded = 8 << 10
)

// readBody reads the parameters of a POST request from its body. The query is not looked at:
// credentials do not belong in URLs (RFC 6749 section 2.3.1).
func (p *port) readBody(r *http.Request, source string) (oauth2.Form, error) {
	if contentType := r.Header.Get("Content-Type"); contentType != "" {
		mediaType, _, _ := strings.Cut(contentType, ";")
		if !strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded") {
			return oauth2.Form{}, answer.ByHTTP(http.StatusUnsupportedMediaType, "", "send the parameters as application/x-www-form-urlencoded")
		}
	}
	body, err := readSmall(r)
	if err == nil && len(body) == smallBody {
		if !p.largeBodies.Enter(source) {
			return oauth2.Form{}, auth.Overloaded()
		}
		defer p.largeBodies.Leave(source)
		var rest []byte
		rest, err = io.ReadAll(io.LimitReader(r.Body, oauth2.MaxFormBytes+1-smallBody))
		body = append(body, rest...)
	}
	if err != nil {
		return oauth2.Form{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "the body could not be read")
	}
	if len(body) > oauth2.MaxFormBytes {
		return oauth2.Form{}, answer.ByHTTP(http.StatusRequestEntityTooLarge, "", "the body is longer than 64 KiB")
	}
	r.Body = http.NoBody // it was read whole
	return oauth2.ParseForm(string(body))
}

// readSmall reads a body up to the length of a small one. The buffer is no longer than
// Content-Length.
func readSmall(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(io.LimitReader(r.Body, smallBody)) //nolint:wrapcheck // readBody says what failed
	}
	body := make([]byte, min(r.ContentLength, smallBody))
	_, err := io.ReadFull(r.Body, body)
	return body, err //nolint:wrapcheck // as above
}

// discard reads a body that no endpoint wants as it comes, so that nothing holds it and a caller that
// still sends does not lose the answer. Of a longer one it reads no more and returns true: the
// connection must end with the answer, or the stream be reset (which net/http does).
func discard(r *http.Request) (longer bool) {
	if r.ContentLength == 0 || r.Body == http.NoBody {
		return false
	}
	if r.ContentLength > maxDiscarded {
		return true
	}
	n, err := io.CopyN(io.Discard, r.Body, maxDiscarded+1)
	return n > maxDiscarded || err != nil && !errors.Is(err, io.EOF)
}

// readQuery reads the parameters of a GET request from its query. URLs end up in logs, so
// credentials in one are refused, also right ones: the operator of the client shall notice.
func readQuery(r *http.Request, _ string) (oauth2.Form, error) {
	form, err := oauth2.ParseForm(r.URL.RawQuery)
	if err != nil {
		return oauth2.Form{}, err
	}
	if form.Get("client_secret") != "" || form.Get("client_assertion") != "" {
		return oauth2.Form{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest,
			"credentials do not belong in a URL; send them in the Authorization header")
	}
	return form, nil
}

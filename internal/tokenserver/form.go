// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// firstRead is the longest buffer that is made before a byte of a body was received.
	firstRead = 8 << 10
	// usualBody is a buffer that most bodies fit: a token request has 30 bytes, an
	// introspection 600, and an exchange 1,100.
	usualBody = 2 << 10
	// maxDiscarded is how much of a body is discarded where none is read.
	maxDiscarded = 8 << 10
	// resetDelay is how long a caller of HTTP/2 has to read an answer before its stream is
	// reset.
	resetDelay = 100 * time.Millisecond
)

// readBody reads the parameters of a POST request from its body. The query is not read:
// credentials do not belong in URLs (RFC 6749 section 2.3.1).
func readBody(r *http.Request) (oauth2.Form, error) {
	if contentType := r.Header.Get("Content-Type"); contentType != "" {
		mediaType, _, _ := strings.Cut(contentType, ";")
		if !strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded") {
			return oauth2.Form{}, answer.ByHTTP(http.StatusUnsupportedMediaType, "", "send the parameters as application/x-www-form-urlencoded")
		}
	}
	room, _ := bodies.Get().(*[usualBody]byte)
	defer bodies.Put(room)
	body, err := readUpTo(r, room[:0], oauth2.MaxFormBytes+1)
	if err != nil {
		return oauth2.Form{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "the body could not be read")
	}
	if len(body) > oauth2.MaxFormBytes {
		return oauth2.Form{}, answer.ByHTTP(http.StatusRequestEntityTooLarge, "", "the body is longer than 64 KiB")
	}
	r.Body = http.NoBody // it was read whole
	return oauth2.ParseForm(string(body))
}

// bodies are the first buffers of bodies. Package oauth2 gets a copy as a string.
var bodies = sync.Pool{New: func() any { return new([usualBody]byte) }} //nolint:gochecknoglobals // a pool of buffers

// readUpTo reads a body, or the first most bytes of a longer one. The first buffer is the one
// given, unless the body is known to be longer. Each other one is no longer than firstRead or twice
// what was received: package serve counts twice a body for the memory of its source, and has no
// other bound on the bodies that are read at once.
func readUpTo(r *http.Request, room []byte, most int) ([]byte, error) { //nolint:unparam // the bounds of forms and of the port for login are equal by chance
	body := room
	if r.ContentLength > int64(cap(room)) {
		body = make([]byte, 0, min(r.ContentLength, firstRead))
	}
	for len(body) < most && int64(len(body)) != r.ContentLength {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(2*len(body), most)), body...)
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF) && r.ContentLength < 0:
			return body, nil
		case errors.Is(err, io.EOF) && int64(len(body)) < r.ContentLength:
			return nil, io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err //nolint:wrapcheck // readBody names what failed
		}
	}
	return body, nil
}

// discard reads a body that no endpoint wants as it comes, so that nothing holds it and a caller
// that still sends does not lose the answer. Of a longer one it reads no more and returns true: the
// connection must end with the answer, or the stream be reset.
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

// delayReset sends an answer and delays the reset of its stream, which net/http sends when a
// handler has not read the whole body: curl loses an answer that it reads together with the reset.
// Most callers end the stream as soon as they have a refusal. Meanwhile nothing is read or held:
// what arrives for a closed body is dropped, and its stream gets no further window.
func delayReset(w http.ResponseWriter, r *http.Request) {
	_ = r.Body.Close() // of net/http's server, which returns no error
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	delay := time.NewTimer(resetDelay)
	defer delay.Stop()
	select {
	case <-r.Context().Done():
	case <-delay.C:
	}
}

// readQuery reads the parameters of a GET request from its query. URLs end up in logs, so
// credentials in one are refused, also right ones: the operator of the client shall notice.
func readQuery(r *http.Request) (oauth2.Form, error) {
	form, err := oauth2.ParseForm(r.URL.RawQuery)
	if err != nil {
		return oauth2.Form{}, err
	}
	for _, name := range []string{"client_secret", "client_assertion", "assertion", "subject_token", "password", "refresh_token", "code_verifier"} {
		if form.Get(name) != "" {
			return oauth2.Form{}, oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest,
				"credentials do not belong in a URL; send them in the Authorization header")
		}
	}
	return form, nil
}

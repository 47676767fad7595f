// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// reply is the answer to a browser: a page, or a redirect.
type reply struct {
	status   int
	location string // of a redirect
	content  *content
	cookies  []*http.Cookie
	// retryAfter is when another request makes sense.
	retryAfter time.Duration

	// What is recorded: why the login failed, the id in the page, the provider, the
	// client, and the fault of this installation.
	reason, id, issuer, client, internal string
}

// redirect sends the browser on with 303, so that it never repeats a form (RFC 9700 section 4.12).
func redirect(to string) reply { return reply{status: http.StatusSeeOther, location: to} }

// because adds the reason to what is recorded.
func (r reply) because(reason string) reply {
	r.reason = reason
	if r.content != nil {
		r.content.Reason = reason
	}
	return r
}

// after adds when another request makes sense.
func (r reply) after(wait time.Duration) reply {
	r.retryAfter = max(wait, time.Second)
	return r
}

// fault adds an error of this installation, which is logged and not shown.
func (r reply) fault(err error) reply {
	r.internal = err.Error()
	return r
}

// forgets ends the cookie of an attempt.
func (r reply) forgets(a attempt) reply {
	r.cookies = append(r.cookies, forget(a.id))
	return r
}

// of adds whose attempt it is to what is recorded.
func (r reply) of(a *loginport.Attempt) reply {
	r.issuer, r.client = a.Provider.Name, a.Consent.ClientID
	return r
}

// undecided is the page for a token server that does not decide.
func undecided(err error) reply {
	page := message(unavailable)
	away, ok := errors.AsType[*loginport.UnavailableError](err)
	if !ok { // it will not be better in a moment
		return page.fault(err)
	}
	page = page.after(away.RetryAfter)
	if away.RetryAfter == 0 {
		page = page.fault(err)
	}
	return page
}

// refused is the page for a request that proves no redirect.
func refused(refusal loginport.Refusal) reply {
	page := message(requestRefused).because(refusal.Reason)
	if text := clean(refusal.Description); text != "" {
		page.content.Detail = sentence(text)
	}
	return page
}

// sentence writes a description as a sentence. A name of a parameter at its beginning stays as it
// is.
func sentence(text string) string {
	if word, _, _ := strings.Cut(text, " "); strings.Contains(word, "_") {
		return strings.TrimSuffix(text, ".") + "."
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// safeURL is an address for a link or a refresh. It is a redirect URI that the token
// server has proven; a scheme that a browser would run is none all the same.
func safeURL(address string) template.URL {
	u, err := url.Parse(address)
	if err != nil || !u.IsAbs() || slices.Contains([]string{"javascript", "data", "vbscript", "blob", "file"}, strings.ToLower(u.Scheme)) {
		return ""
	}
	return template.URL(address) //nolint:gosec // its scheme was checked
}

// write sends the reply.
func (s *Server) write(w http.ResponseWriter, r reply) {
	header := w.Header()
	for _, c := range r.cookies {
		http.SetCookie(w, c)
	}
	header.Set("Cache-Control", "no-store")
	// browsers send no Origin with forms under no-referrer
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Strict-Transport-Security", "max-age=31536000")
	if r.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((r.retryAfter+time.Second-1)/time.Second)))
	}
	if r.location != "" {
		header.Set("Content-Security-Policy", policy(false))
		header.Set("Location", r.location)
		w.WriteHeader(r.status)
		return
	}
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, "page", r.content); err != nil {
		s.Log.Error("make a page", "error", err)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	header.Set("Content-Security-Policy", policy(r.content.Consent != nil))
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(r.status)
	_, _ = w.Write(body.Bytes())
}

func statusText(status int) string { return strconv.Itoa(status) }

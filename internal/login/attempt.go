// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/loginport"
)

// cookiePrefix begins the name of the cookie of an attempt. A browser accepts a name that begins
// with __Host- only from this origin itself, over https: no other host of the domain can set or
// replace the cookie (draft-ietf-httpbis-rfc6265bis section 4.1.3.2).
const cookiePrefix = "__Host-hallpass-"

// The bounds of the cookies of attempts in one browser. All of them come with each request, whose
// header is bounded to 16 KiB.
const (
	maxAttempts    = 8
	maxCookieBytes = 10 << 10
)

// separator stands between the fields of a cookie.
const separator = ":"

// attempt is one authorization request in one browser. Its cookie has everything that is known of
// it: the replicas share nothing.
type attempt struct {
	// id is in the name of the cookie, so that several tabs have attempts of their own.
	id string
	// begun is when the attempt began.
	begun time.Time
	// form is in the consent page, and proves that its form was sent from it.
	form string
	// state and verifier bind the answer of the provider to this browser: the state parameter
	// without the id, and the verifier of RFC 7636. They are empty until the person has
	// consented, so no answer can be accepted before.
	state, verifier string
	ticket          loginport.Opaque
}

// newAttempt begins an attempt.
func newAttempt(now time.Time, ticket loginport.Opaque) attempt {
	return attempt{id: random(12), begun: now, form: random(16), ticket: ticket}
}

// random returns bytes as base64url.
func random(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // it does not fail: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// consented returns the attempt with what it needs at the provider.
func (a attempt) consented() attempt {
	a.state, a.verifier = random(16), random(32)
	return a
}

// stateParameter is the state parameter of the authentication request.
func (a attempt) stateParameter() string { return a.id + "." + a.state }

// accepts reports whether the state parameter of an answer is that of this attempt.
func (a attempt) accepts(state string) bool {
	return a.state != "" && subtle.ConstantTimeCompare([]byte(a.stateParameter()), []byte(state)) == 1
}

// cookie is the cookie that has the attempt, which ends with the ticket.
func (a attempt) cookie(of *loginport.Attempt) *http.Cookie {
	fields := []string{strconv.FormatInt(a.begun.UnixMilli(), 10), a.form, a.state, a.verifier, string(a.ticket)}
	return hostCookie(a.id, strings.Join(fields, separator), of.ExpiresIn)
}

// hostCookie is a cookie of an attempt. It is Lax because the provider sends the browser back from
// another site.
func hostCookie(id, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookiePrefix + id, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// forget ends the cookie of an attempt.
func forget(id string) *http.Cookie { return hostCookie(id, "", -1) }

// errNoAttempt means that the browser has no cookie of an attempt.
var errNoAttempt = errors.New("there is no cookie of this attempt")

// attemptOf reads the attempt of an id from the cookies of a request.
func attemptOf(r *http.Request, id string) (attempt, error) {
	if len(id) != base64.RawURLEncoding.EncodedLen(12) {
		return attempt{}, errNoAttempt
	}
	cookies := r.CookiesNamed(cookiePrefix + id)
	if len(cookies) != 1 { // a browser has one of a name: Path is / and there is no Domain
		return attempt{}, errNoAttempt
	}
	return parseAttempt(id, cookies[0].Value)
}

// parseAttempt reads the value of a cookie.
func parseAttempt(id, value string) (attempt, error) {
	fields := strings.SplitN(value, separator, 5)
	if len(fields) != 5 || fields[1] == "" || fields[4] == "" || (fields[2] == "") != (fields[3] == "") {
		return attempt{}, errNoAttempt
	}
	begun, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return attempt{}, errNoAttempt
	}
	return attempt{
		id: id, begun: time.UnixMilli(begun), form: fields[1], state: fields[2], verifier: fields[3], ticket: loginport.Opaque(fields[4]),
	}, nil
}

// makeRoom returns cookies that end the oldest attempts of a browser, so that a new one of a size
// fits beside the others.
func makeRoom(r *http.Request, size int) []*http.Cookie {
	type known struct {
		id    string
		begun time.Time
		size  int
	}
	var all []known
	for _, c := range r.Cookies() {
		id, ours := strings.CutPrefix(c.Name, cookiePrefix)
		if !ours {
			continue
		}
		a, _ := parseAttempt(id, c.Value) // one that cannot be read is the oldest
		all = append(all, known{id, a.begun, len(c.Name) + len(c.Value)})
		size += len(c.Name) + len(c.Value)
	}
	slices.SortFunc(all, func(a, b known) int { return cmp.Or(a.begun.Compare(b.begun), cmp.Compare(a.id, b.id)) })
	var ended []*http.Cookie
	for len(all) >= maxAttempts || len(all) > 0 && size > maxCookieBytes {
		ended = append(ended, forget(all[0].id))
		size -= all[0].size
		all = all[1:]
	}
	return ended
}

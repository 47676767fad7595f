// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// IdentityHeaders tell an upstream who calls. All of them are in every answer that lets somebody in, also empty ones, so that
// a proxy overwrites whatever the caller sent under these names.
var IdentityHeaders = [...]string{
	"X-Auth-Client-Id", "X-Auth-Client-Uid", "X-Auth-Client-Namespace", "X-Auth-Scopes", "X-Auth-Audience", "X-Auth-Expires",
}

// Identity is the values of the identity headers.
type Identity [len(IdentityHeaders)]string

// maxIdentity bounds the identity headers, so that a whole answer is below 4 KiB, which every proxy has room for.
const maxIdentity = 3 << 10

// Attempt is all that counts of a request that a proxy holds back until it is decided. Path, method, host and the headers that
// a caller can shape are not in it.
type Attempt struct {
	// Authorization are the values of that header.
	Authorization []string
	// Requirement is what the proxy's own configuration wants, and RequirementError what is wrong with it.
	Requirement      oauth2.Requirement
	RequirementError error
	// Page says that a refusal is for a human to read. It decides nothing.
	Page bool
}

// refuses says whether a token lacks what is required.
func (a Attempt) refuses(_ context.Context, claims oauth2.Claims) oauth2.Reason {
	return a.Requirement.Refuses(claims)
}

// Decision is the answer to an attempt: either who is let in, or an HTTP answer that refuses.
type Decision struct {
	// Identity is who is let in; nil refuses. Claims are those of the token, and Namespace is the one of its client.
	Identity  *Identity
	Claims    oauth2.Claims
	Namespace string
	// Status, Header and Body are the refusal.
	Status int
	Header http.Header
	Body   []byte
}

// Allowed reports whether the request may pass.
func (d Decision) Allowed() bool { return d.Identity != nil }

// Origin is where an attempt came from. It is written down and decides nothing.
type Origin struct {
	// RemoteAddr is the host:port of the proxy.
	RemoteAddr string
	// ForwardedFor are the values of X-Forwarded-For, which count if the proxy is trusted.
	ForwardedFor []string
	// RequestID is the caller's name for the request, and Traceparent are the values of that header.
	RequestID   string
	Traceparent []string
}

// ExtAuthz decides about an attempt that did not come by HTTP, writes its audit line and counts it.
func (s *Server) ExtAuthz(ctx context.Context, a Attempt, from Origin) Decision {
	e := s.newEvent(endpointExtAuthz, from.RemoteAddr, from.RequestID, from.ForwardedFor)
	ctx, span := s.startSpan(ctx, from.Traceparent, e)
	d := Decision{Status: http.StatusOK}
	if said, err := s.admit(ctx, a, e); err != nil {
		w := &recorder{header: http.Header{}}
		d.Status = s.refuse(ctx, w, e, err)
		d.Header, d.Body = w.header, w.body
	} else {
		d.Identity, d.Claims, d.Namespace = said.identity, said.claims, said.client.Namespace
	}
	s.record(e, d.Status)
	endSpan(span, e, d.Status)
	return d
}

// recorder keeps an answer that is not written to a connection.
type recorder struct {
	header http.Header
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }
func (*recorder) WriteHeader(int)       {} // refuse says it

func (r *recorder) Write(body []byte) (int, error) {
	r.body = append(r.body, body...)
	return len(body), nil
}

// admission is a judgement that lets a request pass, and what the upstream is told of its caller.
type admission struct {
	judgement

	identity *Identity
}

// admit decides about an attempt: the token that the Authorization header presents, good right now, for the audience and with
// the scopes that the proxy's configuration requires. Every refusal is a bearerError.
func (s *Server) admit(ctx context.Context, a Attempt, e *event) (admission, error) {
	said, err := s.tryToAdmit(ctx, a, e)
	if refusal, ok := errors.AsType[*oauth2.Error](err); ok {
		return admission{}, &bearerError{required: a.Requirement, metadata: s.metadataOf(a.Requirement), page: a.Page, refusal: refusal}
	}
	return said, err
}

func (s *Server) tryToAdmit(ctx context.Context, a Attempt, e *event) (admission, error) {
	if !s.inFlight.Enter() {
		return admission{}, overloaded()
	}
	defer s.inFlight.Leave()
	if err := s.fresh(); err != nil {
		return admission{}, err
	}
	if a.RequirementError != nil {
		return admission{}, a.RequirementError
	}
	e.required = a.Requirement
	token, err := oauth2.ParseBearer(a.Authorization)
	if err != nil {
		return admission{}, err
	}
	said, err := s.access(ctx, question{token: token.Reveal(), asker: "proxy " + e.source, refuses: a.refuses}, e)
	if err != nil {
		return admission{}, err
	}
	switch said.denial {
	case "":
	case oauth2.ReasonTokenExpired:
		return admission{}, oauth2.Refuse(oauth2.InvalidToken, said.denial, "the access token has expired")
	case oauth2.ReasonWrongAudience:
		return admission{}, oauth2.Refuse(oauth2.InvalidToken, said.denial, "the access token is for another audience")
	default:
		return admission{}, oauth2.Refuse(oauth2.InvalidToken, said.denial, "the access token is not valid")
	}
	e.clientID, e.scope = said.claims.ClientID, strings.Join(said.claims.Scopes, " ")
	if !a.Requirement.HasScopes(said.claims) {
		return admission{}, oauth2.Refuse(oauth2.InsufficientScope, oauth2.ReasonInsufficientScope, "the access token lacks a scope that is required here")
	}
	identity := identityOf(said)
	if !identity.fits() {
		return admission{}, oauth2.Refuse(oauth2.InvalidToken, oauth2.ReasonIdentityTooLarge,
			"the access token says more than fits into headers; ask for fewer scopes")
	}
	return admission{said, identity}, nil
}

// metadataOf is where a client learns how to get a token for what is required, if that is a declared resource.
func (s *Server) metadataOf(required oauth2.Requirement) string {
	resource := s.Directory.ResourceByIdentifier(required.Audience)
	if resource == nil {
		return ""
	}
	return s.Issuer.URL(oauth2.ResourceMetadataPath + "/resources/" + resource.Namespace + "/" + resource.Name)
}

// identityOf is the whole set of identity headers.
func identityOf(said judgement) *Identity {
	return &Identity{
		said.claims.ClientID, said.claims.ClientUID, said.client.Namespace,
		strings.Join(said.claims.Scopes, " "), said.claims.Audience, strconv.FormatInt(said.claims.ExpiresAt.Unix(), 10),
	}
}

// addTo adds the headers to an answer's.
func (i *Identity) addTo(header http.Header) {
	for n, name := range IdentityHeaders {
		header[name] = i[n : n+1 : n+1]
	}
}

// fits reports whether identity headers are short enough, and printable ASCII, which no proxy changes.
func (i *Identity) fits() bool {
	size := 0
	for n, name := range IdentityHeaders {
		size += len(name) + len(i[n]) + len(": \r\n")
		for j := range len(i[n]) {
			if c := i[n][j]; c < 0x20 || c > 0x7e {
				return false
			}
		}
	}
	return size <= maxIdentity
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// inactive is the one answer to every token that is not, or not for this caller (RFC 7662 section
// 2.2).
const inactive = `{"active":false}`

var errNoToken = oauth2.Refuse(oauth2.InvalidRequest, oauth2.ReasonMalformedRequest, "token is missing; send the token that is meant in the parameter token")

// introspectEndpoint is the introspection endpoint: RFC 7662, and RFC 9701 for callers that want
// the answer signed. The caller is a client that authenticates as at the token endpoint.
type introspectEndpoint struct {
	authority *auth.Authority
	// certifiers issue the certificate that a caller needs; nil asks for none.
	certifiers func() *x509.CertPool
}

func (e *introspectEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	if err := e.certified(r, in); err != nil {
		return answer.Answer{}, auth.Trail{}, err
	}
	caller, err := e.authority.Authenticate(r.Context(), in.credentials(r, nil))
	if err != nil {
		return answer.Answer{}, caller.Trail, err
	}
	token := in.form.Get("token")
	if token == "" {
		return answer.Answer{}, caller.Trail, errNoToken
	}
	result, err := e.authority.Check(r.Context(), &auth.Request{
		Token: token, Payer: auth.PaidBy(caller.Client), Caller: caller.Client, Trail: caller.Trail, At: caller.At,
	})
	if err != nil {
		return answer.Answer{}, result.Trail, err
	}
	body := []byte(inactive)
	if result.Trail.Denial = result.Denial; result.Denial == "" {
		if body, err = result.Claims.Introspection(); err != nil {
			return answer.Answer{}, result.Trail, err
		}
	}
	if !wantsSigned(r.Header.Values("Accept")) {
		return answer.Private(answer.JSON, body), result.Trail, nil
	}
	signed, err := e.sign(caller.Client, body, result.At)
	return signed, result.Trail, err
}

// signedIntrospection is the media type of a signed answer (RFC 9701 section 4), and what a caller
// accepts to get one.
const signedIntrospection = "application/" + oauth2.IntrospectionTokenType

// wantsSigned reports whether a caller asks for a signed answer by naming its media type; one that
// takes anything gets JSON.
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

// signedAnswer is the payload of a signed answer (RFC 9701 section 5): it has neither sub nor exp,
// so that it cannot pass for an access token of the caller. The random jti keeps a caller from
// having the same input signed twice: signatures are deterministic, and a fault in one of two of
// the same input can give away the key (decision 0014).
type signedAnswer struct {
	Issuer        string          `json:"iss"`
	Audience      string          `json:"aud"`
	IssuedAt      int64           `json:"iat"`
	ID            string          `json:"jti"`
	Introspection json.RawMessage `json:"token_introspection"`
}

const (
	answerIDBytes = 16              // the randomness of a jti
	signRetry     = 2 * time.Second // while no key signs
)

// sign signs an answer for the caller that asked: RFC 9701.
func (e *introspectEndpoint) sign(caller *oauth2.Client, body []byte, now time.Time) (answer.Answer, error) {
	var id [answerIDBytes]byte
	if _, err := io.ReadFull(e.authority.Random, id[:]); err != nil {
		return answer.Answer{}, fmt.Errorf("read randomness for a signed answer: %w", err)
	}
	jti := base64.RawURLEncoding.EncodeToString(id[:])
	payload, err := json.Marshal(signedAnswer{e.authority.Issuer.String(), caller.ID, now.Unix(), jti, body})
	if err != nil {
		return answer.Answer{}, fmt.Errorf("encode a signed answer: %w", err)
	}
	key, err := e.authority.Directory.Ring().SigningKey(now)
	if err != nil {
		return answer.Answer{}, oauth2.Unavailable(signRetry)
	}
	signed, err := key.Sign(oauth2.IntrospectionTokenType, payload)
	if err != nil {
		return answer.Answer{}, fmt.Errorf("sign an answer: %w", err)
	}
	return answer.Private(signedIntrospection, []byte(signed)), nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// requestTimeout bounds one request.
	requestTimeout = 10 * time.Second
	// maxBody bounds an answer; a page of the revocation feed has half of it at most.
	maxBody = 1 << 20
	// maxLife is more than any token lives.
	maxLife = 24 * time.Hour
	// relevantSkew is a difference of clocks that the token server does not forgive for sure.
	relevantSkew = 30 * time.Second
)

// attempt asks once for a token.
func (s *Source) attempt(ctx context.Context, read reading) (*held, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.options.resource != "" {
		form.Set("resource", s.options.resource)
	}
	if len(s.options.scopes) > 0 {
		form.Set("scope", strings.Join(s.options.scopes, " "))
	}
	asked := time.Now()
	body, err := s.authenticated(ctx, read, read.tokenURL, form)
	if err != nil {
		return nil, err
	}
	return readToken(body, asked)
}

// Post sends a form to a path of the token server, such as /oauth2/introspect, authenticated as the
// client, and returns the body of the answer 200. Other answers are an *Error. It makes one
// attempt, and a second one as Token does after a rotation.
func (s *Source) Post(ctx context.Context, path string, form url.Values) ([]byte, error) {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, fmt.Errorf("token: %q is not a path of the token server", path)
	}
	read, err := s.credential.read(ctx, &s.options)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(read.tokenURL)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	to.Path, to.RawPath, to.RawQuery = path, "", ""
	return s.authenticated(ctx, read, to.String(), form)
}

// authenticated sends a form with the credential that was read. If that is refused, and a clock or
// the credential before may be why, it sends the form once more.
func (s *Source) authenticated(ctx context.Context, read reading, to string, form url.Values) ([]byte, error) {
	s.mu.Lock()
	before, skew := s.accepted, s.skew
	s.mu.Unlock()
	body, err := s.post(ctx, read, read.proof, to, form)
	if read.proof.dated && errors.Is(err, ErrInvalidClient) {
		s.mu.Lock()
		changed := (s.skew - skew).Abs()
		s.mu.Unlock()
		if changed >= relevantSkew {
			body, err = s.post(ctx, read, read.proof, to, form)
		}
	}
	with := read.proof
	newer := before.proof.apply != nil && before.proof.id != read.proof.id
	if errors.Is(err, ErrInvalidClient) && newer && elapsed(before.at, time.Now()) < s.options.overlap {
		if again, fallback := s.post(ctx, read, before.proof, to, form); fallback == nil {
			body, err, with = again, nil, before.proof
		}
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.accepted = accepted{proof: with, at: time.Now()}
	s.mu.Unlock()
	return body, nil
}

// post sends a form with a credential, once.
func (s *Source) post(ctx context.Context, read reading, with proof, to string, form url.Values) ([]byte, error) {
	client, err := s.server.For(read.ca)
	if err != nil {
		return nil, credentialError("%w", err)
	}
	s.mu.Lock()
	skew := s.skew
	s.mu.Unlock()
	sent := make(url.Values, len(form)+3)
	maps.Copy(sent, form)
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if err := with.apply(sent, header, recipient{issuer: read.issuer, now: time.Now().Add(skew)}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(sent.Encode()))
	if err != nil {
		return nil, credentialError("%w", err)
	}
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		return nil, &unreachable{err}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, &unreachable{err}
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		s.mu.Lock()
		s.skew = time.Until(date)
		s.mu.Unlock()
	}
	if response.StatusCode != http.StatusOK || len(body) > maxBody {
		return nil, readError(response.StatusCode, response.Header, body)
	}
	return body, nil
}

// readToken reads the answer of the token endpoint (RFC 6749 section 5.1). The life of the token
// counts from when it was asked for.
func readToken(body []byte, asked time.Time) (*held, error) {
	var answer struct {
		AccessToken string  `json:"access_token"`
		TokenType   string  `json:"token_type"`
		ExpiresIn   float64 `json:"expires_in"`
		Scope       string  `json:"scope"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&answer); err != nil {
		// the text of the cause could have the token
		return nil, &Error{Status: http.StatusOK}
	}
	switch {
	case answer.AccessToken == "" || strings.ContainsFunc(answer.AccessToken, func(r rune) bool { return r <= 0x20 || r > 0x7e }):
		return nil, &Error{Status: http.StatusOK}
	case !strings.EqualFold(answer.TokenType, "Bearer"):
		return nil, errors.New("the token server answered with a token of another type than Bearer")
	case !(answer.ExpiresIn >= 1):
		return nil, errors.New("the token server answered without expires_in, which this package needs")
	}
	life := time.Duration(math.Min(answer.ExpiresIn, maxLife.Seconds()) * float64(time.Second))
	share := renewFrom + rand.Float64()*(renewTo-renewFrom) //nolint:gosec // jitter
	value := answer.AccessToken
	return &held{
		token:      Token{Expiry: asked.Add(life), Scopes: strings.Fields(answer.Scope), value: &value},
		received:   asked,
		renewAfter: time.Duration(share * float64(life)),
		usable:     life - min(spareLife, life/10),
	}, nil
}

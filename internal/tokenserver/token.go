// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/codegrant"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const (
	// maxRedeeming is how many callers wait for the write of a code or a refresh token at once:
	// together with maxRevoking fewer than may be worked on.
	maxRedeeming = auth.DefaultMaxInFlight / 4
	// lentRedeeming is how many of them namespaces may have beyond their shares, of
	// redeemingShare each.
	lentRedeeming  = maxRedeeming * 3 / 4
	redeemingShare = 4
)

// tokenEndpoint is the token endpoint: RFC 6749 sections 4.1, 4.4 and 6, RFC 7523 section 2.1, RFC
// 8693.
type tokenEndpoint struct {
	authority *auth.Authority
	rate      *clientRate
	// waiting are the callers that may wait for a write, by namespace. They leave room for
	// everybody else.
	waiting *budget.Places
	people  bool // whether codes and refresh tokens are served
	// password is whether the token of a service account may be a password.
	password bool
}

func (t *tokenEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	credentials := in.credentials(r, t.rate)
	person := oauth2.IsPersonRequest(in.form)
	grantType := in.form.Get("grant_type")
	credentials.AsGrant = !person && grantType == oauth2.GrantJWTBearer
	ofPeople := t.people && (grantType == oauth2.GrantAuthorizationCode || grantType == oauth2.GrantRefreshToken)
	credentials.Public = ofPeople
	credentials.Password = t.password && grantType == oauth2.GrantPassword
	caller, err := t.authority.Authenticate(r.Context(), credentials)
	if err != nil {
		return answer.Answer{}, caller.Trail, err
	}
	var issued auth.Issued
	switch {
	case person:
		issued, err = t.actFor(r.Context(), &caller, in.form)
	case ofPeople:
		issued, err = t.forCode(r.Context(), &caller, grantType, in.form)
	default:
		issued, err = t.forItself(r.Context(), &caller, in.form, credentials.Password)
	}
	if err != nil {
		return answer.Answer{}, issued.Trail, err
	}
	return answer.Private(answer.JSON, issued.Answer()), issued.Trail, nil
}

// forItself issues what a caller asks for without a person, or in exchange for a token.
func (t *tokenEndpoint) forItself(ctx context.Context, caller *auth.Caller, form oauth2.Form, byPassword bool) (auth.Issued, error) {
	asked, err := requested(form, byPassword)
	switch {
	case err != nil:
		return auth.Issued{Trail: caller.Trail}, err
	case asked.GrantType == oauth2.TokenExchange:
		return t.authority.Exchange(ctx, caller, asked)
	}
	return t.authority.Issue(ctx, caller, asked.TokenRequest)
}

// actFor issues what a caller asks for on behalf of a person.
func (t *tokenEndpoint) actFor(ctx context.Context, caller *auth.Caller, form oauth2.Form) (auth.Issued, error) {
	asked, err := oauth2.ParsePersonRequest(form)
	if err != nil {
		return auth.Issued{Trail: caller.Trail}, err
	}
	return auth.Grants{Authority: t.authority}.ActFor(ctx, caller, asked)
}

// forCode issues what a person has let a caller have, for a code or a refresh token.
func (t *tokenEndpoint) forCode(ctx context.Context, caller *auth.Caller, grantType string, form oauth2.Form) (auth.Issued, error) {
	if !t.waiting.Enter(caller.Client.Namespace) {
		return auth.Issued{Trail: caller.Trail}, auth.Overloaded()
	}
	defer t.waiting.Leave(caller.Client.Namespace)
	if grantType == oauth2.GrantRefreshToken {
		asked, err := codegrant.ParseRefreshing(form)
		if err != nil {
			return auth.Issued{Trail: caller.Trail}, err
		}
		return auth.Grants{Authority: t.authority}.Refresh(ctx, caller, asked)
	}
	asked, err := codegrant.ParseRedemption(form)
	if err != nil {
		return auth.Issued{Trail: caller.Trail}, err
	}
	return auth.Grants{Authority: t.authority}.Redeem(ctx, caller, asked)
}

// requested reads what a caller asks for. Without an exchange there is no subject token.
func requested(form oauth2.Form, byPassword bool) (oauth2.ExchangeRequest, error) {
	if form.Get("grant_type") == oauth2.GrantTokenExchange {
		return oauth2.ParseExchangeRequest(form)
	}
	parse := oauth2.ParseTokenRequest
	if byPassword {
		parse = oauth2.ParsePasswordRequest
	}
	asked, err := parse(form)
	return oauth2.ExchangeRequest{TokenRequest: asked}, err
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"context"
	"net/http"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/budget"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// tokenEndpoint is the token endpoint: RFC 6749 section 4.4, RFC 7523 section 2.1, RFC 8693.
type tokenEndpoint struct {
	authority *auth.Authority
	limit     *budget.Budget // by client and namespace; see issues
}

func (t *tokenEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	credentials := in.credentials(r, t)
	credentials.AsGrant = in.form.Get("grant_type") == oauth2.GrantJWTBearer
	caller, err := t.authority.Authenticate(r.Context(), credentials)
	if err != nil {
		return answer.Answer{}, caller.Trail, err
	}
	issued, err := t.issue(r.Context(), caller, in.form)
	if err != nil {
		return answer.Answer{}, issued.Trail, err
	}
	return answer.Private(answer.JSON, issued.Answer()), issued.Trail, nil
}

// issue issues what a caller asks for.
func (t *tokenEndpoint) issue(ctx context.Context, caller auth.Caller, form oauth2.Form) (auth.Issued, error) {
	if form.Get("grant_type") == oauth2.GrantTokenExchange {
		asked, err := oauth2.ParseExchangeRequest(form)
		if err != nil {
			return auth.Issued{Trail: caller.Trail}, err
		}
		return t.authority.Exchange(ctx, caller, asked)
	}
	asked, err := oauth2.ParseTokenRequest(form)
	if err != nil {
		return auth.Issued{Trail: caller.Trail}, err
	}
	return t.authority.Issue(ctx, caller, asked)
}

// Admit refuses a client that fetches tokens too fast.
func (t *tokenEndpoint) Admit(caller auth.Caller) error {
	own, shared := budget.Key{Level: tokensOfClient, Who: caller.Client.ID}, budget.Key{Level: tokensOfAll, Who: caller.Client.Namespace}
	if d := t.limit.Take(caller.At, own, shared); !d.OK {
		return auth.Throttled(d.Wait, "this client fetches tokens faster than it may; keep a token until it expires")
	}
	return nil
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// exchanging lets billing, which serves the audience of its namespace, pass calls on to the API of
// orders.
func exchanging(t testing.TB, configure ...func(*settings)) *world {
	t.Helper()
	w := newWorld(t, configure...)
	api := orders()
	api.Exchanged = []oauth2.Consent{{Namespaces: []string{"shop"}, Scopes: []string{"orders.write"}}}
	w.dir.resources = []*oauth2.Resource{api}
	w.asks(billing)
	w.dir.known[billing].Client.GrantTypes = oauth2.ClientCredentials | oauth2.TokenExchange
	return w
}

// exchange exchanges a token as a client. The changes are of its parameters; an empty one removes a
// parameter.
func (w *world) exchange(id, token string, changes url.Values) call {
	parameters := url.Values{
		"grant_type": {oauth2.GrantTokenExchange}, "subject_token": {token}, "resource": {ordersAPI},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	maps.Copy(parameters, changes)
	return call{basic: id, body: parameters.Encode()}
}

func TestTokenEndpointExchanges(t *testing.T) {
	w := exchanging(t)
	first := w.token(reporting)
	w.now = w.now.Add(10 * time.Minute)
	status, body := decode(t, w.do(w.exchange(billing, first, nil)))
	token, _ := body["access_token"].(string)
	delete(body, "access_token")
	want := map[string]any{
		"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": float64(3000), "scope": "orders.write",
	}
	if diff := cmp.Diff(want, body); diff != "" || status != http.StatusOK {
		t.Fatalf("%d (-want +got):\n%s", status, diff)
	}
	line := w.lastAudit()
	subject, err := w.validate(first, w.now)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := w.validate(token, w.now)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{line["outcome"], line["client_id"], line["sub"], line["jti"], line["subject_jti"], line["token_client_id"], line["aud"], line["scope"]}
	if diff := cmp.Diff([]any{"allowed", billing, reporting, claims.ID, subject.ID, reporting, ordersAPI, "orders.write"}, got); diff != "" {
		t.Errorf("audit line (-want +got):\n%s", diff)
	}
	_, introspected := decode(t, w.do(w.introspect(stranger, token)))
	for _, name := range []string{"jti", "iat", "exp"} {
		delete(introspected, name)
	}
	wanted := map[string]any{
		"active": true, "iss": testIssuer, "sub": reporting, "sub_type": "client", "aud": ordersAPI, "client_id": billing, "client_uid": "uid-of-" + billing,
		"act": map[string]any{"sub": billing}, "scope": "orders.write", "token_type": "Bearer",
	}
	if diff := cmp.Diff(wanted, introspected); diff != "" {
		t.Errorf("introspection (-want +got):\n%s", diff)
	}
	admitted := w.do(forward("audience="+url.QueryEscape(ordersAPI), "Bearer "+token))
	checkHeaders(t, admitted.Header(), http.Header{
		"X-Auth-Client-Id": {billing}, "X-Auth-Subject": {reporting}, "X-Auth-Subject-Type": {"client"}, "X-Auth-User": {""}, "X-Auth-Scopes": {"orders.write"},
	})
	if line := w.lastAudit(); line["sub"] != reporting || line["client_id"] != billing {
		t.Errorf("audit line %v", line)
	}
	// Its client alone revokes it, and a revocation of the first ends it too.
	if answer := w.do(call{path: oauth2.RevocationPath, basic: reporting, body: "token=" + token}); answer.Code != http.StatusBadRequest {
		t.Errorf("the subject revokes it: %d", answer.Code)
	}
	w.dir.known[reporting].Owner.RevokedBefore = w.now
	if answer := w.do(w.introspect(stranger, token)); answer.Body.String() != inactive {
		t.Errorf("the tokens of the subject are revoked: %s", answer.Body)
	}
}

func TestTokenEndpointRefusesExchanges(t *testing.T) {
	const access = "urn:ietf:params:oauth:token-type:access_token"
	for name, c := range map[string]struct {
		caller  string
		changes url.Values
		before  func(*world)
		status  int
		code    oauth2.ErrorCode
		says    string
		reason  oauth2.Reason
		denial  oauth2.Reason
	}{
		"a client that has not the grant type": {
			caller: billing, before: func(w *world) { w.dir.known[billing].Client.GrantTypes = 0 }, status: 400, code: oauth2.UnauthorizedClient,
			says: "add TokenExchange to spec.grantTypes", reason: oauth2.ReasonGrantTypeNotAllowed,
		},
		"one that the token was not sent to either": {
			caller: stranger, status: 400, code: oauth2.UnauthorizedClient,
			says: "add TokenExchange to spec.grantTypes", reason: oauth2.ReasonGrantTypeNotAllowed,
		},
		"a client that the token was not sent to": {
			caller: stranger, before: func(w *world) { w.dir.known[stranger].Client.GrantTypes = oauth2.TokenExchange }, status: 400, code: oauth2.InvalidRequest, says: "no active access token that was sent to this client",
			reason: oauth2.ReasonSubjectTokenRefused, denial: oauth2.ReasonNotForCaller,
		},
		"a token of another issuer": {
			caller: billing, changes: url.Values{"subject_token": {"eyJhbGciOiJub25lIn0.e30."}}, status: 400, code: oauth2.InvalidRequest,
			says: "no active access token that was sent to this client", reason: oauth2.ReasonSubjectTokenRefused, denial: oauth2.ReasonTokenMalformed,
		},
		"its own token": {
			caller: billing, before: func(w *world) { w.secrets["token"] = billing }, status: 400, code: oauth2.InvalidRequest,
			says: "acts for this client itself", reason: oauth2.ReasonSubjectTokenNotPassedOn,
		},
		"an actor": {
			caller: billing, changes: url.Values{"actor_token": {"a.b.c"}, "actor_token_type": {access}}, status: 400, code: oauth2.InvalidRequest,
			says: "actor_token is not supported", reason: oauth2.ReasonMalformedRequest,
		},
		"another API": {
			caller: billing, changes: url.Values{"resource": {"https://elsewhere.test/"}}, status: 400, code: oauth2.InvalidTarget,
			says: "a grant whose subjects have Exchanged", reason: oauth2.ReasonTargetNotGranted,
		},
		"a scope for clients alone": {
			caller: billing, changes: url.Values{"scope": {"orders.read"}}, status: 400, code: oauth2.InvalidScope, says: "orders.read", reason: oauth2.ReasonScopeNotGranted,
		},
		"before every token server reads it": {
			caller: billing, before: func(w *world) { w.dir.resources[0].ExchangeHeld = true }, status: 503, code: oauth2.TemporarilyUnavailable,
			says: "once every token server has reported", reason: oauth2.ReasonTokenServersOutdated,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := exchanging(t)
			if c.before != nil {
				c.before(w)
			}
			from := reporting
			if own := w.secrets["token"]; own != "" {
				from = own
			}
			answer := w.do(w.exchange(c.caller, w.token(from), c.changes))
			status, body := decode(t, answer)
			description, _ := body["error_description"].(string)
			if status != c.status || body["error"] != string(c.code) || !strings.Contains(description, c.says) {
				t.Errorf("%d %v", status, body)
			}
			if (answer.Header().Get("Retry-After") != "") != (c.status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After %q", answer.Header().Get("Retry-After"))
			}
			line := w.lastAudit()
			if denial, _ := line["token_denial"].(string); line["reason"] != string(c.reason) || denial != string(c.denial) || line["client_id"] != c.caller {
				t.Errorf("audit line %v", line)
			}
		})
	}
}

// A token is a credential, which does not belong into a URL.
func TestNoTokenIsExchangedByGet(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.TokenByGet = true })
	answer := w.do(call{method: http.MethodGet, path: oauth2.TokenPath + "?grant_type=" + url.QueryEscape(oauth2.GrantTokenExchange) + "&subject_token=a.b.c", basic: billing})
	if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "do not belong in a URL") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

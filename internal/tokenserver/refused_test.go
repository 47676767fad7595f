// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// refusedNotes records its calls.
type refusedNotes struct{ noted []oauth2.Refused }

func (r *refusedNotes) Note(refused oauth2.Refused) {
	if refused.Client != "" { // an unknown client is noted for the time that it takes
		r.noted = append(r.noted, refused)
	}
}

func TestWhatIsRefusedToAClientIsNotedOnceAndForNoIDThatDoesNotExist(t *testing.T) {
	said := &refusedNotes{}
	w := newWorld(t, func(c *settings) { c.audit.Refusals = said })
	const from = "192.0.2.7:1234"
	right, wrong := w.secrets[reporting], w.secrets[billing]
	refused := func(reason oauth2.Reason, subject string) []oauth2.Refused {
		return []oauth2.Refused{{Client: "uid-of-" + reporting, Namespace: "shop", At: noon, Reason: reason, Subject: subject, Source: "192.0.2.7"}}
	}
	foreign := w.token(billing)
	said.noted = nil
	for _, c := range []struct {
		name string
		call call
		want []oauth2.Refused
	}{
		{"a token that is issued", call{basic: reporting, body: grant}, nil},
		{"a wrong secret", call{body: grant, header: basicHeader(reporting + ":" + wrong)}, refused(oauth2.ReasonWrongSecret, "")},
		{
			"a wrong secret at introspection", call{path: oauth2.IntrospectionPath, body: "token=x", header: basicHeader(reporting + ":" + wrong)},
			refused(oauth2.ReasonWrongSecret, ""),
		},
		{"a scope that is not granted", call{basic: reporting, body: grant + "&scope=read+admin"}, refused(oauth2.ReasonScopeNotGranted, "admin")},
		{
			"a resource that is not granted", call{basic: reporting, body: grant + "&resource=urn:other"},
			refused(oauth2.ReasonTargetNotGranted, "urn:other"),
		},
		{"its secret in the place of a scope", call{basic: reporting, body: grant + "&scope=" + right}, refused(oauth2.ReasonScopeNotGranted, "")},
		{"its secret in a resource", call{basic: reporting, body: grant + "&resource=urn:x?" + right}, refused(oauth2.ReasonTargetNotGranted, "")},
		{"another grant type", call{basic: reporting, body: "grant_type=password"}, refused(oauth2.ReasonUnsupportedGrant, "")},
		{
			"the revocation of a token of another client", call{path: oauth2.RevocationPath, basic: reporting, body: url.Values{"token": {foreign}}.Encode()},
			refused(oauth2.ReasonTokenOfAnother, ""),
		},
		{"an unknown client", call{body: grant, header: basicHeader(unheardOf + ":" + right)}, nil},
		{"no credentials", call{body: grant}, nil},
		{"a secret in the place of the client_id", call{body: grant, header: basicHeader(right + ":" + right)}, nil},
		{
			"a forged token at a proxy",
			call{method: http.MethodGet, path: oauth2.ForwardAuthPath + "?audience=urn:other", header: http.Header{"Authorization": {"Bearer x"}}}, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.call.source = from
			w.do(c.call)
			if diff := cmp.Diff(c.want, said.noted); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			said.noted = nil
		})
	}
}

// What the client has not done wrong is not reported to its owner.
func TestARefusalForWantOfAnAnswerIsNotNoted(t *testing.T) {
	said := &refusedNotes{}
	w := newWorld(t, func(c *settings) { c.audit.Refusals = said })
	w.dir.failing = errors.New("away")
	if answer := w.do(call{body: grant, header: basicHeader(reporting + ":" + w.secrets[billing])}); answer.Code != http.StatusServiceUnavailable {
		t.Fatalf("answered %d, want 503", answer.Code)
	}
	if len(said.noted) > 0 {
		t.Errorf("noted %v", said.noted)
	}
}

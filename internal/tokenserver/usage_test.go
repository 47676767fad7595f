// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// notes records its calls.
type notes struct{ uses []oauth2.Use }

func (n *notes) Note(use oauth2.Use) { n.uses = append(n.uses, use) }

// take returns the calls since the last take.
func (n *notes) take() []oauth2.Use {
	defer func() { n.uses = nil }()
	return n.uses
}

func TestEachUseIsNotedOnce(t *testing.T) {
	said := &notes{}
	w := newWorld(t, func(c *settings) { c.audit.Usage = said })
	const from, proxy = "192.0.2.7:1234", "192.0.2.9:1234"
	uid := "uid-of-" + reporting
	secret := w.dir.known[reporting].Client.Credentials.Verifiers[0].ID
	token := w.token(reporting)
	said.take()
	replaced := w.dir.known[billing].Client
	replaced.Credentials.Verifiers[0].ExpiresAt = noon.Add(2 * time.Hour)
	introspect := func(token string) call {
		return call{path: oauth2.IntrospectionPath, basic: reporting, body: url.Values{"token": {token}}.Encode(), source: from}
	}
	forward := func(token string) call {
		return call{
			method: http.MethodGet, path: oauth2.ForwardAuthPath + "?audience=" + url.QueryEscape(w.issuer.NamespaceAudience("shop")),
			header: http.Header{"Authorization": {"Bearer " + token}}, source: proxy,
		}
	}
	forged := token[:strings.LastIndexByte(token, '.')+1] + strings.Repeat("A", 86)
	byReporting := oauth2.Use{Subject: uid, Credential: secret, Source: "192.0.2.7"}
	expired := w.now.Add(time.Hour)
	cases := []struct {
		name string
		at   time.Time
		call call
		want []oauth2.Use
	}{
		{
			"a token request uses the secret", noon, call{basic: reporting, body: "grant_type=client_credentials", source: from},
			[]oauth2.Use{{Subject: uid, Credential: secret, Issued: true, Source: "192.0.2.7"}},
		},
		{
			"one that is refused for its scope uses it too", noon,
			call{basic: reporting, body: "grant_type=client_credentials&scope=admin", source: from}, []oauth2.Use{byReporting},
		},
		{"a wrong secret is nobody's use", noon, call{body: "grant_type=client_credentials&client_id=" + reporting + "&client_secret=x", source: from}, nil},
		{
			"a suspended client is not used", noon, call{basic: suspended, body: "grant_type=client_credentials", source: from}, nil,
		},
		{
			"a replaced secret deserves a word", noon, call{basic: billing, body: "grant_type=client_credentials", source: from},
			[]oauth2.Use{{
				Subject: "uid-of-" + billing, Credential: replaced.Credentials.Verifiers[0].ID, Issued: true, Stale: oauth2.PreviousSecretUsed, Source: "192.0.2.7",
			}},
		},
		{
			"introspection uses the caller's secret and the token", noon, introspect(token),
			[]oauth2.Use{byReporting, {Subject: uid, Presented: true, Source: "192.0.2.7"}},
		},
		{"a forged token that names the client says nothing about it", noon, introspect(forged), []oauth2.Use{byReporting}},
		{
			"an expired token deserves a word", expired, introspect(token),
			[]oauth2.Use{byReporting, {Subject: uid, Stale: oauth2.ExpiredTokenUsed, Source: "192.0.2.7"}},
		},
		{"a proxy's question uses the token, from who knows where", noon, forward(token), []oauth2.Use{{Subject: uid, Presented: true}}},
		{"an expired token at a proxy", expired, forward(token), []oauth2.Use{{Subject: uid, Stale: oauth2.ExpiredTokenUsed}}},
		{"a forged token at a proxy", expired, forward(forged), nil},
		{"no token at a proxy", noon, call{method: http.MethodGet, path: oauth2.ForwardAuthPath + "?audience=x", source: proxy}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.now = c.at
			w.do(c.call)
			for i := range c.want {
				c.want[i].At, c.want[i].Namespace = c.at, "shop"
			}
			if diff := cmp.Diff(c.want, said.take()); diff != "" {
				t.Errorf("uses (-want +got):\n%s", diff)
			}
		})
	}
}

// A client that was deleted, or made again, no namespace pays for.
func TestAUseOfATokenWhoseClientIsGoneHasNoNamespace(t *testing.T) {
	said := &notes{}
	w := newWorld(t, func(c *settings) { c.audit.Usage = said })
	token := w.token(reporting)
	w.now = w.now.Add(time.Hour)
	w.dir.known[reporting].Client.UID = "another"
	said.take()
	w.do(call{path: oauth2.IntrospectionPath, basic: billing, body: url.Values{"token": {token}}.Encode()})
	uses := said.take()
	if last := len(uses) - 1; last < 0 || uses[last].Subject != "uid-of-"+reporting || uses[last].Namespace != "" || uses[last].Stale != oauth2.ExpiredTokenUsed {
		t.Errorf("uses %+v", uses)
	}
}

func TestTheAuditLineNamesTheClientOfAnExpiredToken(t *testing.T) {
	w := newWorld(t)
	token := w.token(reporting)
	w.now = w.now.Add(time.Hour)
	w.do(call{path: oauth2.IntrospectionPath, basic: billing, body: url.Values{"token": {token}}.Encode()})
	if line := w.lastAudit(); line["token_client_id"] != reporting || line["token_denial"] != "TokenExpired" {
		t.Errorf("audit line %v", line)
	}
	metric := `hallpass_stale_uses_total{reason="ExpiredTokenUsed"}`
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "hallpass_stale_uses_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == string(oauth2.ExpiredTokenUsed) && m.GetCounter().GetValue() == 1 {
				return
			}
		}
	}
	t.Errorf("%s is not 1", metric)
}

func TestTheCallersAddressIsTakenFromTrustedProxiesOnly(t *testing.T) {
	trusting := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	cases := []struct {
		name, remote string
		headers      []string
		trusted      []netip.Prefix
		want         string
	}{
		{"what a trusted proxy adds is believed", "10.0.0.1:80", []string{"192.0.2.1"}, trusting, "192.0.2.1"},
		{"what stands before it is not", "10.0.0.1:80", []string{"198.51.100.1, 192.0.2.1"}, trusting, "192.0.2.1"},
		{"proxies behind one another are passed over", "10.0.0.1:80", []string{"198.51.100.1", "192.0.2.1, 10.0.0.9"}, trusting, "192.0.2.1"},
		{"IPv6 is told as its /64", "[2001:db8:1::1]:80", []string{"2001:db8:ffff:1:2:3:4:5"}, trusting, "2001:db8:ffff:1::/64"},
		{"an IPv4 address in IPv6 is that address", "[::ffff:10.0.0.1]:80", []string{"::ffff:192.0.2.1"}, trusting, "192.0.2.1"},
		{"a stranger is not believed", "192.0.2.99:80", []string{"198.51.100.1"}, trusting, ""},
		{"without trusted proxies nobody is", "10.0.0.1:80", []string{"192.0.2.1"}, nil, ""},
		{"something else than an address is nothing", "10.0.0.1:80", []string{"192.0.2.1, unknown"}, trusting, ""},
		{"proxies alone are nobody", "10.0.0.1:80", []string{"10.0.0.2, 10.0.0.3"}, trusting, ""},
		{"no header, no address", "10.0.0.1:80", nil, trusting, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(config *settings) { config.audit.TrustedProxies = c.trusted })
			w.do(call{basic: reporting, body: "grant_type=client_credentials", source: c.remote, header: http.Header{"X-Forwarded-For": c.headers}})
			if got, _ := w.lastAudit()["forwarded_for"].(string); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestAWatchedSecretIsAcceptedOnlyWhereItsUseIsHeardOf: the current secret of the same client is
// accepted in any case, and a wrong one gets the same answer as before.
func TestAWatchedSecretIsAcceptedOnlyWhereItsUseIsHeardOf(t *testing.T) {
	vouches := false
	said := &notes{}
	w := newWorld(t, func(c *settings) { c.auth.Reports, c.audit.Usage = func() bool { return vouches }, said })
	watched := &w.dir.known[billing].Client.Credentials.Verifiers[0]
	watched.ExpiresAt, watched.WatchedSince = noon.Add(48*time.Hour), noon
	const wanted = "grant_type=client_credentials"
	for name, c := range map[string]struct {
		call    call
		vouches bool
		status  int
		reason  string
	}{
		"where it is heard of":             {call{basic: billing, body: wanted}, true, http.StatusOK, ""},
		"where it is not":                  {call{basic: billing, body: wanted}, false, http.StatusServiceUnavailable, "UseUnreported"},
		"a current secret":                 {call{basic: reporting, body: wanted}, false, http.StatusOK, ""},
		"a wrong secret of the client":     {call{body: wanted + "&client_id=" + billing + "&client_secret=x"}, false, http.StatusUnauthorized, "WrongSecret"},
		"introspection asks the same rule": {call{path: oauth2.IntrospectionPath, basic: billing, body: "token=x"}, false, http.StatusServiceUnavailable, "UseUnreported"},
	} {
		t.Run(name, func(t *testing.T) {
			vouches = c.vouches
			said.take()
			answer := w.do(c.call)
			reason, _ := w.lastAudit()["reason"].(string)
			if answer.Code != c.status || reason != c.reason {
				t.Errorf("%d, %s: %s", answer.Code, reason, answer.Body)
			}
			if c.status == http.StatusServiceUnavailable && (answer.Header().Get("Retry-After") == "" || len(said.take()) > 0) {
				t.Errorf("a refusal that is noted as a use, or does not say when to try again: %v", answer.Header())
			}
		})
	}
}

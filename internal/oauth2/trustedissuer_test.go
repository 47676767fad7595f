// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2_test

import (
	"strings"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func claim(name string, values ...string) oauth2.RequiredClaim {
	return oauth2.RequiredClaim{Name: name, Values: values}
}

func TestATrustedIssuerLetsANamespace(t *testing.T) {
	issuer := &oauth2.TrustedIssuer{Delegations: []oauth2.Delegation{
		{Namespaces: []string{"ci", "shop"}, SubjectPrefixes: []string{"repo:acme/", "repo:acme-labs/x:"}, Claims: []oauth2.RequiredClaim{claim("owner", "1", "2")}},
		{Namespaces: []string{"free"}},
	}}
	for name, c := range map[string]struct {
		namespace string
		f         oauth2.Federated
		want      bool
	}{
		"a subject below a prefix":                      {"ci", oauth2.Federated{Subject: "repo:acme/shop:x"}, true},
		"a subject below another prefix":                {"shop", oauth2.Federated{Subject: "repo:acme-labs/x:y"}, true},
		"a subject of another owner":                    {"ci", oauth2.Federated{Subject: "repo:evil/shop:x"}, false},
		"an owner whose name begins alike":              {"ci", oauth2.Federated{Subject: "repo:acme-evil/shop:x"}, false},
		"a prefix below the prefix":                     {"ci", oauth2.Federated{SubjectPrefix: "repo:acme/shop:", Claims: []oauth2.RequiredClaim{claim("a", "b")}}, true},
		"a prefix that is the prefix":                   {"ci", oauth2.Federated{SubjectPrefix: "repo:acme/", Claims: []oauth2.RequiredClaim{claim("a", "b")}}, true},
		"a prefix that reaches further":                 {"ci", oauth2.Federated{SubjectPrefix: "repo:", Claims: []oauth2.RequiredClaim{claim("a", "b")}}, false},
		"claims alone":                                  {"ci", oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7")}}, true},
		"a claim within the required one":               {"ci", oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("owner", "2")}}, true},
		"a claim with a value that is not allowed":      {"ci", oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("owner", "2", "3")}}, false},
		"nothing at all":                                {"free", oauth2.Federated{}, false},
		"any subject where no prefix is required":       {"free", oauth2.Federated{Subject: "anything"}, true},
		"a namespace that is not listed":                {"other", oauth2.Federated{Subject: "repo:acme/shop:x"}, false},
		"a namespace whose name begins as a listed one": {"cix", oauth2.Federated{Subject: "repo:acme/shop:x"}, false},
	} {
		if got := issuer.Lets(c.namespace, c.f); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if !issuer.Delegates("free") || issuer.Delegates("other") {
		t.Error("the wrong namespaces are delegated to")
	}
}

func TestOwnIssuers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://a.test", "https://a.test/", true}, {"https://a.test/x", "https://A.test/x//", true}, {"https://a.test", "https://b.test", false},
	} {
		if got := oauth2.SameIssuer(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
	for issuer, want := range map[string]bool{
		"https://kubernetes.default.svc": true, "https://kubernetes.default.svc.cluster.local": true, "https://kubernetes.default": true,
		"https://KUBERNETES.default.svc:443/x": true, "https://kubernetes.default.example.com": false, "https://oidc.example.com": false, "::": false,
	} {
		if got := oauth2.IsClusterDefault(issuer); got != want {
			t.Errorf("%s: %v, want %v", issuer, got, want)
		}
	}
}

func TestWhatAPullRequestOfAForkCouldHaveIsKnown(t *testing.T) {
	const github, gitlab, other = "https://token.actions.githubusercontent.com", "https://gitlab.example.com", "https://issuer.example.com"
	for name, c := range map[string]struct {
		issuer string
		f      oauth2.Federated
		want   bool
	}{
		"the subject of a pull request":               {github, oauth2.Federated{Subject: "repo:acme/shop:pull_request"}, true},
		"the subject of its ref":                      {github, oauth2.Federated{Subject: "repo:acme/shop:ref:refs/pull/7/merge"}, true},
		"the subject of a branch":                     {github, oauth2.Federated{Subject: "repo:acme/shop:ref:refs/heads/main"}, false},
		"the subject of an environment":               {github, oauth2.Federated{Subject: "repo:acme/shop:environment:prod"}, false},
		"a prefix of a repository":                    {github, oauth2.Federated{SubjectPrefix: "repo:acme/shop:", Claims: []oauth2.RequiredClaim{claim("actor", "x")}}, true},
		"a prefix of an owner":                        {github, oauth2.Federated{SubjectPrefix: "repo:acme/", Claims: []oauth2.RequiredClaim{claim("repository_id", "7")}}, true},
		"a prefix of environments":                    {github, oauth2.Federated{SubjectPrefix: "repo:acme/shop:environment:", Claims: []oauth2.RequiredClaim{claim("repository_id", "7")}}, false},
		"a repository alone":                          {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7")}}, true},
		"a repository of a server of one's own":       {other, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7")}}, true},
		"a repository and an environment":             {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7"), claim("environment", "prod")}}, false},
		"a repository and a branch":                   {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7"), claim("ref", "refs/heads/main")}}, false},
		"a repository and a branch or a pull request": {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("ref", "refs/heads/main", "refs/pull/7/merge")}}, true},
		"a repository and an event":                   {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7"), claim("event_name", "push")}}, false},
		"the event of a pull request":                 {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_id", "7"), claim("event_name", "push", "pull_request_target")}}, true},
		"a workflow that others may call":             {github, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("job_workflow_ref", "acme/w/.github/workflows/d.yml@refs/heads/main")}}, true},
		"a repository named by its ids":               {github, oauth2.Federated{Subject: "repo:acme@1/shop@7:pull_request"}, true},
		"a repository with data in one region":        {"https://token.actions.acme.ghe.com", oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("actor_id", "7")}}, true},
		"an owner alone":                              {other, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("repository_owner_id", "1")}}, true},
		"a workflow":                                  {other, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("workflow_ref", "acme/shop/.github/workflows/d.yml@refs/heads/main")}}, true},
		"a project that a merge request goes to":      {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("job_project_id", "7")}}, true},
		"a group by its path":                         {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("namespace_path", "acme")}}, true},
		"a user":                                      {"https://gitlab.com", oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("user_login", "x")}}, true},
		"a source and a branch of a project":          {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("project_id", "7"), claim("pipeline_source", "push"), claim("ref", "main")}}, false},
		"a project":                                   {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("project_id", "7")}}, true},
		"a project and a ref that is protected":       {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("project_id", "7"), claim("ref_protected", "true")}}, false},
		"a project and a ref that need not be":        {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("project_id", "7"), claim("ref_protected", "true", "false")}}, true},
		"a project and an environment":                {gitlab, oauth2.Federated{Claims: []oauth2.RequiredClaim{claim("project_id", "7"), claim("environment_protected", "true")}}, false},
		"a prefix of a project":                       {gitlab, oauth2.Federated{SubjectPrefix: "project_path:acme/shop:", Claims: []oauth2.RequiredClaim{claim("user_login", "x")}}, true},
		"the subject of a branch of a project":        {gitlab, oauth2.Federated{Subject: "project_path:acme/shop:ref_type:branch:ref:main"}, false},
		"a service account":                           {other, oauth2.Federated{Subject: "system:serviceaccount:jobs:nightly"}, false},
		"a SPIFFE ID":                                 {other, oauth2.Federated{SubjectPrefix: "spiffe://example.org/ns/ci/"}, false},
	} {
		if got := c.f.OpenToPullRequests(c.issuer); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWhatIsNewIsAllowedOnlyWhereAPolicyListsIt(t *testing.T) {
	const federated = "FederatedToken"
	silent := oauth2.Ceilings{}
	lists := oauth2.Ceilings{Methods: []string{"ClientSecret", federated}, Permitted: []string{"ClientSecret", federated}}
	// of a policy that selects by a label which a tenant can set
	unprotected := oauth2.Ceilings{Methods: []string{"ClientSecret", federated}}
	others := oauth2.Ceilings{Methods: []string{"ClientSecret"}, Permitted: []string{"ClientSecret"}}
	for name, c := range map[string]struct {
		ceilings oauth2.Ceilings
		want     bool
	}{
		"no policy":              {silent, false},
		"a policy that lists it": {silent.And(lists), true},
		"one that lists it and one that is silent":    {lists.And(silent), true},
		"one that a tenant could bring about":         {silent.And(unprotected), false},
		"one of each":                                 {silent.And(unprotected).And(lists), true},
		"one that lists it and one that lists others": {lists.And(others), false},
	} {
		if got := c.ceilings.AllowMethod(federated); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if !c.ceilings.AllowMethod("ClientSecret") {
			t.Errorf("%s: a client secret is not allowed", name)
		}
	}
}

// Two namespaces share the JWTs that the delegations could admit to both.
func TestNamespacesThatShareJWTs(t *testing.T) {
	entry := func(namespaces string, prefixes string, claims ...oauth2.RequiredClaim) oauth2.Delegation {
		return oauth2.Delegation{Namespaces: strings.Fields(namespaces), SubjectPrefixes: strings.Fields(prefixes), Claims: claims}
	}
	for name, c := range map[string]struct {
		uses    oauth2.IssuerUses
		entries []oauth2.Delegation
		want    string
	}{
		"none":                                     {0, nil, ""},
		"one namespace":                            {0, []oauth2.Delegation{entry("a", "")}, ""},
		"one namespace twice":                      {0, []oauth2.Delegation{entry("a", "x:"), entry("a", "")}, ""},
		"two of one entry":                         {0, []oauth2.Delegation{entry("a b", "x:")}, "a b"},
		"two with any subject":                     {0, []oauth2.Delegation{entry("b", ""), entry("a", "")}, "a b"},
		"two, one of them with any subject":        {0, []oauth2.Delegation{entry("a", "x:"), entry("b", "")}, "a b"},
		"two with one prefix":                      {0, []oauth2.Delegation{entry("a", "x: y:"), entry("b", "z: y:")}, "a b"},
		"two, of which one has a part of another":  {0, []oauth2.Delegation{entry("a", "x:1/"), entry("b", "x:")}, "a b"},
		"two with prefixes that begin alike":       {0, []oauth2.Delegation{entry("a", "x:1/"), entry("b", "x:2/")}, ""},
		"two with other values of a claim":         {0, []oauth2.Delegation{entry("a", "", claim("o", "1")), entry("b", "", claim("o", "2", "3"))}, ""},
		"two with a value in common":               {0, []oauth2.Delegation{entry("a", "", claim("o", "1", "2")), entry("b", "", claim("o", "2", "3"))}, "a b"},
		"two with other claims":                    {0, []oauth2.Delegation{entry("a", "", claim("o", "1")), entry("b", "", claim("p", "2"))}, "a b"},
		"two of an issuer that is for people only": {oauth2.UsePerson, []oauth2.Delegation{entry("a b", "")}, ""},
	} {
		issuer := &oauth2.TrustedIssuer{Uses: c.uses, Delegations: c.entries}
		one, other, shared := issuer.SharedByNamespaces()
		if got := strings.TrimSpace(one + " " + other); got != c.want || shared != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, shared, c.want)
		}
	}
}

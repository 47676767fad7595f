// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/show"
)

func issuer(source v1alpha1.IssuerKeysSource, conditions ...metav1.Condition) *v1alpha1.OAuth2TrustedIssuer {
	i := &v1alpha1.OAuth2TrustedIssuer{ObjectMeta: metav1.ObjectMeta{Name: "github", CreationTimestamp: before(time.Hour)}}
	i.Spec.Issuer, i.Spec.Keys.Source = "https://id.example.com", source
	i.Status.Conditions = conditions
	return i
}

func TestTheKeysOfAnIssuerHaveAnAgeIfTheyAreFetched(t *testing.T) {
	fetched := issuer("", v1alpha1.IssuerTrusted())
	fetched.Status.FetchedAt, fetched.Status.KeysExpireAt = before(5*time.Minute), metav1.NewTime(now.Add(time.Hour))
	mapped := issuer(v1alpha1.KeysInConfigMap)
	mapped.Spec.Keys.ConfigMap = v1alpha1.IssuerConfigMap{Name: "east-keys", Key: "jwks.json"}
	for name, c := range map[string]struct {
		issuer    *v1alpha1.OAuth2TrustedIssuer
		age, says string
	}{
		"fetched": {fetched, "5m", "its discovery document, fetched 5m ago; used until 2026-11-29T13:00:00Z"},
		"never":   {issuer(v1alpha1.KeysByURL), "never", "fetched never"},
		"mapped":  {mapped, "never", "from the entry jwks.json of the ConfigMap east-keys"},
		"inline":  {issuer(v1alpha1.KeysInline), "-", "in spec.keys.jwks"},
	} {
		row := show.Issuers([]v1alpha1.OAuth2TrustedIssuer{*c.issuer}, now).Rows[0].Cells
		if row[4] != c.age {
			t.Errorf("%s: the age is %v, want %s", name, row[4], c.age)
		}
		if text := show.DescribeIssuer(c.issuer, now); !strings.Contains(text, c.says) {
			t.Errorf("%s is described as:\n%s", name, text)
		}
	}
}

// The message of one condition is printed once, and a condition that is well is not printed.
func TestAnIssuerThatIsNotReadyIsDescribedOnceWithTheNextStep(t *testing.T) {
	failed := v1alpha1.IssuerKeysFailed(v1alpha1.ReasonAddressNotAllowed, "10.0.0.1 is a private address")
	fresh := v1alpha1.IssuerKeysKept(failed.Reason, "x")
	fresh.Message = failed.Message
	text := show.DescribeIssuer(issuer("", failed, fresh), now)
	if strings.Count(text, "10.0.0.1") != 1 || !strings.Contains(text, "-> if the issuer has a private address, add it to spec.allowedCIDRs: kubectl edit hpi github") {
		t.Errorf("it is described as:\n%s", text)
	}
	if text := show.DescribeIssuer(issuer("", v1alpha1.IssuerTrusted(), v1alpha1.IssuerKeysFetched()), now); strings.Contains(text, "KeysFresh") {
		t.Errorf("an issuer with fresh keys is described as:\n%s", text)
	}
	kept := v1alpha1.IssuerKeysKept(v1alpha1.ReasonKeysNotFetched, "no such host")
	if text := show.DescribeIssuer(issuer("", v1alpha1.IssuerTrusted(), kept), now); !strings.Contains(text, "KeysFresh is False, reason KeysNotFetched. The keys were not fetched: no such host") {
		t.Errorf("an issuer with kept keys is described as:\n%s", text)
	}
}

func TestAFederatedClientIsDescribedByItsJWT(t *testing.T) {
	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "deploy"}}
	if rules := show.JWT(c); rules != nil {
		t.Errorf("a client with a secret has the rules %q", rules)
	}
	c.Spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByFederatedToken, FederatedToken: v1alpha1.FederatedTokenSpec{
		IssuerName: "github", SubjectPrefix: "repo:acme/", Claims: []v1alpha1.RequiredClaim{{Name: "environment", Values: []v1alpha1.RequiredValue{"prod", "staging"}}},
	}}
	if diff := cmp.Diff([]string{`a sub that begins with "repo:acme/"`, `environment "prod" or "staging"`}, show.JWT(c)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	c.Status.Conditions = []metav1.Condition{v1alpha1.RegisteredFederatedToken("github", "x"), v1alpha1.OpenToPullRequests()}
	for _, text := range []string{"a JWT of OAuth2TrustedIssuer github", `its JWT has        a sub that begins with "repo:acme/"`, "OpenToPullRequests is True", "by a pull request"} {
		if described := show.DescribeClient(c, issuer("", v1alpha1.IssuerTrusted()), nil, now); !strings.Contains(described, text) || strings.Contains(described, "Its issuer") {
			t.Errorf("%q is missing, or its issuer is not:\n%s", text, described)
		}
	}
	if described := show.DescribeClient(c, issuer("", v1alpha1.IssuerIsSuspended()), nil, now); !strings.Contains(described, "Its issuer github is not ready, reason Suspended.") {
		t.Errorf("with a suspended issuer:\n%s", described)
	}
}

// TestTheTextOfAnIssuerControlsNoTerminal fills what conditions and specs may have.
func TestTheTextOfAnIssuerControlsNoTerminal(t *testing.T) {
	const attack = "\x1b]0;owned\x07\u009b31m\u202e\rname"
	i := issuer("", metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: attack, Message: attack})
	i.Spec.DisplayName, i.Spec.Issuer = attack, attack
	i.Spec.Namespaces = []v1alpha1.IssuerNamespaces{{
		From: v1alpha1.NamespaceSource{Namespaces: []v1alpha1.NamespaceName{attack}}, SubjectPrefixes: []v1alpha1.SubjectPrefix{attack},
	}}
	i.Status.Keys = []v1alpha1.IssuerKey{{ID: attack}}
	var table bytes.Buffer
	if err := printers.NewTablePrinter(printers.PrintOptions{Wide: true}).PrintObj(show.Issuers([]v1alpha1.OAuth2TrustedIssuer{*i}, now), &table); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{table.String(), show.DescribeIssuer(i, now)} {
		if strings.ContainsAny(text, "\x1b\x07\r\u009b\u202e") || !strings.Contains(text, "name") {
			t.Errorf("it has a control character: %q", text)
		}
	}
}

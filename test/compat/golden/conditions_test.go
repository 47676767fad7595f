// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
)

// made is a condition and the name of its constructor.
type made struct {
	by        string
	condition metav1.Condition
}

// conditions has at least one condition of each constructor.
func conditions() []made {
	protected := []string{"kubernetes.io/metadata.name", "example.com/tenant"}
	return []made{
		{"Registered", v1alpha1.Registered()},
		{"RegisteredKeys", v1alpha1.RegisteredKeys()},
		{"RegisteredServiceAccount", v1alpha1.RegisteredServiceAccount("worker")},
		{"RegisteredDefaultServiceAccount", v1alpha1.RegisteredServiceAccount("default")},
		{"ClientIDNeeded", v1alpha1.ClientIDNeeded("worker", "shop.reporting")},
		{"SubjectShared", v1alpha1.SubjectShared("shop.reporting")},
		{"ServiceAccountNotFound", v1alpha1.ServiceAccountNotFound("worker")},
		{"ConfigMapConflict", v1alpha1.ConfigMapConflict("reporting")},
		{"ConfigMapNotWritten", v1alpha1.ConfigMapNotWritten("reporting")},
		{"InvalidJWKS", v1alpha1.InvalidJWKS(`read spec.authentication.privateKeyJWT.jwks: key 1: the kid "a" is there twice`)},
		{"UnsupportedRSAKey", v1alpha1.UnsupportedRSAKey("use spec.authentication.privateKeyJWT.jwks: key 1: it is too large")},
		{"Suspended", v1alpha1.Suspended()},
		{"ClientIDConflict", v1alpha1.ClientIDConflict("shop.reporting")},
		{"SecretConflict", v1alpha1.SecretConflict("reporting")},
		{"ClientIDNotAllowed", v1alpha1.ClientIDNotAllowed()},
		{"ClientIDNotNamed", v1alpha1.ClientIDNotNamed("com.acme.orders")},
		{"ClientIDReserved", v1alpha1.ClientIDReserved("com.acme.orders", "com")},
		{"InvalidTemplate", v1alpha1.InvalidTemplate("config.yaml", `the value "host" is unknown`)},
		{"SecretNotFound", v1alpha1.SecretNotFound("reporting")},
		{"SecretNotLabelled", v1alpha1.SecretNotLabelled("reporting")},
		{"SecretKeyNotFound", v1alpha1.SecretKeyNotFound("reporting", "password")},
		{"SecretTooWeak", v1alpha1.SecretTooWeak("reporting", "has fewer than 22 characters")},
		{"ClientIDMismatch", v1alpha1.ClientIDMismatch("reporting", "shop.reporting")},
		{"SigningAlgorithmNotEnabled", v1alpha1.SigningAlgorithmNotEnabled("RS256", "ES256, EdDSA")},
		{"SigningAlgorithmNotReady", v1alpha1.SigningAlgorithmNotReady("EdDSA")},
		{"Progressing", v1alpha1.Progressing("write the Secret")},
		{"Reconciling", v1alpha1.Reconciling(v1alpha1.Progressing("write the Secret"))},
		{"Stalled", v1alpha1.Stalled(v1alpha1.SecretNotFound("reporting"))},
		{"ResourceDeclared", v1alpha1.ResourceDeclared()},
		{"IdentifierConflict", v1alpha1.IdentifierConflict("https://orders.example.com")},
		{"IdentifierNotAllowed", v1alpha1.IdentifierNotAllowed("https://orders.example.com")},
		{"IdentifierReserved", v1alpha1.IdentifierReserved("https://hallpass.test")},
		{"ResourceTooLarge", v1alpha1.ResourceTooLarge(65_536)},
		{"ConsentComplete", v1alpha1.ConsentComplete(nil)},
		{"ReservedScope", v1alpha1.ReservedScope("admin")},
		{"UnprotectedLabel", v1alpha1.UnprotectedLabel("team", protected)},
		{"SelectorNotAvailable", v1alpha1.SelectorNotAvailable()},
		{"TokenServersOutdated", v1alpha1.TokenServersOutdated([]string{"tokenserver-0-x", "tokenserver-1-y"})},
		{"TokenServersOutdated-none", v1alpha1.TokenServersOutdated(nil)},
		{"PolicyInForce", v1alpha1.PolicyInForce()},
		{"PolicyUnprotectedLabel", v1alpha1.PolicyUnprotectedLabel("team", protected)},
		{"GrantsComplete", v1alpha1.GrantsComplete()},
		{"GrantsIncomplete", v1alpha1.GrantsIncomplete(`The scope "admin" is not granted.`, 0)},
		{"LifetimeCut", v1alpha1.LifetimeCut(10 * time.Minute)},
		{"MethodNotAllowed", v1alpha1.MethodNotAllowed(v1alpha1.ByServiceAccount)},
		{"GrantTypeNotAllowed", v1alpha1.GrantTypeNotAllowed(v1alpha1.GrantJWTBearer)},
		{"TooManyClients", v1alpha1.TooManyClients(5)},
		{"TooManyTokens", v1alpha1.TooManyTokens(5)},
		{"TooManyResources", v1alpha1.TooManyResources(5)},
		{"KeptBeyondLimit", v1alpha1.KeptBeyondLimit(v1alpha1.TooManyTokens(5))},
		{"ClientTooLarge", v1alpha1.ClientTooLarge(20_000, 11_264)},
		{"TokensTooLarge", v1alpha1.TokensTooLarge("https://hallpass.test/ns/shop", 9000, 8168)},
		{"TokenTooLarge", v1alpha1.TokenTooLarge("https://hallpass.test/ns/shop", 9000, 8168)},
		{"LargeClientKept", v1alpha1.LargeClientKept(20_000, 11_264)},
		{"LargeResourceKept", v1alpha1.LargeResourceKept(100_000, 65_536)},
		{"TooManyBytes", v1alpha1.TooManyBytes(v1alpha1.Bytes{Record: 14_000, Held: 2_090_000, Limit: 2 << 20, Guaranteed: 64 << 10}, false)},
		{"TooManyBytes", v1alpha1.TooManyBytes(v1alpha1.Bytes{Record: 14_000, Held: 2_090_000, Limit: 2 << 20, Guaranteed: 64 << 10}, true)},
		{"NewerRecord", v1alpha1.NewerRecord()},
		{"UnreadableRecord", v1alpha1.UnreadableRecord()},
		{"UnreadableResource", v1alpha1.UnreadableResource()},
		{"RevocationsCollapsed", v1alpha1.RevocationsCollapsed()},
		{"ClaimsComplete", v1alpha1.ClaimsComplete()},
		{"ClaimsIncomplete", v1alpha1.ClaimsIncomplete([]string{`"Aud"`}, nil)},
		{"ClaimsIncomplete", v1alpha1.ClaimsIncomplete(nil, []string{`"tier"`})},
		{"ClaimsIncomplete", v1alpha1.ClaimsIncomplete([]string{`"Aud"`}, []string{`"tier"`})},
		{"TokenIssued", v1alpha1.TokenIssued(v1alpha1.TokenRefreshing, "printer")},
		{"TokenIssued", v1alpha1.TokenIssued(v1alpha1.TokenFixed, "printer")},
		{"TokenExpiresSoon", v1alpha1.TokenExpiresSoon(noon)},
		{"TokenExpired", v1alpha1.TokenExpired(noon)},
		{"TokenRevoked", v1alpha1.TokenRevoked("printer")},
		{"TokenNeverValid", v1alpha1.TokenNeverValid(noon)},
		{"TokenExpirationTooLate", v1alpha1.TokenExpirationTooLate(noon)},
		{"TokensForbidden", v1alpha1.TokensForbidden()},
		{"TokenNotConsentedTo", v1alpha1.TokenNotConsentedTo("orders/orders-api")},
		{"TokenLongerThanConsent", v1alpha1.TokenLongerThanConsent("orders/orders-api", noon)},
		{"TokenKept", v1alpha1.TokenKept(v1alpha1.TokenNotConsentedTo("orders/orders-api"))},
		{"ContactsMissing", v1alpha1.ContactsMissing()},
		{"TokenClientNotFound", v1alpha1.TokenClientNotFound("reporting")},
		{"TokenClientNotReady", v1alpha1.TokenClientNotReady("reporting", "Suspended")},
		{"TokenMethodNotSupported", v1alpha1.TokenMethodNotSupported("reporting", v1alpha1.ByServiceAccount)},
		{"TokenNotGranted", v1alpha1.TokenNotGranted(v1alpha1.ReasonScopeNotGranted, "reporting", []v1alpha1.Scope{"read", "admin"}, "")},
		{"TokenNotGranted", v1alpha1.TokenNotGranted(v1alpha1.ReasonTargetNotGranted, "reporting", nil, "https://orders.example.com")},
		{"RevocationInForce", v1alpha1.RevocationInForce()},
		{"RevocationClientNotFound", v1alpha1.RevocationClientNotFound("shop.reporting")},
		{"RevocationIssuerNotFound", v1alpha1.RevocationIssuerNotFound("corp")},
		{"RevocationNamespaceWithoutClients", v1alpha1.RevocationNamespaceWithoutClients("shop")},
		{"WriteRefused", v1alpha1.WriteRefused(`write Secret "reporting"`, `secrets "reporting" is forbidden: exceeded quota: none`)},
		{"RepairDoesNotHold", v1alpha1.RepairDoesNotHold("Secret", "reporting", 6, 4*time.Second)},
		{"SecretDeleted", v1alpha1.SecretDeleted("reporting")},
		{"TokenNotReplaced", v1alpha1.TokenNotReplaced("printer", noon)},
		{"IssuerTrusted", v1alpha1.IssuerTrusted()},
		{"IssuerIsSuspended", v1alpha1.IssuerIsSuspended()},
		{"IssuerConflict", v1alpha1.IssuerConflict("github")},
		{"OwnIssuer", v1alpha1.OwnIssuer()},
		{"IssuerKeysFailed", v1alpha1.IssuerKeysFailed(v1alpha1.ReasonKeysNotFetched, "the request for the JWK set was answered with status 404")},
		{"IssuerKeysStale", v1alpha1.IssuerKeysStale(24*time.Hour, "the request for the JWK set was answered with status 404")},
		{"IssuerKeysFetched", v1alpha1.IssuerKeysFetched()},
		{"IssuerKeysKept", v1alpha1.IssuerKeysKept(v1alpha1.ReasonKeysNotFetched, "the request for the JWK set was answered with status 404")},
		{"IssuerSharedByNamespaces", v1alpha1.IssuerSharedByNamespaces("ci", "shop")},
		{"IssuerUnprotectedLabel", v1alpha1.IssuerUnprotectedLabel("team", protected)},
		{"RegisteredFederatedToken", v1alpha1.RegisteredFederatedToken("github", `repository_id "1316584243", environment "prod"`)},
		{"IssuerNotFound", v1alpha1.IssuerNotFound("github")},
		{"IssuersNotAvailable", v1alpha1.IssuersNotAvailable()},
		{"NotAllowedByIssuer", v1alpha1.NotAllowedByIssuer("github")},
		{"ReachesTooFar", v1alpha1.ReachesTooFar("github")},
		{"MethodNotListed", v1alpha1.MethodNotListed(v1alpha1.ByFederatedToken)},
		{"RegisteredPublic", v1alpha1.RegisteredPublic()},
		{"RedirectNotAllowed", v1alpha1.RedirectNotAllowed("https://shop.example.com/callback", 0)},
		{"RedirectNotAllowed", v1alpha1.RedirectNotAllowed("https://shop.example.com/callback", 2)},
		{"LoginNotInstalled", v1alpha1.LoginNotInstalled()},
		{"NoLoginIssuer", v1alpha1.NoLoginIssuer()},
		{"SeveralLoginIssuers", v1alpha1.SeveralLoginIssuers([]string{"corp", "partners"})},
		{"IssuerHasNoLogin", v1alpha1.IssuerHasNoLogin("github")},
		{"LoginIssuerNotFound", v1alpha1.LoginIssuerNotFound("corp")},
		{"RefreshLifetimeCut", v1alpha1.RefreshLifetimeCut(8 * time.Hour)},
		{"OpenToPullRequests", v1alpha1.OpenToPullRequests()},
		{"TokenSecretConflict", v1alpha1.TokenSecretConflict("printer")},
	}
}

func TestConditionsReadAsBefore(t *testing.T) {
	texts := map[string][]byte{} // by constructor, so that a new one gets a file of its own
	for _, m := range conditions() {
		texts[m.by] = fmt.Appendf(texts[m.by], "%s %s %s\n%s\n", m.condition.Type, m.condition.Status, m.condition.Reason, m.condition.Message)
	}
	for by, text := range texts {
		golden.Compare(t, "conditions/"+by+".txt", text)
	}
}

func TestEveryConstructorOfAConditionIsCompared(t *testing.T) {
	files, err := filepath.Glob("../../../api/v1alpha1/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || strings.HasSuffix(file, "_test.go") || !f.Name.IsExported() || f.Recv != nil || !makesCondition(f.Type) {
				continue
			}
			found++
			if !slices.ContainsFunc(conditions(), func(m made) bool { return m.by == f.Name.Name }) {
				t.Errorf("no condition of %s is compared", f.Name.Name)
			}
		}
	}
	if found < 40 {
		t.Errorf("found %d constructors; does this test still find all?", found)
	}
}

func makesCondition(f *ast.FuncType) bool {
	if f.Results == nil || len(f.Results.List) != 1 {
		return false
	}
	result, ok := f.Results.List[0].Type.(*ast.SelectorExpr)
	return ok && result.Sel.Name == "Condition"
}

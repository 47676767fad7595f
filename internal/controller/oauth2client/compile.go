// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// compile renders the spec, cut to the ceilings of the namespace. What the client authenticates by
// comes from its method, and the verifiers from its plan.
func compile(c *v1alpha1.OAuth2Client, s seen) oauth2.Client {
	compiled := oauth2.Client{
		ID:        c.ClientID(),
		UID:       string(c.UID),
		Namespace: c.Namespace,
		Name:      c.Name,
		Suspended: c.Spec.State == v1alpha1.ClientSuspended,
		Refused:   !s.ceilings.AllowMethod(string(methodName(c))) || grantTypeRefused(c, s) != nil,
		Tokens: oauth2.TokenForm{
			Lifetime:  s.ceilings.Lifetime(c.Spec.TokenLifetime.Or(oauth2.DefaultTokenLifetime)),
			Algorithm: jws.Algorithm(c.Spec.TokenSigningAlgorithm),
		},
	}
	// the API server has refused the names that are not known
	compiled.GrantTypes, _ = oauth2.GrantTypesOf(policy.Texts(c.Spec.GrantTypes))
	for _, scope := range c.Spec.Scopes {
		if s.ceilings.FreeForm(string(scope)) == oauth2.Granted {
			compiled.Scopes = append(compiled.Scopes, string(scope))
		}
	}
	compiled.Codes = compileCodes(c, s.ceilings)
	compileAccess(c, s.labels, &compiled)
	cutBack(&compiled, c, s.registered.Client, s.at.Earliest)
	return compiled
}

// grantTypeRefused is the condition of a client with a grant type that policies do not allow, or
// nil.
func grantTypeRefused(c *v1alpha1.OAuth2Client, s seen) *metav1.Condition {
	grantTypes := c.Spec.GrantTypes
	if len(grantTypes) == 0 {
		grantTypes = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials}
	}
	for _, grantType := range grantTypes {
		if !s.ceilings.AllowGrantType(string(grantType)) {
			return new(v1alpha1.GrantTypeNotAllowed(grantType))
		}
	}
	return nil
}

// cutBack sets until when the tokens of a client are revoked. An instant in the future is cut back
// to the one at which it is seen first, which the registration keeps.
func cutBack(compiled *oauth2.Client, c *v1alpha1.OAuth2Client, registered oauth2.Client, now time.Time) {
	if c.Spec.RevokeTokensIssuedBefore == nil {
		return
	}
	compiled.Revocation.Asked = c.Spec.RevokeTokensIssuedBefore.UTC()
	compiled.Revocation.Before = oauth2.CutBack(compiled.Revocation.Asked, now)
	if registered.Revocation.Asked.Equal(compiled.Revocation.Asked) {
		compiled.Revocation.Before = registered.Revocation.Before
	}
}

// compileAccess renders what the client asks of resources, and the labels that owners select by.
func compileAccess(c *v1alpha1.OAuth2Client, labels map[string]string, compiled *oauth2.Client) {
	if len(c.Spec.Access) == 0 {
		return
	}
	compiled.Labels = labels
	compiled.DefaultResource = oauth2.ObjectName{Namespace: string(c.Spec.DefaultResource.Namespace), Name: c.Spec.DefaultResource.Name}
	for _, access := range c.Spec.Access {
		compiled.Access = append(compiled.Access, oauth2.Access{Resource: resourceOf(access), Scopes: policy.Texts(access.Scopes)})
	}
}

func resourceOf(access v1alpha1.Access) oauth2.ObjectName {
	return oauth2.ObjectName{Namespace: string(access.ResourceNamespace), Name: access.ResourceName}
}

// compileClaims renders the claims of the client's tokens, and the condition about those left out.
func compileClaims(c *v1alpha1.OAuth2Client, issuer oauth2.Issuer, ceilings oauth2.Ceilings) ([]oauth2.Claim, *metav1.Condition) {
	if len(c.Spec.Claims) == 0 {
		return nil, nil
	}
	var carried []oauth2.Claim
	var reserved, notAllowed []string
	for _, asked := range c.Spec.Claims {
		claim := oauth2.Claim{Name: string(asked.Name), Value: string(asked.Value), Values: policy.Texts(asked.Values)}
		switch issuer.DecideClaim(claim, ceilings) {
		case oauth2.Granted:
			carried = append(carried, claim)
		case oauth2.ClaimNotAllowed:
			notAllowed = append(notAllowed, strconv.Quote(claim.Name))
		default:
			reserved = append(reserved, strconv.Quote(claim.Name))
		}
	}
	if len(reserved)+len(notAllowed) > 0 {
		return carried, new(v1alpha1.ClaimsIncomplete(reserved, notAllowed))
	}
	return carried, new(v1alpha1.ClaimsComplete())
}

// limitSize returns the condition of a client whose registration would be too large, or nil. The
// client keeps what is registered of it already, and loses what its spec does not list any more.
func limitSize(compiled *oauth2.Client, s seen) (tooLarge, kept *metav1.Condition) {
	size := registration.Listed(*compiled)
	switch {
	case size <= registration.MaxListed:
		return nil, nil
	case s.held && !restrict(compiled, s.registered.Client):
		return nil, new(v1alpha1.LargeClientKept(size, registration.MaxListed))
	}
	return new(v1alpha1.ClientTooLarge(size, registration.MaxListed)), nil
}

// limitBytes returns the condition of a client whose registration there is no room for in the
// memory of the token servers, and what it would weigh; or nil. What the client has is limited as
// by limitSize, and its keys too.
func limitBytes(compiled *oauth2.Client, s seen) (tooMany *metav1.Condition, wants int) {
	wanted := *compiled
	switch {
	case !wanted.Credentials.BySecret():
	case s.held:
		wanted.Credentials.Verifiers = s.record().Verifiers
	default:
		wanted.Credentials.Verifiers = []oauth2.Verifier{{ID: "of the usual"}}
	}
	wants = registration.WeighClient(wanted)
	if s.bytes.Fits(wants) {
		return nil, 0
	}
	if s.held {
		restrict(compiled, s.registered.Client)
		compiled.Credentials.Keys = compiled.Credentials.Keys.Also(s.registered.Client.Credentials.Keys)
	}
	return new(s.bytes.Condition(wants, s.held)), wants
}

// restrict removes from a client what was not registered before, and reports whether there was
// such.
func restrict(compiled *oauth2.Client, before oauth2.Client) (removed bool) {
	scopes, access := keepScopes(compiled.Scopes, before.Scopes), keepAccess(compiled.Access, before.Access)
	labels := maps.Clone(compiled.Labels)
	maps.DeleteFunc(labels, func(key, value string) bool { return before.Labels[key] != value })
	claims := slices.DeleteFunc(slices.Clone(compiled.Tokens.Claims), func(claim oauth2.Claim) bool {
		return !slices.ContainsFunc(before.Tokens.Claims, func(was oauth2.Claim) bool {
			return was.Name == claim.Name && was.Value == claim.Value && slices.Equal(was.Values, claim.Values)
		})
	})
	if before.Codes != nil && compiled.Codes != nil {
		codes := *compiled.Codes
		codes.RedirectURIs = keepScopes(codes.RedirectURIs, before.Codes.RedirectURIs)
		removed = len(codes.RedirectURIs) < len(compiled.Codes.RedirectURIs)
		if codes.DisplayName != before.Codes.DisplayName && codes.DisplayName != "" {
			codes.DisplayName, removed = before.Codes.DisplayName, true
		}
		compiled.Codes = &codes
	} else if compiled.Codes != nil {
		removed = len(compiled.Codes.RedirectURIs) > 0
		compiled.Codes = &oauth2.Codes{}
	}
	sameAccess := slices.EqualFunc(access, compiled.Access, func(a, b oauth2.Access) bool { return len(a.Scopes) == len(b.Scopes) })
	removed = removed || len(scopes) < len(compiled.Scopes) || !sameAccess || len(labels) < len(compiled.Labels) || len(claims) < len(compiled.Tokens.Claims)
	compiled.Scopes, compiled.Access, compiled.Labels, compiled.Tokens.Claims = scopes, access, labels, claims
	return removed
}

func keepScopes(scopes, before []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !slices.Contains(before, scope) })
}

func keepAccess(accesses, before []oauth2.Access) (kept []oauth2.Access) {
	for _, access := range accesses {
		for _, was := range before {
			if was.Resource != access.Resource {
				continue
			}
			if access.Scopes = keepScopes(access.Scopes, was.Scopes); len(access.Scopes) > 0 {
				kept = append(kept, access)
			}
		}
	}
	return kept
}

// limitTokens returns the condition of a client that a token with all scopes cannot be issued to,
// or nil. It stays registered, because one with fewer scopes can.
func limitTokens(compiled *oauth2.Client, issuer oauth2.Issuer, s seen) *metav1.Condition {
	size, audience := issuer.LargestToken(compiled, s.resources)
	if size <= oauth2.MaxBearer {
		return nil
	}
	return new(v1alpha1.TokensTooLarge(audience, size, oauth2.MaxBearer))
}

// The default names of the entries of a user's Secret.
const (
	keyClientID         = "client_id"
	keyClientSecret     = "client_secret"
	keyIssuerURL        = "issuer_url"
	keyTokenURL         = "token_url"
	keyJWKSURL          = "jwks_url"
	keyIntrospectionURL = "introspection_url"
	keyScope            = "scope"
	keyResource         = "resource"
	keyInternalTokenURL = "internal_token_url"
	keyAuthorizationURL = "authorization_url"
)

// render renders the entries of the Secret or ConfigMap, or the condition with the reason why it
// cannot.
func render(
	c *v1alpha1.OAuth2Client, m method, issuer oauth2.Issuer, s seen, registered *oauth2.Client, value oauth2.Secret,
) (map[string][]byte, *metav1.Condition) {
	keys := c.Spec.Secret.Keys
	items := append(m.items(value), output.Item{Name: keyClientID, Renamed: keys.ClientID, Value: registered.ID})
	for _, optional := range []struct { // these may be left out
		omit v1alpha1.OmittedEntry
		output.Item
	}{
		{v1alpha1.OmitIssuerURL, output.Item{Name: keyIssuerURL, Renamed: keys.IssuerURL, Value: issuer.String()}},
		{v1alpha1.OmitTokenURL, output.Item{Name: keyTokenURL, Renamed: keys.TokenURL, Value: issuer.URL(oauth2.TokenPath)}},
		{v1alpha1.OmitJWKSURL, output.Item{Name: keyJWKSURL, Renamed: keys.JWKSURL, Value: issuer.URL(oauth2.JWKSPath)}},
		{v1alpha1.OmitIntrospectionURL, output.Item{
			Name: keyIntrospectionURL, Renamed: keys.IntrospectionURL, Value: issuer.URL(oauth2.IntrospectionPath), Omitted: registered.Credentials.Public,
		}},
		{v1alpha1.OmitScope, output.Item{Name: keyScope, Renamed: keys.Scope, Value: scopeEntry(registered)}},
		{v1alpha1.OmitInternalTokenURL, internalItem(c, issuer)},
		{v1alpha1.OmitAuthorizationURL, authorizationItem(c, s)},
		{v1alpha1.OmitResource, resourceItem(c, issuer, s)},
		{v1alpha1.OmitCACertificate, output.Item{Name: output.KeyCACertificate, Renamed: keys.CACertificate, Value: s.ca, Omitted: s.ca == ""}},
	} {
		optional.Omitted = optional.Omitted || slices.Contains(c.Spec.Secret.Omit, optional.omit)
		items = append(items, optional.Item)
	}
	return output.Render(items, c.Spec.Secret.Template)
}

// scopeEntry is the scope to ask for at the default audience. For a resource it is empty, which
// asks for all that is granted: a request that names a withdrawn scope would get nothing.
func scopeEntry(c *oauth2.Client) string {
	if c.DefaultResource != (oauth2.ObjectName{}) {
		return ""
	}
	return strings.Join(c.Scopes, " ")
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// NewClient are the values of create client.
type NewClient struct {
	Name, Namespace string
	// ClientID is an identifier of its own; empty for <namespace>.<name>.
	ClientID                 string
	DisplayName, Description string
	Contacts, Scopes         []string
	// Access are scopes of resources: <namespace>/<name>=<scope>,<scope>.
	Access         []string
	ServiceAccount string
	// Keys is the JWK set of a client that signs its assertions; empty if it signs none.
	Keys          string
	Federated     Federated
	Codes         Codes
	TokenLifetime string
	Rotate        string
}

// Federated are the JWTs that authenticate a client without a secret; none if it names no Issuer.
type Federated struct {
	// Issuer is the name of the OAuth2TrustedIssuer.
	Issuer string
	// Subject is the sub of the JWTs, and SubjectPrefix its beginning.
	Subject, SubjectPrefix string
	Claims                 []v1alpha1.RequiredClaim
}

// Codes are how people log in for a client; none if it names no RedirectURIs.
type Codes struct {
	// RedirectURIs are where people may be sent, and GrantTypes those of the client, of which
	// none stands for AuthorizationCode alone.
	RedirectURIs, GrantTypes []string
	// Public is a client that does not authenticate.
	Public bool
	// Issuer is the name of the OAuth2TrustedIssuer; empty for the only one.
	Issuer string
	// RefreshLifetime is how long they stay logged in; empty for as long as a token.
	RefreshLifetime string
}

// Client renders an OAuth2Client.
func (n NewClient) Client() (*v1alpha1.OAuth2Client, error) {
	if err := errors.Join(n.checkFederated(), n.checkCodes()); err != nil {
		return nil, err
	}
	c := &v1alpha1.OAuth2Client{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Namespace: n.Namespace},
		Spec: v1alpha1.OAuth2ClientSpec{
			ClientID: n.ClientID, DisplayName: n.DisplayName, Description: n.Description,
			Contacts: converted[v1alpha1.Contact](n.Contacts), Scopes: converted[v1alpha1.Scope](n.Scopes),
			TokenLifetime: v1alpha1.Duration(n.TokenLifetime), Rotation: v1alpha1.RotationSpec{Interval: v1alpha1.Duration(n.Rotate)},
		},
	}
	if n.Keys != "" {
		c.Spec.Authentication = v1alpha1.AuthenticationSpec{Method: v1alpha1.ByPrivateKeyJWT, PrivateKeyJWT: v1alpha1.PrivateKeyJWTSpec{JWKS: n.Keys}}
	}
	if n.ServiceAccount != "" {
		c.Spec.Authentication = v1alpha1.AuthenticationSpec{
			Method: v1alpha1.ByServiceAccount, ServiceAccount: v1alpha1.ServiceAccountSpec{Name: n.ServiceAccount},
		}
	}
	if n.Federated.Issuer != "" {
		c.Spec.Authentication = n.Federated.authentication()
	}
	n.Codes.apply(&c.Spec)
	for _, text := range n.Access {
		access, err := parseAccess(n.Namespace, text)
		if err != nil {
			return nil, err
		}
		c.Spec.Access = append(c.Spec.Access, access)
	}
	return c, nil
}

// checkFederated refuses a description of JWTs that fits every JWT, or none.
func (n NewClient) checkFederated() error {
	f := n.Federated
	named := f.Subject != "" || f.SubjectPrefix != "" || len(f.Claims) > 0
	switch {
	case f.Issuer == "" && named:
		return errors.New("--subject, --subject-prefix and --claim are about the JWTs of a trusted issuer: add --issuer, with the name of its OAuth2TrustedIssuer")
	case f.Issuer == "":
		return nil
	case n.ServiceAccount != "" || n.Keys != "":
		return errors.New("a client authenticates in one way: leave out --issuer or --service-account")
	case f.Subject != "" && f.SubjectPrefix != "":
		return errors.New("--subject is the whole sub of the JWT and --subject-prefix its beginning: leave out one of them")
	case !named:
		return fmt.Errorf("--issuer=%s alone would let every workload of the issuer authenticate: add --subject, --subject-prefix or --claim", f.Issuer)
	}
	return nil
}

// checkCodes refuses what is about the logins of people for a client that has none.
func (n NewClient) checkCodes() error {
	codes, hasCode := n.Codes, slices.Contains(n.Codes.GrantTypes, string(v1alpha1.GrantAuthorizationCode))
	switch {
	case len(codes.RedirectURIs) == 0 && hasCode:
		return errors.New("--grant-type=AuthorizationCode sends people back to the client: add --redirect-uri")
	case len(codes.RedirectURIs) == 0 && (codes.Public || codes.Issuer != "" || codes.RefreshLifetime != ""):
		return errors.New("--public, --login-issuer and --refresh-lifetime are for clients for which people log in: add --redirect-uri")
	case len(codes.RedirectURIs) > 0 && len(codes.GrantTypes) > 0 && !hasCode:
		return errors.New("--redirect-uri is for the grant type AuthorizationCode: add --grant-type=AuthorizationCode, or leave --grant-type out")
	case codes.Public && (n.ServiceAccount != "" || n.Federated.Issuer != ""):
		return errors.New("a public client authenticates by nothing: leave out --public, or --service-account and --issuer")
	}
	return nil
}

func (c Codes) apply(spec *v1alpha1.OAuth2ClientSpec) {
	spec.GrantTypes, spec.RedirectURIs = converted[v1alpha1.GrantType](c.GrantTypes), converted[v1alpha1.RedirectURI](c.RedirectURIs)
	if len(c.RedirectURIs) > 0 && len(c.GrantTypes) == 0 {
		spec.GrantTypes = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	}
	if c.Public {
		spec.Authentication.Method = v1alpha1.ByNone
	}
	spec.LoginIssuerName, spec.RefreshTokens.Lifetime = c.Issuer, v1alpha1.Duration(c.RefreshLifetime)
}

func (f Federated) authentication() v1alpha1.AuthenticationSpec {
	return v1alpha1.AuthenticationSpec{Method: v1alpha1.ByFederatedToken, FederatedToken: v1alpha1.FederatedTokenSpec{
		IssuerName: f.Issuer, Subject: f.Subject, SubjectPrefix: v1alpha1.SubjectPrefix(f.SubjectPrefix), Claims: f.Claims,
	}}
}

// ParseClaims reads claims that are <name>=<value>,<value>.
func ParseClaims(texts []string) ([]v1alpha1.RequiredClaim, error) {
	var claims []v1alpha1.RequiredClaim
	for _, text := range texts {
		name, values, _ := strings.Cut(text, "=")
		if name == "" || values == "" {
			return nil, fmt.Errorf("--claim=%q names no values of a claim; write it as --claim=environment=prod,staging", text)
		}
		claims = append(claims, v1alpha1.RequiredClaim{Name: name, Values: converted[v1alpha1.RequiredValue](strings.Split(values, ","))})
	}
	return claims, nil
}

// parseAccess reads <namespace>/<name>=<scope>,<scope>; the namespace may be left out for that of
// the client.
func parseAccess(namespace, text string) (v1alpha1.Access, error) {
	resource, scopes, found := strings.Cut(text, "=")
	owner, name, qualified := strings.Cut(resource, "/")
	if !qualified {
		owner, name = namespace, resource
	}
	if !found || owner == "" || name == "" || scopes == "" {
		return v1alpha1.Access{}, fmt.Errorf("--access=%q names no scopes of a resource; write it as --access=orders/orders-api=orders.read,orders.write", text)
	}
	if problems := slices.Concat(validation.IsDNS1123Label(owner), validation.IsDNS1123Subdomain(name)); len(problems) > 0 {
		return v1alpha1.Access{}, fmt.Errorf("--access=%q cannot be the namespace and the name of a resource: %s", text, problems[0])
	}
	return v1alpha1.Access{
		ResourceNamespace: v1alpha1.NamespaceName(owner), ResourceName: name, Scopes: converted[v1alpha1.Scope](strings.Split(scopes, ",")),
	}, nil
}

// NewResource are the values of create resource.
type NewResource struct {
	Name, Namespace         string
	DisplayName, Identifier string
	Scopes                  []v1alpha1.ResourceScope
	// To are namespaces whose clients are granted all scopes.
	To                    []string
	TokenLifetime         string
	MaxFixedTokenLifetime string
}

// Resource renders an OAuth2Resource.
func (n NewResource) Resource() (*v1alpha1.OAuth2Resource, error) {
	r := &v1alpha1.OAuth2Resource{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Namespace: n.Namespace},
		Spec: v1alpha1.OAuth2ResourceSpec{
			DisplayName: n.DisplayName, Identifier: n.Identifier, TokenLifetime: v1alpha1.Duration(n.TokenLifetime),
			MaxFixedTokenLifetime: v1alpha1.Duration(n.MaxFixedTokenLifetime),
		},
	}
	r.Spec.Scopes = n.Scopes
	var names []v1alpha1.Scope
	for _, scope := range n.Scopes {
		names = append(names, scope.Name)
	}
	if len(n.To) > 0 && len(names) == 0 {
		return nil, fmt.Errorf("--to=%s grants nothing without a scope; add --scopes", strings.Join(n.To, ","))
	}
	if len(n.To) > 0 {
		r.Spec.Grants = []v1alpha1.ResourceGrant{{From: v1alpha1.GrantSource{Namespaces: converted[v1alpha1.NamespaceName](n.To)}, Scopes: names}}
	}
	return r, nil
}

// ParseScopes reads scopes that are <name> or <name>=<description>.
func ParseScopes(texts []string) []v1alpha1.ResourceScope {
	var scopes []v1alpha1.ResourceScope
	for _, text := range texts {
		name, description, _ := strings.Cut(text, "=")
		scopes = append(scopes, v1alpha1.ResourceScope{Name: v1alpha1.Scope(name), Description: description})
	}
	return scopes
}

// NewToken are the values of create token.
type NewToken struct {
	Name, Namespace, Client string
	Description, Resource   string
	Scopes                  []string
	SecretName              string
	// End is when a Fixed token expires; zero stands for a Refreshing one.
	End time.Time
}

// Token renders an OAuth2Token.
func (n NewToken) Token() *v1alpha1.OAuth2Token {
	t := &v1alpha1.OAuth2Token{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Namespace: n.Namespace},
		Spec: v1alpha1.OAuth2TokenSpec{
			ClientRef: v1alpha1.LocalClientReference{Name: n.Client}, Mode: v1alpha1.TokenRefreshing, Description: n.Description, Resource: n.Resource,
			Scopes: converted[v1alpha1.Scope](n.Scopes), Secret: v1alpha1.TokenSecretSpec{Name: n.SecretName},
		},
	}
	if !n.End.IsZero() {
		t.Spec.Mode = v1alpha1.TokenFixed
		t.Spec.ExpirationTime = new(metav1.NewTime(n.End.UTC().Truncate(time.Second)))
	}
	return t
}

// ParseEnd reads when a token expires: a day or an instant in the future.
func ParseEnd(at string, now time.Time) (time.Time, error) {
	expires, err := time.Parse(time.RFC3339, at)
	if err != nil {
		expires, err = time.Parse(time.DateOnly, at)
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%s is no time; write it as 2027-01-31 or 2027-01-31T12:00:00Z", at)
	case !expires.After(now):
		return time.Time{}, fmt.Errorf("%s is over; give a time in the future", at)
	}
	return expires, nil
}

func converted[S ~string](texts []string) []S {
	var all []S
	for _, text := range texts {
		all = append(all, S(text))
	}
	return all
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// clientLogin is where people log in for a client with authorization codes.
type clientLogin struct {
	// url is the origin of login; empty if the installation has none.
	url string
	// issuers are the records of the trusted issuer that the client names, or of all.
	issuers []*oauth2.TrustedIssuer
	// candidates are the names of those that its namespace may use.
	candidates []string
}

func (l clientLogin) authorizationURL() string {
	if l.url == "" {
		return ""
	}
	return l.url + oauth2.AuthorizationPath
}

// awaited reports whether another object ends LoginNotAvailable, so that the client waits for it.
func (l clientLogin) awaited() bool {
	return l.url != "" && len(l.candidates) < 2
}

// hasCodes reports whether a client may get authorization codes.
func hasCodes(c *v1alpha1.OAuth2Client) bool {
	return slices.Contains(c.Spec.GrantTypes, v1alpha1.GrantAuthorizationCode)
}

// anyIssuer is the value of policy.IndexByIssuer of a client for which people log in at the only
// issuer that its namespace may use. No object has that name.
const anyIssuer = "*"

// indexedIssuers are the values of policy.IndexByIssuer.
func indexedIssuers(o client.Object) []string {
	c, ok := o.(*v1alpha1.OAuth2Client)
	if !ok {
		return nil
	}
	names := policy.IssuersOf(c)
	if hasCodes(c) && c.Spec.LoginIssuerName == "" {
		names = append(names, anyIssuer)
	}
	return names
}

// seeLogin reads the records of the trusted issuers at which people may log in for the client.
func (r *Reconciler) seeLogin(ctx context.Context, c *v1alpha1.OAuth2Client, s seen) (seen, error) {
	if !hasCodes(c) {
		return s, nil
	}
	// without policies no client may get codes, and there are no trusted issuers
	if s.login.url = r.Installation.LoginURL; s.login.url == "" || r.Policy.Namespaced() {
		return s, nil
	}
	names := []string{c.Spec.LoginIssuerName}
	if c.Spec.LoginIssuerName == "" {
		var issuers v1alpha1.OAuth2TrustedIssuerList
		if err := r.Client.List(ctx, &issuers); err != nil {
			return s, fmt.Errorf("list OAuth2TrustedIssuers: %w", err)
		}
		names = nil
		for i := range issuers.Items {
			names = append(names, issuers.Items[i].Name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		trusted, err := readIssuer(ctx, r.Client, r.RegistryNamespace, name)
		if err != nil {
			return s, err
		}
		if trusted != nil {
			s.login.issuers = append(s.login.issuers, trusted)
		}
	}
	s.login.candidates = candidatesIn(s.login.issuers, c.Namespace)
	return s, nil
}

// candidatesIn are the names of the trusted issuers at which people may log in for the clients of a
// namespace, also those that are suspended: a suspension sends people to no other one.
func candidatesIn(issuers []*oauth2.TrustedIssuer, namespace string) (names []string) {
	for _, t := range issuers {
		if t.Login != nil && t.Uses.Has(oauth2.UsePerson) && t.Delegates(namespace) {
			names = append(names, t.Name)
		}
	}
	return names
}

// loginObstacle is why people cannot log in for a client; nil if they can, or it gets no codes. The
// token server asks the same function. A client stays Ready while its issuer is suspended.
func (s seen) loginObstacle(compiled *oauth2.Client) *metav1.Condition {
	switch {
	case compiled.Codes == nil:
		return nil
	case s.login.url == "":
		return new(v1alpha1.LoginNotInstalled())
	}
	name := compiled.Codes.IssuerName
	switch _, reason := compiled.LoginIssuer(s.login.issuers); {
	case reason == "", reason == oauth2.ReasonIssuerSuspended:
		return nil
	case reason == oauth2.ReasonIssuerNotFound:
		return new(v1alpha1.LoginIssuerNotFound(name))
	case reason == oauth2.ReasonNotAllowedByIssuer:
		return new(v1alpha1.NotAllowedByIssuer(name))
	case name != "":
		return new(v1alpha1.IssuerHasNoLogin(name))
	case len(s.login.candidates) > 1:
		return new(v1alpha1.SeveralLoginIssuers(s.login.candidates))
	}
	return new(v1alpha1.NoLoginIssuer())
}

// compileCodes renders how the client gets codes; nil if it gets none. A redirect URI that policies
// do not allow is left out.
func compileCodes(c *v1alpha1.OAuth2Client, ceilings oauth2.Ceilings) *oauth2.Codes {
	if !hasCodes(c) {
		return nil
	}
	codes := &oauth2.Codes{
		IssuerName: c.Spec.LoginIssuerName, DisplayName: c.Spec.DisplayName, AskAlways: c.Spec.Consent == v1alpha1.ConsentAlways,
	}
	for _, uri := range c.Spec.RedirectURIs {
		if ceilings.AllowRedirectURI(string(uri)) {
			codes.RedirectURIs = append(codes.RedirectURIs, string(uri))
		}
	}
	asked := c.Spec.RefreshTokens
	if asked == (v1alpha1.RefreshTokensSpec{}) || asked.MaxRefreshes != nil && *asked.MaxRefreshes == 0 {
		return codes
	}
	refresh := oauth2.Refreshing{Lifetime: asked.Lifetime.Or(oauth2.DefaultRefreshLifetime), Idle: asked.IdleTimeout.Or(0)}
	if asked.MaxRefreshes != nil {
		refresh.Limited, refresh.Max = true, int(*asked.MaxRefreshes)
	}
	codes.Refresh = ceilings.Refreshing(refresh)
	return codes
}

// redirectsRefused is the condition of a client with redirect URIs that policies do not allow, or
// nil.
func redirectsRefused(c *v1alpha1.OAuth2Client, s seen) *metav1.Condition {
	if !hasCodes(c) {
		return nil
	}
	var refused []string
	for _, uri := range c.Spec.RedirectURIs {
		if !s.ceilings.AllowRedirectURI(string(uri)) {
			refused = append(refused, string(uri))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return new(v1alpha1.RedirectNotAllowed(refused[0], len(refused)-1))
}

// byNone is a public client, which sends its client_id alone. It has nothing to hide, and a
// ConfigMap as one with a service account.
type byNone struct{ base }

func (byNone) compile(registered *oauth2.Client, _ string) (obstacle, incomplete *metav1.Condition) {
	registered.Credentials.Public = true
	return nil, nil
}

func (byNone) ready() metav1.Condition { return v1alpha1.RegisteredPublic() }

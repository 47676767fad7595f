// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/cmd/kubectl-hallpass/verdict"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// defaultLifetime is the lifetime of tokens for which a client sets none.
const defaultLifetime = "1h"

// DescribeClient describes an OAuth2Client and its OAuth2Tokens in plain words. The issuer is that
// of a federated client; nil if it cannot be read.
func DescribeClient(c *v1alpha1.OAuth2Client, issuer *v1alpha1.OAuth2TrustedIssuer, tokens []v1alpha1.OAuth2Token, now time.Time) string {
	p := &page{}
	p.heading("Client %s in namespace %s", c.Name, c.Namespace)
	p.conditions(c.DeletionTimestamp != nil, c.Generation, c.Status.ObservedGeneration, c.Status.Conditions)
	p.lines(IssuerInTheWay(issuer))
	p.pairs(
		[2]string{"client_id", c.ClientID()},
		[2]string{"display name", c.Spec.DisplayName},
		[2]string{"notes", c.Spec.Description},
		[2]string{"contacts", strings.Join(texts(c.Spec.Contacts), ", ")},
		[2]string{"state", stateOf(c)},
		[2]string{"authenticates by", Authentication(c)},
		[2]string{"its JWT has", strings.Join(JWT(c), "\n")},
		[2]string{"grant types", GrantTypes(c)},
		[2]string{"redirect URIs", strings.Join(RedirectURIs(c), "\n")},
		[2]string{"people log in", LoginPlace(c)},
		[2]string{"refresh tokens", RefreshTokens(c)},
		[2]string{"tokens", Lifetime(c, now)},
		[2]string{"created", since(c.CreationTimestamp, now)},
		[2]string{"last used", since(c.Status.LastUsedAt, now)},
		[2]string{"last token issued", since(c.Status.LastTokenIssuedAt, now)},
	)
	p.credentials(c, now)
	p.mayCall(c)
	if len(tokens) > 0 {
		p.heading("Tokens handed out")
		for i := range tokens {
			t := &tokens[i]
			p.say("%s (%s): %s, expires %s, last used %s.", t.Name, t.Spec.Mode,
				TokenHealth(t),
				until(t.Status.ExpiresAt, now), since(t.Status.LastUsedAt, now))
		}
	}
	p.refusals(c, now)
	return p.String()
}

func texts[S ~string](all []S) []string {
	var converted []string
	for _, s := range all {
		converted = append(converted, string(s))
	}
	return converted
}

func stateOf(c *v1alpha1.OAuth2Client) string {
	if c.Spec.State == v1alpha1.ClientSuspended {
		return "suspended; resume it with: kubectl hallpass resume " + c.Name + " --namespace " + c.Namespace
	}
	return ""
}

// Authentication is how a client authenticates, in words.
func Authentication(c *v1alpha1.OAuth2Client) string {
	switch method := Method(c); method {
	case v1alpha1.ByServiceAccount:
		return fmt.Sprintf("the token of ServiceAccount %s; %s", c.Spec.Authentication.ServiceAccount.Name, urlsIn(c))
	case v1alpha1.ByFederatedToken:
		return fmt.Sprintf("a JWT of OAuth2TrustedIssuer %s; %s", c.Spec.Authentication.FederatedToken.IssuerName, urlsIn(c))
	case v1alpha1.ByNone:
		return "nothing: it is a public client; " + urlsIn(c)
	case v1alpha1.ByPrivateKeyJWT:
		return fmt.Sprintf("a key of its own; Secret %s has the URLs", orDash(c.Status.Secret.Name))
	case v1alpha1.ByClientSecret:
		if c.Spec.Secret.Source == v1alpha1.SecretExisting {
			return "a client secret that another tool writes into Secret " + orDash(c.Status.Secret.Name)
		}
		return "a client secret in Secret " + orDash(c.Status.Secret.Name)
	default:
		return string(method)
	}
}

// Lifetime is how long tokens of a client are valid, in words.
func Lifetime(c *v1alpha1.OAuth2Client, now time.Time) string {
	valid := string(c.Spec.TokenLifetime)
	if valid == "" {
		valid = defaultLifetime
	}
	text := "valid for " + valid + " at most"
	if c.Spec.TokenSigningAlgorithm != "" {
		text += ", signed with " + string(c.Spec.TokenSigningAlgorithm)
	}
	switch before := c.Spec.RevokeTokensIssuedBefore; {
	case before == nil:
	case before.After(now): // a time in the future means the time at which the manager read it
		text += "; those from before spec.revokeTokensIssuedBefore was set are revoked"
	default:
		text += "; those from before " + stamp(*before) + " are revoked"
	}
	return text
}

// credentials writes the client secrets that are accepted, by their ids.
func (p *page) credentials(c *v1alpha1.OAuth2Client, now time.Time) {
	rotation := c.Status.Rotation
	if len(c.Status.Credentials) == 0 && rotation == (v1alpha1.RotationStatus{}) {
		return
	}
	p.heading("Client secrets that are accepted")
	for _, credential := range c.Status.Credentials {
		state := "current"
		if !credential.ExpiresAt.IsZero() {
			state = "replaced, accepted until " + stamp(credential.ExpiresAt)
		}
		p.say("%s: %s, created %s, last used %s.", credential.ID, state, since(credential.CreatedAt, now), since(credential.LastUsedAt, now))
		if credential.KeptMessage != "" {
			p.say("  %s", credential.KeptMessage)
		}
	}
	p.rotation(rotation, now)
}

// rotation writes when the next rotation is due, and why one waits.
func (p *page) rotation(rotation v1alpha1.RotationStatus, now time.Time) {
	if !rotation.NextAt.IsZero() {
		p.say("The next rotation is due %s, at %s.", until(rotation.NextAt, now), stamp(rotation.NextAt))
	}
	if rotation.Reason != "" {
		p.say("A rotation waits, reason %s. %s", rotation.Reason, rotation.Message)
	}
}

// mayCall writes what the client may call, and what is missing.
func (p *page) mayCall(c *v1alpha1.OAuth2Client) {
	p.heading("May call")
	if len(c.Status.Grants) == 0 {
		p.say("Nothing that needs a scope: it asks for none.")
		return
	}
	for _, g := range c.Status.Grants {
		where := "its own namespace"
		if g.Resource != (v1alpha1.ResourceReference{}) {
			where = string(g.Resource.Namespace) + "/" + g.Resource.Name
		}
		var granted []string
		var missing []verdict.Verdict
		for _, s := range g.Scopes {
			if s.Decision == string(oauth2.Granted) {
				granted = append(granted, string(s.Name))
			} else {
				missing = append(missing, verdict.OfScope(c, g, s))
			}
		}
		with := "nothing is granted"
		if len(granted) > 0 {
			with = strings.Join(granted, ", ")
		}
		if g.Audience != "" {
			with += " (" + g.Audience + ")"
		}
		p.say("%s: %s", where, with)
		for _, v := range missing {
			p.line(2, "missing, reason %s. %s", v.Reason, v.Sentence)
			p.next(v.Do)
		}
	}
}

// refusals writes what was refused lately.
func (p *page) refusals(c *v1alpha1.OAuth2Client, now time.Time) {
	if len(c.Status.Refusals) == 0 && len(c.Status.StaleUses) == 0 {
		return
	}
	p.heading("Refused, or used too late")
	for _, r := range c.Status.Refusals {
		p.say("%s, last %s. %s", r.Reason, since(r.LastRefusedAt, now), r.Text())
	}
	p.staleUses(c.Status.StaleUses, now)
}

// urlsIn is where the URLs of a client without a secret are.
func urlsIn(c *v1alpha1.OAuth2Client) string {
	if c.Status.ConfigMap.Name == "" {
		return "its ConfigMap with the URLs is not written yet"
	}
	return "ConfigMap " + c.Status.ConfigMap.Name + " has the URLs"
}

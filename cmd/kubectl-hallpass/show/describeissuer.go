// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// DescribeIssuer describes an OAuth2TrustedIssuer in plain words.
func DescribeIssuer(i *v1alpha1.OAuth2TrustedIssuer, now time.Time) string {
	p := &page{}
	p.heading("Issuer %s", i.Name)
	p.lines(IssuerConditions(i))
	p.pairs(
		[2]string{"issuer (iss)", i.Spec.Issuer},
		[2]string{"trust domain", i.Spec.SPIFFE.TrustDomain},
		[2]string{"display name", i.Spec.DisplayName},
		[2]string{"state", issuerIsSuspended(i)},
		[2]string{"keys", keysFrom(i, now)},
		[2]string{"audience (aud)", IssuerAudience(i)},
		[2]string{"JWTs", IssuerJWTs(i)},
		[2]string{"people log in", IssuerLogin(i)},
		[2]string{"clients that name it", namingIt(i)},
		[2]string{"created", since(i.CreationTimestamp, now)},
	)
	p.heading("Keys that are used")
	if len(i.Status.Keys) == 0 {
		p.say("None.")
	}
	for _, key := range i.Status.Keys {
		p.say("%s (%s)", key.ID, key.Algorithm)
	}
	p.mayBeNamedBy(i)
	return p.String()
}

// IssuerConditions is the meaning of the conditions of an OAuth2TrustedIssuer, with what to do.
func IssuerConditions(i *v1alpha1.OAuth2TrustedIssuer) []Line {
	lines := Conditions(i.DeletionTimestamp != nil, i.Generation, i.Status.ObservedGeneration, i.Status.Conditions)
	if lines[0].Next == "" {
		lines[0].Next = issuerNext(i)
	}
	return lines
}

// IssuerAudience is the aud claim that the JWTs of an issuer must have.
func IssuerAudience(i *v1alpha1.OAuth2TrustedIssuer) string {
	return cmp.Or(strings.Join(texts(i.Spec.Audiences), " or "), "the issuer of Hallpass")
}

func issuerIsSuspended(i *v1alpha1.OAuth2TrustedIssuer) string {
	if i.Spec.State == v1alpha1.IssuerSuspended {
		return "suspended: its JWTs are refused"
	}
	return ""
}

// issuerNext is what to do about an issuer that is not ready, where the message of its condition
// does not have it.
func issuerNext(i *v1alpha1.OAuth2TrustedIssuer) string {
	edit := "kubectl edit hpi " + i.Name
	switch IssuerHealth(i) {
	case v1alpha1.ReasonSuspended:
		return fmt.Sprintf(`kubectl patch hpi %s --type merge --patch '{"spec":{"state":"Active"}}'`, i.Name)
	case v1alpha1.ReasonKeysNotFetched, v1alpha1.ReasonKeysStale:
		return "let the manager reach the issuer by https, and set spec.caBundle for a private authority: " + edit
	case v1alpha1.ReasonAddressNotAllowed:
		return "if the issuer has a private address, add it to spec.allowedCIDRs: " + edit
	case v1alpha1.ReasonIssuerMismatch:
		return "create another OAuth2TrustedIssuer with the issuer that the discovery document names, and delete this one"
	case v1alpha1.ReasonWeakKey:
		return "ask the operator of the issuer to replace the key"
	}
	return ""
}

// keysFrom is where the keys come from, and how old they are.
func keysFrom(i *v1alpha1.OAuth2TrustedIssuer, now time.Time) string {
	text := IssuerKeysFrom(i)
	if keysSource(i) == v1alpha1.KeysInline {
		return text + "; nothing is fetched"
	}
	text = fmt.Sprintf("from %s, fetched %s", text, since(i.Status.FetchedAt, now))
	if !i.Status.KeysExpireAt.IsZero() {
		text += fmt.Sprintf("; used until %s unless they are fetched again", stamp(i.Status.KeysExpireAt))
	}
	return text
}

// IssuerKeysFrom is where the keys of an issuer come from, in words.
func IssuerKeysFrom(i *v1alpha1.OAuth2TrustedIssuer) string {
	switch source := keysSource(i); source {
	case v1alpha1.KeysInline:
		return "in spec.keys.jwks"
	case v1alpha1.KeysByURL:
		return i.Spec.Keys.URL
	case v1alpha1.KeysInConfigMap:
		return "the entry " + i.Spec.Keys.ConfigMap.Key + " of the ConfigMap " + i.Spec.Keys.ConfigMap.Name
	case v1alpha1.KeysByDiscovery:
		return "its discovery document"
	default:
		return string(source)
	}
}

// IssuerJWTs is which JWTs of an issuer are accepted at all, in words.
func IssuerJWTs(i *v1alpha1.OAuth2TrustedIssuer) string {
	text := "valid for " + cmp.Or(string(i.Spec.MaxTokenLifetime), defaultLifetime) + " at most"
	if len(i.Spec.Algorithms) > 0 {
		text += ", signed with " + strings.Join(texts(i.Spec.Algorithms), " or ")
	}
	if i.Spec.Reuse == v1alpha1.ReuseOnce {
		text += "; each is accepted once"
	}
	return text
}

// mayBeNamedBy writes which clients may name the issuer, and for which JWTs.
func (p *page) mayBeNamedBy(i *v1alpha1.OAuth2TrustedIssuer) {
	p.heading("May be named by")
	if len(i.Spec.Namespaces) == 0 {
		p.say("No client: no namespace may use it.")
		p.next("add one to spec.namespaces: kubectl edit hpi " + i.Name)
	}
	for _, entry := range i.Spec.Namespaces {
		p.say("%s: %s", IssuerClients(entry), RequiredJWT(entry))
	}
}

// IssuerClients are the clients that may name an issuer by one of its entries, in words.
func IssuerClients(entry v1alpha1.IssuerNamespaces) string {
	switch named := texts(entry.From.Namespaces); len(named) {
	case 0:
		return "clients of namespaces with the labels " + labels(entry.From.NamespaceSelector)
	case 1:
		return "clients of namespace " + named[0]
	default:
		return "clients of namespaces " + strings.Join(named, ", ")
	}
}

// RequiredJWT is what the JWTs of the clients of an entry must have, in words.
func RequiredJWT(entry v1alpha1.IssuerNamespaces) string {
	if must := required(entry); len(must) > 0 {
		return "JWTs with " + strings.Join(must, ", ")
	}
	return "any JWT of the issuer"
}

func required(entry v1alpha1.IssuerNamespaces) []string {
	var must []string
	if len(entry.SubjectPrefixes) > 0 {
		must = append(must, "a sub that begins with "+alternatives(entry.SubjectPrefixes))
	}
	return append(must, claims(entry.Claims)...)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Issuers is the table of OAuth2TrustedIssuers.
func Issuers(issuers []v1alpha1.OAuth2TrustedIssuer, now time.Time) *metav1.Table {
	type issuer = v1alpha1.OAuth2TrustedIssuer
	return table([]column[issuer]{
		{"Name", false, func(i *issuer, _ time.Time) string { return i.Name }},
		{"Issuer", false, func(i *issuer, _ time.Time) string { return i.Spec.Issuer }},
		{"Health", false, func(i *issuer, _ time.Time) string { return IssuerHealth(i) }},
		{"Keys", false, func(i *issuer, _ time.Time) string { return strconv.Itoa(len(i.Status.Keys)) }},
		{"Keys Age", false, keysAge},
		{"Clients", false, func(i *issuer, _ time.Time) string { return orDash(namingIt(i)) }},
		{"State", false, func(i *issuer, _ time.Time) string { return string(issuerState(i)) }},
		{"Age", false, func(i *issuer, now time.Time) string { return ago(i.CreationTimestamp, now) }},
		{"Keys From", true, func(i *issuer, _ time.Time) string { return string(keysSource(i)) }},
		{"Keys Expire", true, func(i *issuer, now time.Time) string { return until(i.Status.KeysExpireAt, now) }},
		{"Namespaces", true, func(i *issuer, _ time.Time) string { return usableFrom(i) }},
		{"Display Name", true, func(i *issuer, _ time.Time) string { return orDash(i.Spec.DisplayName) }},
	}, issuers, now)
}

// IssuerHealth is one word on an OAuth2TrustedIssuer: Ready, or why its JWTs are refused.
func IssuerHealth(i *v1alpha1.OAuth2TrustedIssuer) string {
	return health(i.DeletionTimestamp != nil, i.Generation, i.Status.ObservedGeneration, i.Status.Conditions)
}

func issuerState(i *v1alpha1.OAuth2TrustedIssuer) v1alpha1.IssuerState {
	return cmp.Or(i.Spec.State, v1alpha1.IssuerActive)
}

func keysSource(i *v1alpha1.OAuth2TrustedIssuer) v1alpha1.IssuerKeysSource {
	return cmp.Or(i.Spec.Keys.Source, v1alpha1.KeysByDiscovery)
}

// keysAge is how long ago the keys were fetched. Those in the spec are not fetched.
func keysAge(i *v1alpha1.OAuth2TrustedIssuer, now time.Time) string {
	if keysSource(i) == v1alpha1.KeysInline {
		return "-"
	}
	return ago(i.Status.FetchedAt, now)
}

// namingIt is the number of clients that name the issuer; empty if they were not counted yet.
func namingIt(i *v1alpha1.OAuth2TrustedIssuer) string {
	if i.Status.Clients == nil {
		return ""
	}
	return strconv.Itoa(int(*i.Status.Clients))
}

// usableFrom are the namespaces whose clients may name the issuer, and the selectors.
func usableFrom(i *v1alpha1.OAuth2TrustedIssuer) string {
	var all []string
	for _, entry := range i.Spec.Namespaces {
		all = append(all, fromNamespaces(entry.From)...)
	}
	return joined(all)
}

// fromNamespaces are namespaces by name, or by their labels.
func fromNamespaces(from v1alpha1.NamespaceSource) []string {
	if len(from.Namespaces) > 0 {
		return texts(from.Namespaces)
	}
	return []string{labels(from.NamespaceSelector)}
}

// DescribeIssuer describes an OAuth2TrustedIssuer in plain words.
func DescribeIssuer(i *v1alpha1.OAuth2TrustedIssuer, now time.Time) string {
	p := &page{}
	p.heading("Issuer %s", i.Name)
	p.conditions(i.DeletionTimestamp != nil, i.Generation, i.Status.ObservedGeneration, i.Status.Conditions)
	p.next(issuerNext(i))
	p.pairs(
		[2]string{"issuer (iss)", i.Spec.Issuer},
		[2]string{"display name", i.Spec.DisplayName},
		[2]string{"state", issuerIsSuspended(i)},
		[2]string{"keys", keysFrom(i, now)},
		[2]string{"audience (aud)", cmp.Or(strings.Join(texts(i.Spec.Audiences), " or "), "the issuer of Hallpass")},
		[2]string{"JWTs", jwtsOf(i)},
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
	var from string
	switch source := keysSource(i); source {
	case v1alpha1.KeysInline:
		return "in spec.keys.jwks; nothing is fetched"
	case v1alpha1.KeysByURL:
		from = i.Spec.Keys.URL
	case v1alpha1.KeysByDiscovery:
		from = "its discovery document"
	default:
		from = string(source)
	}
	text := fmt.Sprintf("from %s, fetched %s", from, since(i.Status.FetchedAt, now))
	if !i.Status.KeysExpireAt.IsZero() {
		text += fmt.Sprintf("; used until %s unless they are fetched again", stamp(i.Status.KeysExpireAt))
	}
	return text
}

func jwtsOf(i *v1alpha1.OAuth2TrustedIssuer) string {
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
		who := "clients of namespaces with the labels " + labels(entry.From.NamespaceSelector)
		switch named := texts(entry.From.Namespaces); len(named) {
		case 0:
		case 1:
			who = "clients of namespace " + named[0]
		default:
			who = "clients of namespaces " + strings.Join(named, ", ")
		}
		with := "any JWT of the issuer"
		if must := required(entry); len(must) > 0 {
			with = "JWTs with " + strings.Join(must, ", ")
		}
		p.say("%s: %s", who, with)
	}
}

func required(entry v1alpha1.IssuerNamespaces) []string {
	var must []string
	if len(entry.SubjectPrefixes) > 0 {
		must = append(must, "a sub that begins with "+alternatives(entry.SubjectPrefixes))
	}
	return append(must, claims(entry.Claims)...)
}

// JWT is what the JWT of a federated client has to have, one rule a line; none for a client of
// another method.
func JWT(c *v1alpha1.OAuth2Client) []string {
	if Method(c) != v1alpha1.ByFederatedToken {
		return nil
	}
	federated := c.Spec.Authentication.FederatedToken
	var must []string
	switch {
	case federated.Subject != "":
		must = append(must, "sub "+strconv.Quote(federated.Subject))
	case federated.SubjectPrefix != "":
		must = append(must, "a sub that begins with "+strconv.Quote(string(federated.SubjectPrefix)))
	}
	return append(must, claims(federated.Claims)...)
}

func claims(all []v1alpha1.RequiredClaim) []string {
	var must []string
	for _, claim := range all {
		must = append(must, claim.Name+" "+alternatives(claim.Values))
	}
	return must
}

// alternatives are values of which one is needed.
func alternatives[S ~string](values []S) string {
	quoted := make([]string, 0, len(values))
	for _, value := range values {
		quoted = append(quoted, strconv.Quote(string(value)))
	}
	return strings.Join(quoted, " or ")
}

// issuerInTheWay writes why the issuer of a client is not ready, which the conditions of the client
// may not have.
func (p *page) issuerInTheWay(i *v1alpha1.OAuth2TrustedIssuer) {
	if i == nil || IssuerHealth(i) == "Ready" || IssuerHealth(i) == "Pending" {
		return
	}
	p.say("Its issuer %s is not ready, reason %s.", i.Name, IssuerHealth(i))
	p.next("kubectl hallpass describe issuer " + i.Name)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"cmp"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Issuers is the table of OAuth2TrustedIssuers.
func Issuers(issuers []v1alpha1.OAuth2TrustedIssuer, now time.Time) *metav1.Table {
	type issuer = v1alpha1.OAuth2TrustedIssuer
	return table([]column[issuer]{
		{"Name", false, func(i *issuer, _ time.Time) string { return i.Name }},
		{"Issuer", false, func(i *issuer, _ time.Time) string { return IssuerIdentifier(i) }},
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

// IssuerIdentifier is the iss of an OAuth2TrustedIssuer, or the SPIFFE ID of its trust domain.
func IssuerIdentifier(i *v1alpha1.OAuth2TrustedIssuer) string {
	if i.Spec.Type == v1alpha1.IssuerSPIFFE {
		return oauth2.TrustDomainID(i.Spec.SPIFFE.TrustDomain)
	}
	return i.Spec.Issuer
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

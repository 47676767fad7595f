// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "strings"

const (
	spiffeScheme = "spiffe://"
	// maxSPIFFEID bounds a SPIFFE ID in bytes (SPIFFE-ID section 2.3).
	maxSPIFFEID = 2048

	lettersOfTrustDomains = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
	lettersOfPaths        = lettersOfTrustDomains + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// TrustDomainID is the SPIFFE ID of a trust domain, which is the Issuer of a TrustedIssuer whose
// JWTs are JWT-SVIDs.
func TrustDomainID(trustDomain string) string { return spiffeScheme + trustDomain }

// isSPIFFE reports whether the JWTs of the issuer are JWT-SVIDs.
func (t *TrustedIssuer) isSPIFFE() bool { return strings.HasPrefix(t.Issuer, spiffeScheme) }

// ValidTrustDomain reports whether a name is that of a trust domain (SPIFFE-ID section 2.1).
func ValidTrustDomain(name string) bool {
	return name != "" && len(name) <= maxTrustedIssuer && strings.Trim(name, lettersOfTrustDomains) == ""
}

// trustDomainOf returns the SPIFFE ID of the trust domain of a workload; "" if the subject is not
// the SPIFFE ID of one (SPIFFE-ID section 2). A path with a segment that a reader could resolve,
// such as "..", is that of none.
func trustDomainOf(subject string) string {
	rest, is := strings.CutPrefix(subject, spiffeScheme)
	name, path, hasPath := strings.Cut(rest, "/")
	if !is || !hasPath || len(subject) > maxSPIFFEID || !ValidTrustDomain(name) {
		return ""
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.Trim(segment, lettersOfPaths) != "" {
			return ""
		}
	}
	return spiffeScheme + name
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package issuerkeys

import (
	"errors"
	"net/url"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

// maxAddress bounds the address of a JWK set.
const maxAddress = 512

// DiscoveryURL is the address of the discovery document of an issuer (OpenID Connect Discovery 1.0
// section 4).
func DiscoveryURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// ParseDiscovery reads the discovery document of an issuer and returns the address of its keys. It
// refuses a document of another issuer.
func ParseDiscovery(document []byte, issuer string) (string, error) {
	members, err := strictjson.ParseObject(string(document))
	if err != nil {
		return "", notFetched("the discovery document is not a JSON object with distinct members")
	}
	named, err := members.String("issuer")
	switch {
	case err != nil:
		return "", notFetched("the discovery document names no issuer")
	case named != issuer:
		return "", &Error{
			Reason: v1alpha1.ReasonIssuerMismatch, Endless: true,
			What: "the discovery document names another issuer than spec.issuer, which is compared byte for byte, a slash at the end included",
		}
	}
	address, err := members.String("jwks_uri")
	if err != nil || !isHTTPS(address) {
		return "", notFetched("the discovery document has no https URL in jwks_uri")
	}
	return address, nil
}

// isHTTPS reports whether an address is an https URL with a host and without a user.
func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= maxAddress && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Opaque == ""
}

// ParseKeys reads the JWK set of an issuer. Keys that are not supported are left out; a set with a
// weak key is refused.
func ParseKeys(document []byte) (jws.KeySet, error) {
	set, err := jws.ParseKeySet(document)
	return set, refuseKeys(set, err, "the JWK set has no key for RS256, ES256, PS256 or EdDSA")
}

// ParseBundle reads the keys of JWT-SVIDs in a SPIFFE bundle, as ParseKeys does.
func ParseBundle(document []byte) (jws.KeySet, error) {
	set, err := jws.ParseBundle(document)
	return set, refuseKeys(set, err, `the SPIFFE bundle has no key with use "jwt-svid" and a kid for RS256, ES256, PS256 or EdDSA`)
}

// refuseKeys returns why a set cannot be used, as an *Error, or nil.
func refuseKeys(set jws.KeySet, err error, empty string) error {
	switch {
	case errors.Is(err, jws.ErrWeakKey):
		return &Error{
			Reason: v1alpha1.ReasonWeakKey, Endless: true,
			What: "the JWK set has a key that is too weak, such as an RSA key of less than 2048 bits",
		}
	case err != nil:
		return notFetched("the JWK set is not a set of public keys with distinct kids")
	case len(set.Keys) == 0:
		return notFetched("%s", empty)
	}
	return nil
}

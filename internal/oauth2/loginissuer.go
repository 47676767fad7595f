// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "iter"

// LoginIssuers are the trusted issuers at which persons may log in for the clients of a namespace,
// also those that are suspended: a suspension must not send persons to another one.
func LoginIssuers(all iter.Seq[*TrustedIssuer], namespace string) (issuers []*TrustedIssuer) {
	for t := range all {
		if t.Login != nil && t.Uses.Has(UsePerson) && t.Delegates(namespace) {
			issuers = append(issuers, t)
		}
	}
	return issuers
}

// LoginIssuer returns the trusted issuer at which persons log in for the clients of a namespace:
// that of the name, or the only one that the namespace may use if the name is empty. Without one it
// returns the reason. The manager asks it for the status, the token server when a login begins.
func LoginIssuer(all iter.Seq[*TrustedIssuer], namespace, name string) (*TrustedIssuer, Reason) {
	if name == "" {
		issuers := LoginIssuers(all, namespace)
		if len(issuers) != 1 {
			return nil, ReasonLoginNotAvailable
		}
		return issuers[0], ""
	}
	for t := range all {
		switch {
		case t.Name != name:
		case !t.Delegates(namespace):
			return nil, ReasonNotAllowedByIssuer
		case t.Login == nil || !t.Uses.Has(UsePerson):
			return nil, ReasonLoginNotAvailable
		default:
			return t, ""
		}
	}
	return nil, ReasonIssuerNotFound
}

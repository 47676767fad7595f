// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import "time"

// Codes is how a client gets authorization codes, and the refresh tokens that come with them.
type Codes struct {
	// RedirectURIs are where a person may be sent with a code.
	RedirectURIs []string
	// IssuerName is the OAuth2TrustedIssuer at which persons log in; "" means the only one that
	// the namespace may use.
	IssuerName string
	// AskAlways asks the person each time, also where no consent is needed.
	AskAlways bool
	Refresh   Refreshing
}

// Refreshing bounds the refresh tokens of a grant. The zero value gives none.
type Refreshing struct {
	// Lifetime is how long after the login the last refresh token of a grant expires.
	Lifetime time.Duration
	// Idle, if it is not zero, ends a grant that is not refreshed for so long.
	Idle time.Duration
	// Limited means that a grant is refreshed at most Max times.
	Limited bool
	Max     int
}

// Login is how persons log in at a trusted issuer.
type Login struct {
	// ClientID is the client_id of Hallpass at the issuer, and SecretName the Secret in the
	// namespace of login that has the client secret.
	ClientID, SecretName string
	// Scopes are those of the authentication request, openid among them.
	Scopes []string
	// SubjectClaim is the claim that is the subject of a person; "" means sub.
	SubjectClaim string
	// Claims are required of each ID token. Groups, unless it is empty, requires one of these
	// values in GroupsClaim, of which "" means groups.
	Claims      []RequiredClaim
	Groups      []string
	GroupsClaim string
}

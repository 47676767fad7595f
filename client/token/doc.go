// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package token fetches access tokens of Hallpass and keeps them (RFC 6749 section 4.4).
//
// A [Source] authenticates as one client, by a [Credential]: the Secret of an OAuth2Client
// ([Secret]), the token of a pod's service account ([ServiceAccount]), the token of another issuer
// ([Federated], [FederatedFunc]) or a private key ([PrivateKey], [PrivateKeyFile]). It reads the
// files of the credential again for each request, so a rotation needs no restart.
//
//	source, err := token.New(token.Secret("/etc/oauth2"))
//	api := &http.Client{Transport: source.Transport(nil)}
//
// # Renewal
//
// A token is renewed after 60 to 67 percent of its life; the jitter spreads the requests of many
// replicas. Callers get the old token meanwhile. Only if there is no usable token do callers wait.
// However many wait, there is one request. An answer 429 or 503 and a failed connection are tried
// again, at the earliest after Retry-After.
//
// # Rotation
//
// If the token server refuses a credential that was newly read from a file as invalid_client, and
// it accepted the one before less than [WithOverlap] ago, the source tries that one once. The next
// request uses the new one again.
//
// # Errors and secrets
//
// An answer of the token server is an [*Error]. [errors.Is] compares errors with [ErrUnavailable],
// [ErrInvalidClient], [ErrInvalidScope] and [ErrInvalidTarget]. The package logs nothing. A [Token]
// and a [Source] print as REDACTED.
//
// The package imports the standard library and golang.org/x/oauth2.
package token

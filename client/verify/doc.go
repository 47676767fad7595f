// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify verifies access tokens of Hallpass in the API that they are for (RFC 9068 section
// 4). It asks the token server for its keys, and not about each token.
//
//	verifier, err := verify.New("https://hallpass.example.com", audience,
//		verify.WithCAFile("/etc/oauth2/ca.crt"))
//	http.Handle("GET /orders", verifier.Require(orders, "orders.read"))
//
// # Who may call
//
// A verifier accepts tokens of clients that act for themselves: their sub is their client_id. It
// refuses the token of a person unless [AllowUsers] is given, and one of a token exchange unless
// [AllowExchanged] is given. So an API for machines does not begin to accept people on the day on
// which the installation does.
//
// # Keys
//
// The keys are those of the configured issuer, never of one that a token names. They are fetched
// with the first token, kept as long as the answer allows, and renewed while the old ones are used.
// If a token has an unknown kid, the keys are fetched again, at most once in ten seconds. While the
// token server cannot be reached, the last keys count for a day.
//
// # Revocation
//
// Without more, a revoked token is accepted until it expires, for an hour at most. [Verifier.Watch]
// reads the revocation feed. Then [FailOpen] or [FailClosed] has to decide what happens while the
// feed is late; there is no default. What ends with its client, which is suspended or deleted, is
// not in the feed.
//
// The package logs nothing. It imports the standard library and, for Watch, package token.
package verify

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package codegrant decides about authorization codes and refresh tokens: it reads authorization
// requests (RFC 6749 section 4.1.1, OAuth 2.1) with PKCE (RFC 7636) and resource indicators (RFC
// 8707), compares redirect URIs (RFC 8252, RFC 9700), builds answers with iss (RFC 9207), and
// decides whether a code is redeemed and a refresh token is refreshed. What a browser or a client
// carries for the server, tickets, codes and refresh tokens, are values that are encoded here and
// sealed by package seal. The package has no state, no clock and no HTTP.
package codegrant

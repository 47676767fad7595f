// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2 is the protocol and its decisions, as plain values in and values out: client credentials (RFC 6749
// sections 2.3 and 4.4), scopes (section 3.3), errors (section 5.2), access tokens as RFC 9068 has them, and who may
// learn what by introspection (RFC 7662).
//
// Time is an argument and randomness a reader; nothing here knows HTTP, Kubernetes or a log. The token server asks these
// functions about every request, and the controllers use the same ones, so that what a client's status says is what the
// endpoint does.
package oauth2

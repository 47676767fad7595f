// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth2 makes the decisions of the protocol, values in and values out: client credentials
// (RFC 6749 sections 2.3 and 4.4), scopes (section 3.3), errors (section 5.2), access tokens (RFC
// 9068) and introspection (RFC 7662). The token server and the controllers ask the same functions,
// so that the status of a client agrees with the endpoint.
//
// Time is an argument and randomness a reader. It knows no HTTP, Kubernetes or log.
package oauth2

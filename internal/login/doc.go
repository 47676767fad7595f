// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package login has the pages of a login: the authorization endpoint (RFC 6749 section 3.1), the
// consent page, and the address at which the identity provider answers. It is a courier: it carries
// the authorization request and the ID token to the token server, which decides, and the browser to
// the redirect of the token server.
//
// It has no key and no table of sessions. What is known of an attempt is in one cookie of the
// browser, most of it sealed by the token server, so any replica answers any request. It imports
// nothing that reads or makes tokens of Hallpass.
package login

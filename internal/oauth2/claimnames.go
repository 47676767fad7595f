// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"regexp"
	"slices"
	"strings"
)

// writtenClaims are the members of an access token that Hallpass itself writes.
var writtenClaims = []string{ //nolint:gochecknoglobals // a constant list
	"iss", "sub", "aud", "client_id", "client_uid", "scope", "jti", "iat", "exp", "token_uid", "act", "ancestors", "sub_type",
	"grant_id",
}

// ReservedClaims are the names that no client and no policy may choose, in the form of foldName:
// those that Hallpass writes or may write, registered ones about identity or rights, and those that
// widely used readers act on by default.
var ReservedClaims = []string{ //nolint:gochecknoglobals // a constant list
	// Of the token, of introspection and of Envoy's metadata; also those that DESIGN.md keeps
	// for later.
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "clientid", "clientuid", "tokenuid", "scope", "active", "tokentype", "username",
	"subtype", "grantid", "act", "mayact", "actor", "actors", "ancestor", "ancestors", "scopes", "clientnamespace", "clientname",
	"resource", "grant",
	// Registered names (IANA, JSON Web Token Claims).
	"name", "givenname", "familyname", "middlename", "nickname", "preferredusername", "profile", "picture", "website", "email",
	"emailverified", "gender", "birthdate", "zoneinfo", "locale", "phonenumber", "phonenumberverified", "address", "updatedat", "azp",
	"nonce", "authtime", "athash", "chash", "shash", "acr", "amr", "subjwk", "cnf", "events", "toe", "txn", "sid", "authorizationdetails",
	"tokenintrospection", "vc", "vp", "subid", "jwk",
	// What readers act on by default: Keycloak, Entra ID, .NET, Spring, Kubernetes, PostgREST,
	// MinIO, Grafana.
	"scp", "role", "group", "realmaccess", "resourceaccess", "allowedorigins", "typ", "sessionstate", "upn", "oid", "tid", "wids", "idtyp",
	"appid", "azpacr", "appidacr", "uniquename", "nameid", "nameidentifier", "primarysid", "groupsid", "winaccountname", "idp", "actort",
	"authorities", "userid", "user", "uid", "cid", "login", "policy", "kubernetesio",
}

// AuthorizationClaims are allowed only by a policy, and only in this spelling: readers that fold
// names take other spellings for these.
var AuthorizationClaims = []string{"roles", "groups", "entitlements", "permissions"} //nolint:gochecknoglobals // a constant list

// ReservedClaimAuthorities matches names, in lower case, that are URIs of these hosts or begin with
// these prefixes: their readers act on them. The CRDs have the same expression.
const ReservedClaimAuthorities = `^(([^/:]*:/*)?([^/:]*[.])?` +
	`(hallpass[.]dev|kubernetes[.]io|k8s[.]io|schemas[.]xmlsoap[.]org|schemas[.]microsoft[.]com|docs[.]oasis-open[.]org|` +
	`aws[.]amazon[.]com|sts[.]amazonaws[.]com|hasura[.]io)` +
	`[.]?([/:]|$)|(cognito|urn:zitadel|urn:oasis|urn:ietf|urn:hallpass):)`

var reservedAuthorities = regexp.MustCompile(ReservedClaimAuthorities)

// nameClass is the class of the name of a custom claim.
type nameClass int

const (
	// reservedName is refused regardless of policies.
	reservedName nameClass = iota
	// plainName needs a policy that allows it.
	plainName
	// resistantName is collision-resistant (RFC 7519 section 4.2): it has a slash or a colon,
	// and needs no policy.
	resistantName
)

// classify returns the class of a name.
func classify(name string) nameClass {
	folded := foldName(name)
	switch {
	case !validClaimName(name), slices.Contains(ReservedClaims, folded), reservedAuthorities.MatchString(strings.ToLower(name)),
		slices.Contains(AuthorizationClaims, folded) && folded != name:
		return reservedName
	case strings.ContainsAny(name, "/:"):
		return resistantName
	default:
		return plainName
	}
}

// foldName returns the form by which a reader may compare names: lower case without separators. The
// two non-ASCII letters are those that encoding/json takes for ASCII.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case strings.ContainsRune("-_./:", r):
			return -1
		case r == '\u017f': // ſ
			return 's'
		case r == '\u212a': // K
			return 'k'
		}
		return r
	}, name)
}

// validClaimName reports whether a name matches the CRD's rule: a letter, then letters, digits and
// the characters -_.:/ only.
func validClaimName(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (name[i] < '0' || '9' < name[i]) && strings.IndexByte("-_./:", name[i]) < 0) {
			return false
		}
	}
	return name != ""
}

// confusable reports whether a reader that folds names takes this one for one that Hallpass writes.
func confusable(name string) bool {
	folded := foldName(name)
	return !strings.ContainsAny(name, "/:") && slices.ContainsFunc(writtenClaims, func(written string) bool { return name != written && folded == foldName(written) })
}

// ownsClaim reports whether the name of a claim is a URI of the issuer's host.
func (i Issuer) ownsClaim(name string) bool {
	_, host, _ := strings.Cut(i.origin, "://")
	host, _, _ = strings.Cut(host, ":")
	host = strings.TrimSuffix(host, ".")
	name = strings.ToLower(name)
	_, rest, _ := strings.Cut(name, ":")
	return beginsWithHost(name, host) || beginsWithHost(strings.TrimLeft(rest, "/"), host)
}

func beginsWithHost(s, host string) bool {
	rest, found := strings.CutPrefix(s, host)
	rest = strings.TrimPrefix(rest, ".")
	return found && (rest == "" || rest[0] == '/' || rest[0] == ':')
}

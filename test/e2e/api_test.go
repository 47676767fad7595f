// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestTheAPIServerRefusesBadSpecs sends each rule something that it refuses, with the sentence that
// the user sees, and the nearest thing that it accepts.
func TestTheAPIServerRefusesBadSpecs(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "specs"}}
	if err := cluster.Create(t.Context(), namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	long := func(n int) string { return strings.Repeat("a", n) }
	const tooLong = "maxAssertionLifetime above 10m requires JWTBearer in grantTypes: a client assertion may live for 10m at most"
	list := func(n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf("s%d", i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	named := func(n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf("{name: c%d, value: v}", i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	pairs := func(n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf("k%d: v", i))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	const (
		lifetime = "tokenLifetime must be between 1m and 1h in whole seconds, such as 30m"
		duration = "a duration is written in whole hours, minutes and seconds of at most six digits each, such as 1h, 90m or 1h30m"
		scope    = "a scope is printable ASCII without spaces, quotation marks and backslashes (RFC 6749 section 3.3)"
		entry    = "the name of an entry has letters, digits, '-', '_' and '.' only; it is not '.' and does not begin with '..'"
		domains  = "s in the domains kubernetes.io, k8s.io and hallpass.dev cannot be set on the Secret"
		distinct = "two entries of the Secret would have the same name; entries that secret.keys does not rename keep their default names"
		claim    = "this claim name is reserved"
		noSecret = "with source Existing, a template is rendered into a ConfigMap, which has no client secret"
		uri      = "a clientID with a colon is an https: or urn: URI"
		prefix   = "clientID must not begin with user: or system:"
		overlap  = "rotation.interval must be at least a minute longer than rotation.overlap, which is 24h if it is left out"
	)
	for spec, message := range map[string]string{
		"{}":                          "",
		"displayName: ''":             "should be at least 1 chars long",
		"displayName: " + long(100):   "",
		"displayName: " + long(101):   "may not be more than 100",
		"description: " + long(2000):  "",
		"description: " + long(2001):  "may not be more than 2000",
		"scopes: []":                  "should have at least 1 items",
		"scopes: " + list(64):         "",
		"scopes: " + list(65):         "must have at most 64 items",
		"scopes: [a, a]":              "Duplicate value",
		"scopes: ['']":                "should be at least 1 chars long",
		"scopes: [" + long(128) + "]": "",
		"scopes: [" + long(129) + "]": "may not be more than 128",
		"scopes: ['!#[]~:/?']":        "",
		"scopes: ['a b']":             scope,
		`scopes: ['a"b']`:             scope,
		`scopes: ['a\b']`:             scope,
		"scopes: ['ä']":               scope,
		"tokenLifetime: 1m":           "",
		"tokenLifetime: 59s":          lifetime,
		"tokenLifetime: 1h":           "",
		"tokenLifetime: 1h1s":         lifetime,
		"tokenLifetime: 90":           "must be of type string",
		"tokenLifetime: '90'":         duration,
		"tokenLifetime: 1.5h":         duration,
		"tokenLifetime: an hour":      duration,
		"tokenLifetime: -30m":         duration,
		"tokenLifetime: 90000ms":      duration,
		// more than CEL can count in
		"tokenLifetime: 999999999999999h":                                                          duration,
		"tokenLifetime: 999999h999999h":                                                            lifetime,
		"tokenLifetime: 000h000h0000030m":                                                          duration,
		"tokenLifetime: 0000h000h000030m":                                                          "",
		"tokenLifetime: 1h0m0s":                                                                    "",
		"tokenLifetime: 0000h0000h000030m":                                                         "may not be more than 16",
		"state: Suspended":                                                                         "",
		"tokenSigningAlgorithm: RS256":                                                             "",
		"tokenSigningAlgorithm: Ed25519":                                                           "",
		"tokenSigningAlgorithm: EdDSA":                                                             "",
		"tokenSigningAlgorithm: PS256":                                                             `supported values: "ES256", "RS256", "EdDSA", "Ed25519"`,
		"tokenSigningAlgorithm: none":                                                              `supported values: "ES256", "RS256", "EdDSA", "Ed25519"`,
		"tokenSigningAlgorithm: HS256":                                                             `supported values: "ES256", "RS256", "EdDSA", "Ed25519"`,
		"state: suspended":                                                                         `supported values: "Active", "Suspended"`,
		"secret: {name: a.b-c}":                                                                    "",
		"secret: {name: ''}":                                                                       "should be at least 1 chars long",
		"secret: {name: kube-system/token}":                                                        "secret.name must be a valid Secret name: lower-case letters, digits, '-' and '.'",
		"secret: {type: kubernetes.io/service-account-token}":                                      "unknown field",
		"secret: {labels: {}}":                                                                     "should have at least 1 properties",
		"secret: {labels: " + pairs(16) + "}":                                                      "",
		"secret: {labels: " + pairs(17) + "}":                                                      "must have at most 16 items",
		"secret: {annotations: {}}":                                                                "should have at least 1 properties",
		"secret: {annotations: " + pairs(16) + "}":                                                 "",
		"secret: {annotations: " + pairs(17) + "}":                                                 "must have at most 16 items",
		"secret: {annotations: {a/b/c: x}}":                                                        "the name of an annotation is like app or example.com/app: letters, digits, '-', '_' and '.'",
		"secret: {annotations: {x.k8s.io/a: x}}":                                                   "annotation" + domains,
		"secret: {annotations: {a: " + long(1024) + "}}":                                           "",
		"secret: {labels: {kubernetes.io/name: x}}":                                                "label" + domains,
		"secret: {labels: {mykubernetes.io/name: x}}":                                              "",
		"secret: {labels: {kubernetes.io.example.com/name: x}}":                                    "",
		"secret: {labels: {hallpassxdev/name: x}}":                                                 "",
		"secret: {labels: {team: " + long(63) + "}}":                                               "",
		"secret: {labels: {team: " + long(64) + "}}":                                               "may not be more than 63",
		"secret: {name: A}":                                                                        "secret.name must be a valid Secret name: lower-case letters, digits, '-' and '.'",
		"secret: {name: " + long(254) + "}":                                                        "may not be more than 253",
		"secret: {keys: {clientID: CLIENT_ID}}":                                                    "",
		"secret: {keys: {clientID: 'a b'}}":                                                        entry,
		"secret: {keys: {}}":                                                                       "should have at least 1 properties",
		"secret: {keys: {clientID: ''}}":                                                           "should be at least 1 chars long",
		"secret: {keys: {clientID: ../id}}":                                                        entry,
		"secret: {keys: {clientID: .}}":                                                            entry,
		"secret: {keys: {clientID: ..}}":                                                           entry,
		"secret: {keys: {clientID: ..id}}":                                                         entry,
		"secret: {keys: {clientID: .id}}":                                                          "",
		"secret: {keys: {clientID: " + long(253) + "}}":                                            "",
		"secret: {keys: {clientID: " + long(254) + "}}":                                            "may not be more than 253",
		"secret: {keys: {clientID: client_secret}}":                                                distinct,
		"secret: {keys: {issuerURL: token_url}}":                                                   distinct,
		"secret: {keys: {tokenURL: issuer_url}}":                                                   distinct,
		"secret: {keys: {jwksURL: introspection_url}}":                                             distinct,
		"secret: {keys: {introspectionURL: jwks_url}}":                                             distinct,
		"secret: {keys: {scope: ca.crt}}":                                                          distinct,
		"secret: {keys: {caCertificate: client_id}}":                                               distinct,
		"secret: {keys: {scope: ca.crt, caCertificate: scope}}":                                    "",
		"secret: {keys: {clientID: scope}}":                                                        distinct,
		"secret: {keys: {clientID: a, clientSecret: a}}":                                           distinct,
		"secret: {keys: {clientID: client_secret, clientSecret: a}}":                               "",
		"secret: {labels: {example.com/team: shop}}":                                               "",
		"secret: {labels: {app.kubernetes.io/name: shop}}":                                         "",
		"secret: {labels: {app.kubernetes.io/version: v1}}":                                        "",
		"secret: {labels: {app.kubernetes.io/component: jobs}}":                                    "",
		"secret: {labels: {app.kubernetes.io/part-of: shop}}":                                      "",
		"secret: {labels: {app.kubernetes.io/managed-by: Helm}}":                                   "label" + domains,
		"secret: {labels: {app.kubernetes.io/instance: shop}}":                                     "label" + domains,
		"secret: {labels: {app.kubernetes.io/name.a: shop}}":                                       "label" + domains,
		"secret: {labels: {hallpass.dev/client: shop}}":                                            "label" + domains,
		"secret: {labels: {x.k8s.io/a: shop}}":                                                     "label" + domains,
		"secret: {labels: {'a b': shop}}":                                                          "the name of a label is like app or example.com/app: letters, digits, '-', '_' and '.'",
		"secret: {labels: {team: 'a b'}}":                                                          "the value of a label is letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
		"secret: {annotations: {example.com/reload: 'yes please'}}":                                "",
		"secret: {annotations: {kubernetes.io/service-account.name: admin}}":                       "annotation" + domains,
		"secret: {annotations: {hallpass.dev/client: other}}":                                      "annotation" + domains,
		"secret: {annotations: {a: " + long(1025) + "}}":                                           "may not be more than 1024",
		"contacts: [shop-oncall@example.com, 'https://chat.example.com/shop', 'tel:+49-30-1']":     "",
		"contacts: [the shop team]":                                                                "a contact is an e-mail address, or a URI",
		"contacts: ['a@b@c']":                                                                      "a contact is an e-mail address, or a URI",
		"contacts: [a@b, a@b]":                                                                     "Duplicate value",
		"secret: {keys: {resource: AUDIENCE}}":                                                     "",
		"secret: {keys: {scope: resource}}":                                                        "",
		"secret: {keys: {scope: a, resource: a}}":                                                  distinct,
		"secret: {keys: {internalTokenURL: TOKEN_URL}}":                                            "",
		"secret: {keys: {resource: a, internalTokenURL: a}}":                                       distinct,
		"secret: {omit: [InternalTokenURL]}":                                                       "",
		"secret: {omit: [Resource]}":                                                               "",
		"secret: {source: Existing, keys: {resource: AUDIENCE}}":                                   "",
		"clientID: LfXJilIBdzj5JPRn4xb5QQ..":                                                       "",
		"clientID: 0d2f1c9e-7a4b-4e61-9c3d-5b8f2a6e1740":                                           "",
		"clientID: shop.reporting":                                                                 "",
		"clientID: 123-abc.apps.googleusercontent.com":                                             "",
		"clientID: 'https://orders.example.com:8443/a?b=[c]'":                                      "",
		"clientID: 'urn:example:orders'":                                                           "",
		"clientID: 'spn:orders'":                                                                   uri,
		"clientID: 'https:orders'":                                                                 uri,
		"clientID: 'HTTPS://orders.example.com'":                                                   uri,
		"clientID: 'https://orders.example.com/*'":                                                 uri,
		"clientID: 'https://'":                                                                     uri,
		"clientID: 'urn:'":                                                                         uri,
		"clientID: 'user:corp:alice'":                                                              prefix,
		"clientID: 'User:corp:alice'":                                                              prefix,
		"clientID: 'SYSTEM:serviceaccount:shop:app'":                                               prefix,
		"clientID: 'user%3Aalice'":                                                                 prefix,
		"clientID: '%55ser%3aalice'":                                                               prefix,
		"clientID: 'user%25253Aalice'":                                                             prefix,
		"clientID: 'system%3Aserviceaccount%3Ashop%3Ax'":                                           prefix,
		"clientID: '%73%79%73%74%65%6D%3Aadmin'":                                                   prefix,
		"clientID: 'users%3Aalice'":                                                                "",
		"clientID: 'a b'":                                                                          "clientID is printable ASCII without spaces",
		"clientID: " + long(256):                                                                   "may not be more than 255",
		"secret: {source: Existing}":                                                               "",
		"secret: {source: Existing, keys: {clientSecret: value}}":                                  "",
		"secret: {source: Existing, labels: {a: b}}":                                               "",
		"secret: {source: Existing, deletionPolicy: Retain}":                                       "deletionPolicy is for Secrets that Hallpass writes",
		"secret: {source: Existing, keys: {scope: SCOPE}}":                                         "",
		"secret: {source: Existing, template: {.env: 'ID=$(client_id) $(ca.crt)'}}":                "",
		"secret: {source: Existing, template: {.env: 'S=$$(client_secret)'}}":                      "",
		"secret: {source: Existing, template: {.env: '$(client_secret)'}}":                         noSecret,
		"secret: {source: Existing, template: {.env: 'S=$$$(client_secret)'}}":                     noSecret,
		"secret: {source: Existing, template: {a: x, b: \"x\\n$(client_secret)\"}}":                noSecret,
		"secret: {source: Generated, template: {.env: '$(client_secret)'}}":                        "",
		"secret: {source: existing}":                                                               `supported values: "Generated", "Existing"`,
		"{secret: {source: Existing}, rotation: {interval: 48h}}":                                  "rotation.interval is for Secrets that Hallpass writes",
		"{secret: {source: Existing}, rotation: {overlap: 1h}}":                                    "",
		"secret: {omit: [Scope]}":                                                                  "",
		"secret: {omit: [ClientID]}":                                                               "Unsupported value",
		"secret: {template: {.env: 'ID=$(client_id)'}}":                                            "",
		"secret: {template: {'a b': x}}":                                                           entry,
		"secret: {template: {..: x}}":                                                              entry,
		"secret: {template: {a: ''}}":                                                              "should be at least 1 chars long",
		"rotation: {interval: 720h, overlap: 24h}":                                                 "",
		"rotation: {interval: 24h1m}":                                                              "",
		"rotation: {}":                                                                             "should have at least 1 properties",
		"rotation: {interval: 1h, overlap: 0s}":                                                    "",
		"rotation: {interval: 8760h}":                                                              "",
		"rotation: {overlap: 2160h}":                                                               "",
		"rotation: {overlap: 48h, retireWhenUnusedFor: 24h}":                                       "",
		"rotation: {retireWhenUnusedFor: 23h59m}":                                                  "",
		"rotation: {retireWhenUnusedFor: 24h}":                                                     "rotation.retireWhenUnusedFor must be shorter than rotation.overlap, which is 24h",
		"rotation: {overlap: 6h, retireWhenUnusedFor: 12h}":                                        "rotation.retireWhenUnusedFor must be shorter than rotation.overlap",
		"rotation: {overlap: 48h, retireWhenUnusedFor: 59m}":                                       "rotation.retireWhenUnusedFor must be between 1h and 168h (a week)",
		"rotation: {overlap: 2160h, retireWhenUnusedFor: 168h1s}":                                  "rotation.retireWhenUnusedFor must be between 1h and 168h (a week)",
		"rotation: {overlap: 48h, retireWhenUnusedFor: soon}":                                      "rotation.retireWhenUnusedFor",
		"rotation: {overlap: 2160h1s}":                                                             "rotation.overlap must be at most 2160h (90 days)",
		"rotation: {interval: daily}":                                                              duration,
		"rotation: {interval: 720h, overlap: 1d}":                                                  duration,
		"rotation: {interval: 999999999999999h}":                                                   duration,
		"rotation: {interval: 24h59s}":                                                             overlap,
		"rotation: {interval: 24h}":                                                                overlap,
		"rotation: {interval: 2h, overlap: 1h59m}":                                                 "",
		"rotation: {interval: 2h, overlap: 1h59m1s}":                                               overlap,
		"rotation: {interval: 59m, overlap: 0s}":                                                   "rotation.interval must be between 1h and 8760h (a year)",
		"rotation: {interval: 8761h}":                                                              "rotation.interval must be between 1h and 8760h (a year)",
		"rotation: {overlap: 0s}":                                                                  "",
		"rotation: {overlap: 2161h}":                                                               "rotation.overlap must be at most 2160h (90 days)",
		"rotation: {overlap: 1d}":                                                                  duration,
		"claims: [{name: tier, value: gold}, {name: 'https://example.com/teams', values: [a, b]}]": "",
		"claims: " + named(16):                                                                     "",
		"claims: " + named(17):                                                                     "must have at most 16 items",
		"claims: []":                                                                               "should have at least 1 items",
		"claims: [{name: tier}]":                                                                   "a claim has either a value or values",
		"claims: [{name: tier, value: a, values: [b]}]":                                            "a claim has either a value or values",
		"claims: [{name: tier, value: a}, {name: tier, value: b}]":                                 "Duplicate value",
		"claims: [{name: sub, value: admin}]":                                                      claim,
		"claims: [{name: Sub, value: admin}]":                                                      claim,
		// left out unless a policy allows it
		"claims: [{name: groups, values: ['system:masters']}]":                   "",
		"claims: [{name: Groups, values: ['system:masters']}]":                   "write roles, groups, entitlements and permissions exactly like this",
		"claims: [{name: 'cognito:groups', value: admin}]":                       "claim names with this host or prefix are reserved",
		"claims: [{name: client_uid, value: a}]":                                 claim,
		"claims: [{name: clientUID, value: a}]":                                  claim,
		"claims: [{name: 'a b', value: a}]":                                      "the name of a claim begins with a letter, and has letters, digits, '_', '-', '.', ':' and '/' only",
		`claims: [{name: a, value: 'a"b'}]`:                                      "the value of a claim is printable ASCII without quotation marks and backslashes",
		"claims: [{name: a, values: ['ä']}]":                                     "the value of a claim is printable ASCII without quotation marks and backslashes",
		"claims: [{name: ab, values: [" + long(1023) + ", " + long(1023) + "]}]": "",
		"claims: [{name: ab, values: [" + long(1023) + ", " + long(1024) + "]}]": "claims must be at most 2048 characters in all, names and values",
		"authentication: {method: ClientSecret}":                                 "",
		"authentication: {method: PrivateKeyJWT}":                                "set privateKeyJWT if and only if method is PrivateKeyJWT",
		"authentication: {privateKeyJWT: {jwks: '{}'}}":                          "set privateKeyJWT if and only if method is PrivateKeyJWT",
		"grantTypes: []":                                                    "should have at least 1 items",
		"grantTypes: [ClientCredentials]":                                   "",
		"grantTypes: [ClientCredentials, ClientCredentials]":                "Duplicate value",
		"grantTypes: [Password]":                                            `supported values: "ClientCredentials", "JWTBearer"`,
		"grantTypes: [JWTBearer]":                                           "",
		"{grantTypes: [JWTBearer], authentication: {method: ClientSecret}}": "",
		"{grantTypes: [ClientCredentials, JWTBearer], authentication: {method: ServiceAccount, serviceAccount: {name: worker}}}": "",
		"authentication: {method: Password}": `supported values: "ClientSecret", "PrivateKeyJWT", "ServiceAccount"`,
		"authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}', maxAssertionLifetime: 10m}}":                                    "",
		"authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}', maxAssertionLifetime: 601s}}":                                   tooLong,
		"{grantTypes: [ClientCredentials], authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}', maxAssertionLifetime: 30m}}}": tooLong,
		"{grantTypes: [JWTBearer], authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}', maxAssertionLifetime: 30m}}}":         "",
		"{grantTypes: [JWTBearer], authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}', maxAssertionLifetime: 1801s}}}":       "maxAssertionLifetime must be between 1m and 30m in whole seconds, such as 5m",
		"authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}', maxAssertionLifetime: 59s}}":                                    "maxAssertionLifetime must be between 1m and 30m in whole seconds, such as 5m",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"keys":[]}'}}`:                                                      "",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"d" :"AAAA"}'}}`:                                                    "jwks must hold public keys only",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"k":"AAAA"}'}}`:                                                     "jwks must hold public keys only",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"n":"` + long(683) + `","e":"AQAB"}'}}`:                             "",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"n" : "` + long(684) + `"}'}}`:                                      "jwks must not hold an RSA key of more than 4096 bits",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"e":"Aw"}'}}`:                                                       "jwks must not hold an RSA key with another exponent than 65537",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"e" : "AQABAQ"}'}}`:                                                 "jwks must not hold an RSA key with another exponent than 65537",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"e":""}'}}`:                                                         "jwks must not hold an RSA key with another exponent than 65537",
		`authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{"e":"AQA"}'}}`:                                                      "jwks must not hold an RSA key with another exponent than 65537",
		"authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: " + long(16385) + "}}":                                                "may not be more than 16384",
		"{authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}'}}, rotation: {overlap: 0s}}":                                    "leave out rotation, secret.keys.clientSecret and secret.source Existing",
		"{authentication: {method: PrivateKeyJWT, privateKeyJWT: {jwks: '{}'}}, secret: {keys: {clientSecret: a}}}":                          "leave out rotation, secret.keys.clientSecret and secret.source Existing",
		"authentication: {method: ServiceAccount, serviceAccount: {name: worker}}":                                                           "",
		"authentication: {method: ServiceAccount}":                                                                                           "set serviceAccount if and only if method is ServiceAccount",
		"authentication: {serviceAccount: {name: worker}}":                                                                                   "set serviceAccount if and only if method is ServiceAccount",
		"authentication: {method: PrivateKeyJWT, serviceAccount: {name: worker}}":                                                            "set serviceAccount if and only if method is ServiceAccount",
		"authentication: {method: ServiceAccount, serviceAccount: {name: worker}, privateKeyJWT: {jwks: '{}'}}":                              "set privateKeyJWT if and only if method is PrivateKeyJWT",
		"authentication: {method: ServiceAccount, serviceAccount: {}}":                                                                       "spec.authentication.serviceAccount.name: Required value",
		"authentication: {method: ServiceAccount, serviceAccount: {name: worker, namespace: other}}":                                         "unknown field",
		"authentication: {method: ServiceAccount, serviceAccount: {name: other/worker}}":                                                     "must be the name of a ServiceAccount of this namespace",
		"authentication: {method: ServiceAccount, serviceAccount: {name: 'system:serviceaccount:other:worker'}}":                             "must be the name of a ServiceAccount of this namespace",
		"{authentication: {method: ServiceAccount, serviceAccount: {name: worker}}, rotation: {interval: 48h}}":                              "leave out rotation, secret.keys.clientSecret and secret.source Existing",
		"{authentication: {method: ServiceAccount, serviceAccount: {name: worker}}, secret: {source: Existing}}":                             "leave out rotation, secret.keys.clientSecret and secret.source Existing",
		"{authentication: {method: ServiceAccount, serviceAccount: {name: worker}}, secret: {keys: {clientSecret: a}}}":                      "leave out rotation, secret.keys.clientSecret and secret.source Existing",
		"{authentication: {method: ServiceAccount, serviceAccount: {name: worker}}, secret: {name: a, omit: [JWKSURL]}}":                     "",
		"unknown: field": "unknown field",
		"revokeTokensIssuedBefore: '2026-11-23T12:00:00Z'": "",
		"revokeTokensIssuedBefore: '2199-11-23T12:00:00Z'": "",
		"revokeTokensIssuedBefore: '1999-11-23T12:00:00Z'": "revokeTokensIssuedBefore is too early: there is no older token",
		"revokeTokensIssuedBefore: now":                    "must be of type date-time",
	} {
		t.Run(spec[:min(len(spec), 60)], func(t *testing.T) {
			var fields map[string]any
			if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
				t.Fatal(err)
			}
			object := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "hallpass.dev/v1alpha1", "kind": "OAuth2Client",
				"metadata": map[string]any{"namespace": "specs", "generateName": "spec-"}, "spec": fields,
			}}
			err := cluster.Create(t.Context(), object, client.DryRunAll, client.FieldValidation("Strict"))
			if message == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if message != "" && (err == nil || !strings.Contains(err.Error(), message)) {
				t.Errorf("%v, want a refusal that says %q", err, message)
			}
			if err != nil && strings.Contains(err.Error(), "evaluating rule") {
				t.Errorf("a rule broke down instead of saying what is wrong: %v", err)
			}
		})
	}
}

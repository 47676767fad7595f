// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/answer"
	"github.com/hallpass-dev/hallpass/internal/auth"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// publicMaxAge is how long verifiers may keep keys and metadata; keys are published longer than
// that before they sign.
const publicMaxAge = 15 * time.Minute

// keysEndpoint publishes the keys: RFC 7517 section 5.
type keysEndpoint struct{ keys auth.Memory }

func (e keysEndpoint) serve(_ *http.Request, in request) (answer.Answer, auth.Trail, error) {
	return answer.Public("application/jwk-set+json", e.keys.Ring().JWKS(in.at), publicMaxAge), auth.Trail{}, nil
}

// metadataDocument is that of RFC 8414, which OpenID Connect discovery clients read too: for them
// it names what strict ones look for. Where no people are served, no grant type uses the
// authorization endpoint or a code challenge, but SDKs of the Model Context Protocol refuse
// metadata without them before they ask for a token. That no code is issued stands in the response
// types. Scopes are not in it: they would list the APIs of the cluster publicly, and each
// resource's own document has them (RFC 9728).
type metadataDocument struct {
	Issuer                   string              `json:"issuer"`
	AuthorizationEndpoint    string              `json:"authorization_endpoint"`
	TokenEndpoint            string              `json:"token_endpoint"`
	IntrospectionEndpoint    string              `json:"introspection_endpoint"`
	RevocationEndpoint       string              `json:"revocation_endpoint"`
	JWKSURI                  string              `json:"jwks_uri"`
	GrantTypes               []string            `json:"grant_types_supported"`
	GrantProfiles            []string            `json:"authorization_grant_profiles_supported"`
	ResponseTypes            []string            `json:"response_types_supported"`
	CodeChallengeMethods     []string            `json:"code_challenge_methods_supported"`
	SubjectTypes             []string            `json:"subject_types_supported"`
	TokenAuthMethods         []oauth2.AuthMethod `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgorithms      []jws.Algorithm     `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods []oauth2.AuthMethod `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgorithms  []jws.Algorithm     `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods    []oauth2.AuthMethod `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgorithms []jws.Algorithm     `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IDTokenAlgorithms        []jws.Algorithm     `json:"id_token_signing_alg_values_supported"`
	AccessTokenAlgorithms    []jws.Algorithm     `json:"access_token_signing_alg_values_supported"`
	// RFC 9701 section 7
	IntrospectionSigning []jws.Algorithm `json:"introspection_signing_alg_values_supported"`
	// RFC 9207 section 3
	ResponseIssuer bool `json:"authorization_response_iss_parameter_supported,omitempty"`
	// ResponseModes are left out without login. RFC 8414 section 2 takes query and fragment
	// then.
	ResponseModes []string `json:"response_modes_supported,omitempty"`
	// draft-ietf-oauth-client-id-metadata-document section 5
	MetadataClients bool `json:"client_id_metadata_document_supported,omitempty"`
}

// metadataFresh is how long the rendered document is sent again: nothing beside the fifteen minutes
// that its readers keep it.
const metadataFresh = time.Second

// metadataEndpoint is one document at two places: RFC 8414 section 3 and OpenID Connect Discovery
// 1.0 section 4.
type metadataEndpoint struct {
	issuer   oauth2.Issuer
	keys     auth.Memory
	loginURL string
	password bool // whether the grant type password is served
	rendered atomic.Pointer[renderedMetadata]
}

// renderedMetadata is the document as it was at an instant.
type renderedMetadata struct {
	at   time.Time
	body []byte
}

func (e *metadataEndpoint) serve(_ *http.Request, in request) (answer.Answer, auth.Trail, error) {
	last := e.rendered.Load()
	if last == nil || in.at.Before(last.at) || in.at.Sub(last.at) >= metadataFresh {
		body, err := json.Marshal(e.document())
		if err != nil {
			return answer.Answer{}, auth.Trail{}, fmt.Errorf("render the metadata: %w", err)
		}
		last = &renderedMetadata{in.at, body}
		e.rendered.Store(last)
	}
	return answer.Public(answer.JSON, last.body, publicMaxAge), auth.Trail{}, nil
}

func (e *metadataEndpoint) document() metadataDocument {
	methods := []oauth2.AuthMethod{oauth2.ClientSecretBasic, oauth2.ClientSecretPost, oauth2.PrivateKeyJWT}
	assertions := []jws.Algorithm{jws.ES256, jws.RS256, jws.PS256, jws.EdDSA, jws.Ed25519}
	algorithms := e.keys.Ring().Algorithms()
	document := metadataDocument{
		Issuer:                e.issuer.String(),
		AuthorizationEndpoint: e.issuer.URL(oauth2.AuthorizationPath),
		TokenEndpoint:         e.issuer.URL(oauth2.TokenPath),
		IntrospectionEndpoint: e.issuer.URL(oauth2.IntrospectionPath),
		RevocationEndpoint:    e.issuer.URL(oauth2.RevocationPath),
		JWKSURI:               e.issuer.URL(oauth2.JWKSPath),
		GrantTypes:            oauth2.SupportedGrantTypes(e.loginURL != "", e.password),
		GrantProfiles:         []string{oauth2.IdentityAssertionProfile},
		// required, and must not be empty (RFC 8414 section 3.2)
		ResponseTypes: []string{"none"},
		// RFC 7636 section 4.2; plain is none that OAuth 2.1 clients accept
		CodeChallengeMethods:     []string{"S256"},
		SubjectTypes:             []string{"public"},
		TokenAuthMethods:         methods,
		TokenAuthAlgorithms:      assertions,
		IntrospectionAuthMethods: methods,
		IntrospectionAlgorithms:  assertions,
		RevocationAuthMethods:    methods,
		RevocationAuthAlgorithms: assertions,
		IDTokenAlgorithms:        algorithms,
		AccessTokenAlgorithms:    algorithms,
		IntrospectionSigning:     algorithms,
	}
	if e.loginURL != "" {
		public := append(slices.Clone(methods), oauth2.NoAuthentication)
		document.AuthorizationEndpoint = e.loginURL + oauth2.AuthorizationPath
		document.ResponseTypes, document.ResponseIssuer = []string{"code"}, true
		document.ResponseModes = []string{"query"}
		document.TokenAuthMethods, document.RevocationAuthMethods = public, public
		document.MetadataClients = e.keys.MetadataClients()
	}
	return document
}

// resourceDocument describes a declared resource to its clients: RFC 9728 section 2. It is public,
// as the API is.
type resourceDocument struct {
	Resource             string   `json:"resource"`
	Name                 string   `json:"resource_name,omitempty"`
	AuthorizationServers []string `json:"authorization_servers"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
}

// resourceEndpoint serves the document of the resource in the path. A resource that has an
// identifier of its own is found under the same path: its owner's server forwards its well-known
// path to here.
type resourceEndpoint struct {
	issuer    oauth2.Issuer
	resources oauth2.Resources
}

func (e resourceEndpoint) serve(r *http.Request, in request) (answer.Answer, auth.Trail, error) {
	resource := e.resources.Resource(oauth2.ObjectName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")})
	if resource == nil {
		return notFound.serve(r, in)
	}
	body, err := json.Marshal(resourceDocument{
		Resource:             resource.Identifier,
		Name:                 resource.DisplayName,
		AuthorizationServers: []string{e.issuer.String()},
		Scopes:               resource.Scopes,
		BearerMethods:        []string{"header"},
	})
	if err != nil {
		return answer.Answer{}, auth.Trail{}, fmt.Errorf("render the metadata of resource %s: %w", resource.Identifier, err)
	}
	return answer.Public(answer.JSON, body, publicMaxAge), auth.Trail{}, nil
}

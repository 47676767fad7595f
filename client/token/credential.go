// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package token

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Credential is how a client proves who it is. This package has all of them.
type Credential interface {
	// read reads the files, or asks for the token. It is called before each request.
	read(ctx context.Context, o *options) (reading, error)
}

// reading is a credential as it was read.
type reading struct {
	settings

	proof proof
}

// settings are what a request needs beside a credential.
type settings struct {
	clientID string
	tokenURL string
	issuer   string
	// ca has the authorities in PEM; nil stands for those of the system.
	ca []byte
}

// proof authenticates requests.
type proof struct {
	// id differs between two contents of the files.
	id [sha256.Size]byte
	// apply adds the credential to a request. It is a function, so that no printed struct shows
	// a secret.
	apply func(form url.Values, header http.Header, to recipient) error
	// dated means that the proof depends on the clocks of client and server.
	dated bool
}

// recipient is the server that a proof is for.
type recipient struct {
	issuer string
	now    time.Time // by the clock of the server
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Secret is the client secret in a mounted Secret of an OAuth2Client. The Secret has to be mounted
// as a directory: one that is mounted with subPath never changes.
func Secret(dir string) Credential { return secretCredential(dir) }

type secretCredential string

func (dir secretCredential) read(_ context.Context, o *options) (reading, error) {
	file, err := readDir(string(dir), "client_secret")
	if err != nil {
		return reading{}, err
	}
	r := reading{settings: settingsOf(file)}
	secret := file["client_secret"]
	if r.clientID == "" || secret == "" {
		return reading{}, credentialError("%s has no client_id or no client_secret: mount the Secret of the OAuth2Client there", string(dir))
	}
	// RFC 6749 section 2.3.1
	user, password := url.QueryEscape(r.clientID), url.QueryEscape(secret)
	r.proof = proof{id: digest("secret", r.clientID, secret), apply: func(_ url.Values, header http.Header, _ recipient) error {
		basic := &http.Request{Header: header}
		basic.SetBasicAuth(user, password)
		return nil
	}}
	return o.complete(r)
}

// ServiceAccount is the projected token of a pod's service account, for an OAuth2Client of the
// method ServiceAccount. Its audience is the issuer. The directory is where the client's ConfigMap
// is mounted.
func ServiceAccount(tokenFile, configDir string) Credential {
	return assertionCredential{fetch: inFile(tokenFile), dir: configDir}
}

// Federated is a token of another issuer in a file, for an OAuth2Client of the method
// FederatedToken. Combine it with WithConfig or WithIssuer. If clientID is empty, it is client_id
// of the directory.
func Federated(tokenFile, clientID string) Credential {
	return assertionCredential{fetch: inFile(tokenFile), clientID: clientID}
}

// FederatedFunc is Federated with a token that a function returns, such as one that asks the
// Workload API of SPIFFE or the metadata server of a platform. It is called before each request,
// possibly by several goroutines at once.
func FederatedFunc(fetch func(context.Context) (string, error), clientID string) Credential {
	return assertionCredential{fetch: fetch, clientID: clientID}
}

// inFile reads a token from a file.
func inFile(file string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", err //nolint:wrapcheck // the caller adds what was read
		}
		token := strings.TrimSpace(string(content))
		if token == "" {
			return "", errors.New(file + " is empty")
		}
		return token, nil
	}
}

// assertionCredential is a JWT that another issuer renews (RFC 7523 section 2.2).
type assertionCredential struct {
	fetch         func(context.Context) (string, error)
	dir, clientID string
}

func (c assertionCredential) read(ctx context.Context, o *options) (reading, error) {
	r, err := readSettings(cmp.Or(c.dir, o.configDir))
	if err != nil {
		return reading{}, err
	}
	r.clientID = cmp.Or(c.clientID, r.clientID)
	assertion, err := c.fetch(ctx)
	if err != nil {
		return reading{}, credentialError("read the token: %w", err)
	}
	if assertion == "" {
		return reading{}, credentialError("read the token: it is empty")
	}
	id := r.clientID
	r.proof = proof{id: digest("assertion", id, assertion), apply: func(form url.Values, _ http.Header, _ recipient) error {
		assert(form, id, assertion)
		return nil
	}}
	return o.complete(r)
}

func assert(form url.Values, clientID, assertion string) {
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
}

// PrivateKey is a key of the client's own, for an OAuth2Client of the method PrivateKeyJWT: ECDSA
// on P-256, Ed25519, or RSA for RS256. The keyID is the kid in the OAuth2Client, and may be empty
// if the client has one key. If clientID is empty, it is client_id of the directory of WithConfig.
func PrivateKey(clientID string, key crypto.Signer, keyID string) Credential {
	return keyCredential{clientID: clientID, load: func() (crypto.Signer, string, error) {
		if key == nil {
			return nil, "", credentialError("the private key is nil")
		}
		return key, keyID, nil
	}}
}

// PrivateKeyFile is a PrivateKey in a PEM file, which is read again for each request. Its kid is
// the RFC 7638 thumbprint, which a key in the OAuth2Client has that is written there without a kid.
func PrivateKeyFile(clientID, file string) Credential {
	return keyCredential{clientID: clientID, load: func() (crypto.Signer, string, error) { return loadKey(file) }}
}

type keyCredential struct {
	clientID string
	load     func() (crypto.Signer, string, error)
}

func (c keyCredential) read(_ context.Context, o *options) (reading, error) {
	r, err := readSettings(o.configDir)
	if err != nil {
		return reading{}, err
	}
	r.clientID = cmp.Or(c.clientID, r.clientID)
	if r.clientID == "" {
		return reading{}, credentialError("the client_id is missing")
	}
	key, keyID, err := c.load()
	if err != nil {
		return reading{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return reading{}, credentialError("read the public key: %w", err)
	}
	id := r.clientID
	r.proof = proof{id: digest("key", id, string(public), keyID), dated: true, apply: func(form url.Values, _ http.Header, to recipient) error {
		assertion, err := signAssertion(key, keyID, id, to)
		if err != nil {
			return err
		}
		assert(form, id, assertion)
		return nil
	}}
	return o.complete(r)
}

// loadKey reads a private key in PKCS #8, SEC 1 or PKCS #1.
func loadKey(file string) (crypto.Signer, string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, "", credentialError("read the private key: %w", err)
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		var key any
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			continue // such as EC PARAMETERS
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return nil, "", credentialError("%s has a private key that cannot be used: %w", file, cmp.Or(err, errKeyType))
		}
		keyID, err := thumbprint(signer.Public())
		return signer, keyID, err
	}
	return nil, "", credentialError("%s has no private key in PEM", file)
}

func digest(parts ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range parts {
		inner := sha256.Sum256([]byte(part))
		h.Write(inner[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

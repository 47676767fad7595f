// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registration is the contract between the two binaries: what the manager writes as the
// data of Secrets in the registry namespace, and the token server reads. It is versioned, and pure:
// values to bytes and back, and the names under which they are kept.
package registration

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// How registrations are kept.
const (
	// Namespace is the registry namespace unless the installation names another one.
	Namespace = "hallpass-registry"
	// SecretType is the type of a registration's Secret.
	SecretType = "hallpass.dev/registration"
	// AnnotationClientID names the client of a registration for people. Nothing reads it.
	AnnotationClientID = "hallpass.dev/client-id"

	dataKey = "client.json"
)

// ErrUnreadable is wrapped by every failure to decode; the record it comes from allows nothing.
var ErrUnreadable = errors.New("unreadable registration")

var nameEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Registration is one registered client and what the manager has to remember about it.
type Registration struct {
	Client   oauth2.Client
	Rotation credential.Rotation
	// DroppedClaims are the names of claims that Decode left out, because a rule has become
	// stricter. The caller logs them; Encode does not write them.
	DroppedClaims []string
}

// SecretName is the name of the registration of a client_id. One client_id has one name, so that
// the API server's AlreadyExists is the lock on its uniqueness. Two that differ by case alone share
// it, so that only one of them can be registered.
func SecretName(clientID string) string { return lockName(clientPrefix, clientID) }

// clientPrefix begins the names of registrations.
const clientPrefix = "client-"

// LockSize is the size of a lock in bytes: enough that no two client_ids share one by chance.
const LockSize = 16

// LockOf is the lock on a client_id: what SecretName is derived from, without the cost of a name.
func LockOf(clientID string) [LockSize]byte {
	sum := sha256.Sum256([]byte(strings.ToLower(clientID)))
	return [LockSize]byte(sum[:LockSize])
}

// LockIn is the lock that the name of a registration was derived from; ok is false for any other
// name.
func LockIn(secretName string) (lock [LockSize]byte, ok bool) {
	encoded, found := strings.CutPrefix(secretName, clientPrefix)
	sum, err := nameEncoding.DecodeString(encoded)
	// it ignores line breaks
	if !found || err != nil || len(sum) != nameBytes || len(encoded) != nameEncoding.EncodedLen(nameBytes) {
		return lock, false
	}
	return [LockSize]byte(sum[:LockSize]), true
}

// nameBytes is how much of the hash of an identifier stands in a name.
const nameBytes = 20

// ResourceSecretName is the name of the record of a resource's identifier, and the lock on it in
// the same way.
func ResourceSecretName(identifier string) string { return lockName("resource-", identifier) }

func lockName(prefix, identifier string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(identifier)))
	// more than any name, so that one piece of memory is taken and not three: each request
	// comes by here
	var room [64]byte
	return string(nameEncoding.AppendEncode(append(room[:0], prefix...), sum[:nameBytes]))
}

// Encode renders a registration as the data of its Secret. Equal registrations give equal bytes.
func Encode(r Registration) (map[string][]byte, error) {
	if err := check(r); err != nil {
		return nil, fmt.Errorf("encode registration of %s: %w", r.Client.ID, err)
	}
	document, err := json.Marshal(toWire(r))
	if err != nil {
		return nil, fmt.Errorf("encode registration of %s: %w", r.Client.ID, err)
	}
	return map[string][]byte{dataKey: document}, nil
}

// Decode reads a registration. What it cannot read whole and sound is ErrUnreadable, and
// wire.ErrNewer too if that is because a newer version wrote it. Nothing that is left out means
// more rights.
func Decode(data map[string][]byte) (Registration, error) {
	var w wireRegistration
	if err := read(data[dataKey], &w, &w.Form); err != nil {
		return Registration{}, err
	}
	r, err := w.registration()
	if err == nil {
		err = check(r)
	}
	if err != nil {
		return Registration{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return r, nil
}

func check(r Registration) error {
	c, by := r.Client, r.Client.Credentials
	switch {
	case !oauth2.ValidClientID(c.ID):
		return errors.New("the client_id is empty or not printable ASCII")
	case c.UID == "" || c.Namespace == "" || c.Name == "":
		return errors.New("the owner has no UID, namespace or name")
	case strings.ContainsAny(c.Namespace, "./"):
		return errors.New("the owner's namespace is not the name of one")
	case c.Tokens.Lifetime < oauth2.MinTokenLifetime || c.Tokens.Lifetime > oauth2.MaxTokenLifetime:
		return fmt.Errorf("the token lifetime %s is out of bounds", c.Tokens.Lifetime)
	case c.Tokens.Algorithm != "" && !keyring.Signs(c.Tokens.Algorithm):
		return fmt.Errorf("tokens are not signed with %q", c.Tokens.Algorithm)
	case c.Tokens.Lifetime%time.Second != 0:
		return fmt.Errorf("the token lifetime %s is not in whole seconds", c.Tokens.Lifetime)
	case by.KeysOnly && len(by.Verifiers) > 0, !by.KeysOnly && by.Keys != "":
		return errors.New("a client has either verifiers or keys")
	case by.MaxAssertionLife != 0 && (!by.KeysOnly || by.MaxAssertionLife < oauth2.MinAssertionLife || by.MaxAssertionLife > oauth2.MaxGrantLife):
		return fmt.Errorf("the life of assertions %s is out of bounds", by.MaxAssertionLife)
	case by.ServiceAccount != nil && (by.KeysOnly || len(by.Verifiers) > 0 || by.ServiceAccount.Name == ""):
		return errors.New("a client with a service account has its name, and neither verifiers nor keys")
	case by.Federated != nil && (by.ServiceAccount != nil || by.KeysOnly || len(by.Verifiers) > 0 || by.Federated.IssuerName == ""):
		return errors.New("a client of a trusted issuer has its name, and neither verifiers, keys nor a service account")
	case by.Federated != nil && by.Federated.Subject != "" && by.Federated.SubjectPrefix != "":
		return errors.New("a client of a trusted issuer has a subject or a prefix")
	case len(by.Verifiers) > oauth2.MaxVerifiers:
		return fmt.Errorf("%d verifiers, at most %d", len(by.Verifiers), oauth2.MaxVerifiers)
	}
	if err := checkCodes(c); err != nil {
		return err
	}
	if err := oauth2.CheckCustomClaims(c.Tokens.Claims); err != nil {
		return err
	}
	if by.Federated != nil {
		if err := checkRequired(by.Federated.Claims); err != nil {
			return err
		}
	}
	if err := checkScopes(c.Scopes); err != nil {
		return err
	}
	for _, access := range c.Access {
		if err := errors.Join(checkName(access.Resource), checkScopes(access.Scopes)); err != nil {
			return err
		}
	}
	for _, v := range by.Verifiers {
		switch {
		case v.ID == "" || v.Digest == (oauth2.Digest{}):
			return errors.New("a verifier has no id or no digest")
		case v.Pending && v.ExpiresAt.IsZero():
			return fmt.Errorf("pending verifier %s has no end", v.ID)
		}
	}
	return nil
}

// checkCodes refuses a public client that could do anything but bring a person, and what no spec
// can ask for.
func checkCodes(c oauth2.Client) error {
	by, codes := c.Credentials, c.Codes
	switch {
	case (codes != nil) != c.GrantTypes.Has(oauth2.AuthorizationCode):
		return errors.New("a client has redirect URIs if it has authorization codes")
	case by.Public && (c.GrantTypes != oauth2.AuthorizationCode || by.KeysOnly || len(by.Verifiers) > 0 || by.ServiceAccount != nil || by.Federated != nil):
		return errors.New("a public client has authorization codes alone, and nothing to authenticate by")
	case codes == nil:
		return nil
	case len(codes.RedirectURIs) > oauth2.MaxRedirectURIs:
		return fmt.Errorf("%d redirect URIs, at most %d", len(codes.RedirectURIs), oauth2.MaxRedirectURIs)
	}
	for _, uri := range codes.RedirectURIs {
		if !oauth2.ValidRedirectURI(uri) {
			return fmt.Errorf("%q is no redirect URI", uri)
		}
	}
	return checkRefreshing(codes.Refresh)
}

func checkRefreshing(r oauth2.Refreshing) error {
	switch {
	case r == oauth2.Refreshing{}:
		return nil
	case r.Lifetime < oauth2.MinRefreshLifetime || r.Lifetime > oauth2.MaxRefreshLifetime || r.Idle < 0 || r.Idle > r.Lifetime:
		return fmt.Errorf("the lifetime of refresh tokens %s, or their idle time %s, is out of bounds", r.Lifetime, r.Idle)
	case r.Lifetime%time.Second != 0 || r.Idle%time.Second != 0:
		return errors.New("the lifetime of refresh tokens is not in whole seconds")
	case r.Max < 0 || r.Max > oauth2.MaxRefreshes || !r.Limited && r.Max != 0:
		return fmt.Errorf("%d refreshes are out of bounds", r.Max)
	}
	return nil
}

func checkScopes(scopes []string) error {
	for _, scope := range scopes {
		if !oauth2.ValidScopeToken(scope) {
			return fmt.Errorf("%q is not a scope", scope)
		}
	}
	return nil
}

func checkName(name oauth2.ObjectName) error {
	if name.Namespace == "" || name.Name == "" || strings.ContainsAny(name.Namespace, "./") {
		return fmt.Errorf("%q of namespace %q is not the name of an object", name.Name, name.Namespace)
	}
	return nil
}

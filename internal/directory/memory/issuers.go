// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"maps"
	"sync"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// Issuers are the trusted issuers, by the names of their Secrets. There are few, and each is read
// as a whole.
type Issuers struct {
	mu       sync.RWMutex
	bySecret map[string]*oauth2.TrustedIssuer
}

// Named returns the trusted issuer of a name; nil if there is none.
func (i *Issuers) Named(name string) *oauth2.TrustedIssuer {
	secretName := registration.IssuerSecretName(name)
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.bySecret[secretName]
}

// Of returns the trusted issuer that has an iss; nil if there is none. The manager publishes one of
// several with the same iss; during a change it is the one whose Secret has the first name.
func (i *Issuers) Of(iss string) (found *oauth2.TrustedIssuer) {
	first := ""
	i.mu.RLock()
	defer i.mu.RUnlock()
	for name, issuer := range i.bySecret {
		if issuer.Issuer == iss && (found == nil || name < first) {
			found, first = issuer, name
		}
	}
	return found
}

// ForLogin returns trusted issuers at which persons log in for the clients of a namespace: one if
// there is no other, and two if there are more.
func (i *Issuers) ForLogin(namespace string) (found []*oauth2.TrustedIssuer) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	for _, issuer := range i.bySecret {
		if issuer.Login != nil && issuer.Uses.Has(oauth2.UsePerson) && issuer.Delegates(namespace) && len(found) < 2 {
			found = append(found, issuer)
		}
	}
	return found
}

// put stores the record of a Secret; nil removes it.
func (i *Issuers) put(secretName string, issuer *oauth2.TrustedIssuer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if issuer == nil {
		delete(i.bySecret, secretName)
		return
	}
	if i.bySecret == nil {
		i.bySecret = map[string]*oauth2.TrustedIssuer{}
	}
	i.bySecret[secretName] = issuer
}

// keep removes the records of the Secrets that are not listed.
func (i *Issuers) keep(listed map[string]bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.bySecret, func(name string, _ *oauth2.TrustedIssuer) bool { return !listed[name] })
}

// all returns the records by the names of their Secrets.
func (i *Issuers) all() map[string]*oauth2.TrustedIssuer {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return maps.Clone(i.bySecret)
}

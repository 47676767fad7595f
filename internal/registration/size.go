// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"encoding/json"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// MaxSize bounds a registration without its JWK set, in bytes. MaxListed bounds the part of it that
// a spec lists: the rest is for MaxVerifiers secrets and the state of their rotation.
const (
	MaxSize   = 16 << 10
	MaxListed = MaxSize - 5<<10
)

// The bounds of what records take in the memory of a token server, in the bytes that Weigh returns.
// The manager keeps them, and the memory of a token server is shipped for them.
const (
	// MaxClients is how many clients of all namespaces fit, if each is as small as most are.
	MaxClients = 100_000
	// MaxRecords bounds the records of all namespaces, unless an installation sets another
	// bound, from LeastRecords to MostRecords.
	MaxRecords = 45 << 18 // 11.25 MiB
	// LeastRecords leave room for what is guaranteed to two namespaces. MostRecords fit into a
	// snapshot, with everything else.
	LeastRecords = 1 << 20
	MostRecords  = 512 << 20
	// MaxNamespaceRecords bounds the records of one namespace.
	MaxNamespaceRecords = 2 << 20
	// GuaranteedRecords are guaranteed to each namespace. What a namespace has beyond them is
	// lent.
	GuaranteedRecords = 64 << 10
	// ReservedRecords are the part of MaxRecords that is not lent, and of another bound the
	// same part is not. They are enough for what is guaranteed to 32 namespaces that use all of
	// it, or to more that use less.
	ReservedRecords = 32 * GuaranteedRecords
)

// ClientsIn is how many clients fit into a bound of all records at most.
func ClientsIn(records int) int { return MaxClients * records / MaxRecords }

// Listed is the size of the registration of a client without what it authenticates by, in bytes.
func Listed(client oauth2.Client) int {
	client.Credentials = oauth2.Credentials{KeysOnly: client.Credentials.KeysOnly, Public: client.Credentials.Public}
	document, err := json.Marshal(toWire(Registration{Client: client}))
	if err != nil {
		return 0 // it has only texts and numbers
	}
	return len(document)
}

// SizeOfResource is the size of the record of a resource as EncodeResource renders it, in bytes.
func SizeOfResource(data map[string][]byte) int { return len(data[resourceDataKey]) }

// What parts of a record take in the memory of a token server, in bytes. Tests of package memory
// compare them with the heap.
const (
	// minClient is what a client weighs at least, so that no more than MaxClients fit: the
	// entries of the table that finds them are not part of their weight.
	minClient = MaxRecords / MaxClients
	// revocationWeight is an instant before which tokens are revoked, and its entry in the
	// feed.
	revocationWeight = 450
	workloadWeight   = 150 // the entry of a service account, or of a subject
	resourceWeight   = 900 // a resource, and its entries in three tables
	consentWeight    = 72
	labelsWeight     = 400 // a map of up to 8 labels
	mintedWeight     = 600 // the record of an OAuth2Token and its owner, with their entries
	tokenWeight      = 200
	textWeight       = 16 // the reference to a text
	nameWeight       = 2 * textWeight
)

// Weigh returns how many bytes a record takes in the memory of a token server, from the type and
// the data of its Secret. The estimate is never too low. A record that cannot be read weighs as
// much as its data, because a newer token server may read it.
func Weigh(secretType string, data map[string][]byte) int {
	switch secretType {
	case SecretType:
		if r, err := Decode(data); err == nil {
			return WeighClient(r.Client)
		}
	case ResourceSecretType:
		if r, err := DecodeResource(data); err == nil {
			return WeighResource(r)
		}
	case TokenSecretType:
		if m, err := DecodeToken(data); err == nil {
			return WeighToken(m)
		}
	}
	size := 0
	for _, value := range data {
		size += len(value)
	}
	return size
}

// weight adds up the memory of a record: what is allocated together, and entries of tables.
type weight struct{ together, entries int }

func (w *weight) add(list ...string) {
	for _, s := range list {
		w.together += len(s)
	}
}

// whole is the whole weight. The allocator rounds a size up: by less than a fifth, and above 32 KiB
// by less than a quarter.
func (w *weight) whole() int {
	const page, small, step = 32 << 10, 256, 16
	switch n := w.together; {
	case n <= small:
		return w.entries + (n+step-1)/step*step
	case n < page:
		return w.entries + n + n/5
	default:
		return w.entries + n + n/4
	}
}

// number adds an integer, and text adds texts and their lengths, in the form of package wire.
func (w *weight) number(n int64) {
	for w.together++; n < -64 || n > 63; n >>= 7 {
		w.together++
	}
}

func (w *weight) text(list ...string) {
	for _, s := range list {
		w.number(int64(len(s)))
		w.add(s)
	}
}

func (w *weight) list(list []string) {
	w.number(int64(len(list)))
	w.text(list...)
}

func (w *weight) instant(t time.Time) {
	if t.IsZero() {
		w.together++
		return
	}
	w.number(t.Unix())
}

// WeighClient returns how many bytes a registration takes in the memory of a token server, in the
// form that package memory packs it into.
func WeighClient(c oauth2.Client) int {
	const flags = 2
	w := weight{together: flags}
	w.number(int64(len(c.Namespace)))
	w.text(c.Namespace + "." + c.Name)
	if !c.IDIsName() {
		w.text(c.ID)
	}
	if _, ok := wire.ParseUUID(c.UID); ok {
		w.together += len(wire.UUID{})
	} else {
		w.text(c.UID)
	}
	w.text(string(c.Tokens.Algorithm))
	w.number(int64(c.Tokens.Lifetime / time.Second))
	w.list(c.Scopes)
	w.number(int64(len(c.Credentials.Verifiers)))
	for _, v := range c.Credentials.Verifiers {
		w.together += 1 + len(v.Digest)
		w.text(v.ID)
		w.instant(v.CreatedAt)
		w.instant(v.ExpiresAt)
		w.instant(v.WatchedSince)
	}
	w.access(c)
	w.seldom(c)
	return max(minClient, w.whole())
}

// access adds what a client asks of resources.
func (w *weight) access(c oauth2.Client) {
	if len(c.Labels) == 0 && len(c.Access) == 0 && c.DefaultResource == (oauth2.ObjectName{}) {
		return
	}
	w.number(int64(len(c.Labels)))
	for key, value := range c.Labels {
		w.text(key, value)
	}
	w.number(int64(len(c.Access)))
	for _, access := range c.Access {
		w.text(access.Resource.Namespace, access.Resource.Name)
		w.list(access.Scopes)
	}
	w.text(c.DefaultResource.Namespace, c.DefaultResource.Name)
}

// seldom adds what few clients have.
func (w *weight) seldom(c oauth2.Client) {
	if c.Credentials.KeysOnly {
		w.number(int64(c.Credentials.MaxAssertionLife / time.Second))
		w.text(string(c.Credentials.Keys))
	}
	if c.GrantTypes != 0 {
		w.together += len("g0") // with the number of claims
	}
	if account := c.Credentials.ServiceAccount; account != nil {
		w.text(account.Name, account.UID)
	}
	if codes := c.Codes; codes != nil {
		w.together += len("f")
		w.text(codes.IssuerName, codes.DisplayName)
		w.list(codes.RedirectURIs)
		w.number(int64(codes.Refresh.Lifetime / time.Second))
		w.number(int64(codes.Refresh.Idle / time.Second))
		w.number(int64(codes.Refresh.Max))
	}
	if f := c.Credentials.Federated; f != nil {
		w.text(f.IssuerName, f.Subject, f.SubjectPrefix)
		w.number(int64(len(f.Claims)))
		for _, claim := range f.Claims {
			w.text(claim.Name)
			w.list(claim.Values)
		}
	}
	if c.Workload() != (oauth2.Workload{}) {
		w.entries += workloadWeight
	}
	if c.Revocation != (oauth2.Revocation{}) {
		w.entries += revocationWeight
	}
	if len(c.Tokens.Claims) == 0 {
		return
	}
	w.number(int64(len(c.Tokens.Claims)))
	for _, claim := range c.Tokens.Claims {
		w.text(claim.Name, claim.Value)
		w.list(claim.Values)
	}
}

// WeighResource returns how many bytes the record of a resource takes in the memory of a token
// server.
func WeighResource(r oauth2.Resource) int {
	w := weight{entries: resourceWeight}
	list := func(list []string) {
		w.add(list...)
		w.together += textWeight * len(list)
	}
	w.add(r.Identifier, r.UID, r.Namespace, r.Name, r.DisplayName)
	list(r.Scopes)
	for _, consent := range r.AllConsents() {
		w.together += consentWeight
		list(consent.Namespaces)
		list(consent.Scopes)
		if len(consent.ClientLabels) > 0 {
			w.entries += labelsWeight
		}
		for key, value := range consent.ClientLabels {
			w.add(key, value)
		}
	}
	for _, name := range r.Introspectors {
		w.together += nameWeight
		w.add(name.Namespace, name.Name)
	}
	for _, d := range r.Descriptions {
		w.together += nameWeight
		w.add(d.Scope, d.Text)
	}
	return w.whole()
}

// WeighToken returns how many bytes the record of an OAuth2Token takes in the memory of a token
// server.
func WeighToken(m oauth2.Minted) int {
	w := weight{entries: mintedWeight}
	w.add(m.UID, m.Namespace, m.Name, m.ClientID, m.ClientUID, m.ClientName)
	for _, token := range m.Tokens {
		w.together += tokenWeight + textWeight*len(token.Scopes)
		w.add(token.ID, token.KeyID, token.Audience)
		w.add(token.Scopes...)
	}
	return w.whole()
}

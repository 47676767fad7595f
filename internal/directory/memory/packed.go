// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// packed is a registered client in about a hundred bytes without a pointer; an oauth2.Client with
// all that it points to takes six hundred. A client that the short form cannot hold stays whole:
// pack unpacks and compares, so a field that is missing here costs memory and not correctness. Of
// what registration.Decode returns the short form holds everything.
type packed struct {
	short string
	whole *oauth2.Client
}

// The flags of the short form.
const (
	idIsName        = 1 << iota // the client_id is <namespace>.<name>
	uidIsUUID                   // the UID is a UUID in its usual form
	flagSuspended               // the client is suspended
	flagTerminating             // the owner is being deleted
	flagRefused                 // a policy refuses the client
	flagResources               // labels, access and default resource follow
	flagSeldom                  // what few clients have follows; see packSeldom
)

// The flags of what few clients have.
const (
	seldomKeys       = 1 << iota // the client authenticates by keys alone, which follow
	seldomAccount                // or as a service account, which follows
	seldomRevocation             // the instants of its revocation follow
	seldomFederated              // or by JWTs of a trusted issuer, which follow
	seldomGrants                 // the grant types follow
	seldomCodes                  // how it gets authorization codes follows
)

// The flags of how a client gets authorization codes.
const (
	codesPublic  = 1 << iota // it does not authenticate
	codesAsk                 // persons are asked each time
	codesLimited             // the number of refreshes is limited
)

func pack(c *oauth2.Client) packed {
	short := packClient(c)
	if unpacked, ok := (packed{short: short}).unpack(); ok && reflect.DeepEqual(&unpacked.client, c) {
		return packed{short: short}
	}
	return packed{whole: c}
}

func packClient(c *oauth2.Client) string {
	flags := byte(0)
	full := c.Namespace + "." + c.Name
	if c.ID == full {
		flags |= idIsName
	}
	uid, isUUID := wire.ParseUUID(c.UID)
	if isUUID {
		flags |= uidIsUUID
	}
	if c.Suspended {
		flags |= flagSuspended
	}
	if c.Refused {
		flags |= flagRefused
	}
	if len(c.Labels) > 0 || len(c.Access) > 0 || c.DefaultResource != (oauth2.ObjectName{}) {
		flags |= flagResources
	}
	if seldomOf(c) != 0 || len(c.Tokens.Claims) > 0 {
		flags |= flagSeldom
	}
	var w wire.Writer
	w.Byte(flags)
	w.Varint(int64(len(c.Namespace)))
	w.Text(full)
	if c.ID != full {
		w.Text(c.ID)
	}
	if isUUID {
		w.Bytes = append(w.Bytes, uid[:]...)
	} else {
		w.Text(c.UID)
	}
	w.Text(string(c.Tokens.Algorithm))
	w.Varint(int64(c.Tokens.Lifetime / time.Second))
	packTexts(&w, c.Scopes)
	w.Varint(int64(len(c.Credentials.Verifiers)))
	for _, v := range c.Credentials.Verifiers {
		packVerifier(&w, v)
	}
	if flags&flagResources != 0 {
		packResources(&w, c)
	}
	if flags&flagSeldom != 0 {
		packSeldom(&w, c)
	}
	return string(w.Bytes)
}

func seldomOf(c *oauth2.Client) (flags byte) {
	if c.Credentials.KeysOnly {
		flags |= seldomKeys
	}
	if c.Credentials.ServiceAccount != nil {
		flags |= seldomAccount
	}
	if c.Revocation != (oauth2.Revocation{}) {
		flags |= seldomRevocation
	}
	if c.Credentials.Federated != nil {
		flags |= seldomFederated
	}
	if c.GrantTypes != 0 {
		flags |= seldomGrants
	}
	if c.Codes != nil {
		flags |= seldomCodes
	}
	return flags
}

// packSeldom writes keys, a service account, the instants of a revocation, the JWTs of a trusted
// issuer, grant types, authorization codes, and custom claims.
func packSeldom(w *wire.Writer, c *oauth2.Client) {
	flags := seldomOf(c)
	w.Byte(flags)
	if flags&seldomKeys != 0 {
		w.Varint(int64(c.Credentials.MaxAssertionLife / time.Second))
		w.Text(string(c.Credentials.Keys))
	}
	if account := c.Credentials.ServiceAccount; account != nil {
		w.Text(account.Name)
		w.Text(account.UID)
	}
	if flags&seldomRevocation != 0 {
		packMoment(w, c.Revocation.Asked)
		packMoment(w, c.Revocation.Before)
	}
	if f := c.Credentials.Federated; f != nil {
		packFederated(w, f)
	}
	if c.GrantTypes != 0 {
		w.Byte(byte(c.GrantTypes))
	}
	if c.Codes != nil {
		packCodes(w, c)
	}
	w.Varint(int64(len(c.Tokens.Claims)))
	for _, claim := range c.Tokens.Claims {
		w.Text(claim.Name)
		w.Text(claim.Value)
		packTexts(w, claim.Values)
	}
}

func unpackSeldom(r *wire.Reader, c *oauth2.Client) {
	flags := r.Byte()
	if flags&seldomKeys != 0 {
		c.Credentials.KeysOnly, c.Credentials.MaxAssertionLife = true, time.Duration(r.Varint())*time.Second
		if c.Credentials.Keys = jws.PackedKeys(r.Text()); !c.Credentials.Keys.Valid() {
			r.Fail()
		}
	}
	if flags&seldomAccount != 0 {
		c.Credentials.ServiceAccount = &oauth2.ServiceAccount{Name: r.Text(), UID: r.Text()}
	}
	if flags&seldomRevocation != 0 {
		c.Revocation = oauth2.Revocation{Asked: unpackMoment(r), Before: unpackMoment(r)}
	}
	if flags&seldomFederated != 0 {
		c.Credentials.Federated = unpackFederated(r)
	}
	if flags&seldomGrants != 0 {
		c.GrantTypes = oauth2.GrantTypes(r.Byte())
	}
	if flags&seldomCodes != 0 {
		unpackCodes(r, c)
	}
	if n := r.Count(); n > 0 {
		c.Tokens.Claims = make([]oauth2.Claim, n)
		for i := range c.Tokens.Claims {
			c.Tokens.Claims[i] = oauth2.Claim{Name: r.Text(), Value: r.Text(), Values: unpackTexts(r, nil)}
		}
	}
}

// packResources writes the labels, the access and the default resource of a client.
func packResources(w *wire.Writer, c *oauth2.Client) {
	w.Varint(int64(len(c.Labels)))
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		w.Text(key)
		w.Text(c.Labels[key])
	}
	w.Varint(int64(len(c.Access)))
	for _, access := range c.Access {
		w.Text(access.Resource.Namespace)
		w.Text(access.Resource.Name)
		packTexts(w, access.Scopes)
	}
	w.Text(c.DefaultResource.Namespace)
	w.Text(c.DefaultResource.Name)
}

func packTexts(w *wire.Writer, list []string) {
	w.Varint(int64(len(list)))
	for _, s := range list {
		w.Text(s)
	}
}

func packVerifier(w *wire.Writer, v oauth2.Verifier) {
	pending := byte(0)
	if v.Pending {
		pending = 1
	}
	w.Byte(pending)
	w.Text(v.ID)
	w.Bytes = append(w.Bytes, v.Digest[:]...)
	packInstant(w, v.CreatedAt)
	packInstant(w, v.ExpiresAt)
	packInstant(w, v.WatchedSince)
}

// packInstant writes a time in whole seconds; zero is none.
func packInstant(w *wire.Writer, t time.Time) {
	if t.IsZero() {
		w.Varint(0)
		return
	}
	w.Varint(t.Unix())
}

// packMoment writes a time with its nanoseconds: a client chooses it, of any year.
func packMoment(w *wire.Writer, t time.Time) {
	w.Varint(t.Unix())
	w.Varint(int64(t.Nanosecond()))
}

func unpackMoment(r *wire.Reader) time.Time { return time.Unix(r.Varint(), r.Varint()).UTC() }

func unpackInstant(r *wire.Reader) time.Time {
	if seconds := r.Varint(); seconds != 0 {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Time{}
}

// client is the client again.
func (p packed) client() *oauth2.Client {
	whole, _ := p.unpack()
	return &whole.client
}

// unpacked returns the client in its usual form, with fields for what a request reads besides; nil
// if there is no client.
func (p packed) unpacked() *unpacked {
	if p == (packed{}) {
		return nil
	}
	whole, _ := p.unpack()
	return whole
}

// unpack reads the short form; ok is false if it is malformed, as in a snapshot of another build.
// The strings of the client are substrings of the short form.
func (p packed) unpack() (*unpacked, bool) {
	if p.whole != nil {
		return &unpacked{client: *p.whole}, true
	}
	r := wire.NewReader(p.short)
	flags := r.Byte()
	namespace := r.Varint()
	full := r.Text()
	if namespace < 0 || namespace >= int64(len(full)) {
		return &unpacked{}, false
	}
	whole := &unpacked{}
	c := &whole.client
	c.ID, c.Namespace, c.Name = full, full[:namespace], full[namespace+1:]
	c.Suspended, c.Refused = flags&flagSuspended != 0, flags&flagRefused != 0
	if flags&idIsName == 0 {
		c.ID = r.Text()
	}
	if flags&uidIsUUID != 0 {
		var uid wire.UUID
		copy(uid[:], r.Raw(len(uid)))
		c.UID = uid.String()
	} else {
		c.UID = r.Text()
	}
	c.Tokens.Algorithm = jws.Algorithm(r.Text())
	c.Tokens.Lifetime = time.Duration(r.Varint()) * time.Second
	c.Scopes = unpackTexts(&r, whole.scopes[:0])
	if n := r.Count(); n > 0 {
		c.Credentials.Verifiers = roomFor(n, whole.verifiers[:0])
		for range n {
			c.Credentials.Verifiers = append(c.Credentials.Verifiers, unpackVerifier(&r))
		}
	}
	if flags&flagResources != 0 {
		unpackResources(&r, c)
	}
	if flags&flagSeldom != 0 {
		unpackSeldom(&r, c)
	}
	return whole, r.Done()
}

// seldom returns the client if it has what few clients have, and nil otherwise. It unpacks no other
// client.
func (p packed) seldom() *oauth2.Client {
	if p.whole == nil && (p.short == "" || p.short[0]&flagSeldom == 0) {
		return nil
	}
	return p.client()
}

// unpacked is a client and what most clients have, in one allocation: each request unpacks one.
type unpacked struct {
	client    oauth2.Client
	owner     oauth2.Owner
	verifiers [1]oauth2.Verifier
	scopes    [4]string
}

// roomFor is an empty list for n values, in the room that there is if they fit.
func roomFor[T any](n int, room []T) []T {
	if n > cap(room) {
		return make([]T, 0, n)
	}
	return room[:0:n]
}

func unpackVerifier(r *wire.Reader) oauth2.Verifier {
	v := oauth2.Verifier{Pending: r.Byte() != 0, ID: r.Text()}
	copy(v.Digest[:], r.Raw(len(v.Digest)))
	v.CreatedAt, v.ExpiresAt, v.WatchedSince = unpackInstant(r), unpackInstant(r), unpackInstant(r)
	return v
}

func unpackResources(r *wire.Reader, c *oauth2.Client) {
	if n := r.Count(); n > 0 {
		c.Labels = make(map[string]string, n)
		for range n {
			key := r.Text()
			c.Labels[key] = r.Text()
		}
	}
	if n := r.Count(); n > 0 {
		c.Access = make([]oauth2.Access, n)
		for i := range c.Access {
			c.Access[i].Resource = oauth2.ObjectName{Namespace: r.Text(), Name: r.Text()}
			c.Access[i].Scopes = unpackTexts(r, nil)
		}
	}
	c.DefaultResource = oauth2.ObjectName{Namespace: r.Text(), Name: r.Text()}
}

// unpackTexts reads a list of strings, into room if they fit.
func unpackTexts(r *wire.Reader, room []string) []string {
	n := r.Count()
	if n == 0 {
		return nil
	}
	list := roomFor(n, room)
	for range n {
		list = append(list, r.Text())
	}
	return list
}

// packedOwner is an owner without a pointer if its UID is a UUID in the usual form, and whole
// otherwise. The zero packedOwner is none.
type packedOwner struct {
	uid   wire.UUID
	flags byte
	from  Tenant
	whole *oauth2.Owner
}

func packOwner(o oauth2.Owner, from Tenant) packedOwner {
	if uid, ok := wire.ParseUUID(o.UID); ok {
		p := packedOwner{uid: uid, flags: uidIsUUID, from: from}
		if o.Suspended {
			p.flags |= flagSuspended
		}
		if o.Terminating {
			p.flags |= flagTerminating
		}
		if p.owner("") == o {
			return p
		}
	}
	return packedOwner{whole: &o, from: from}
}

func (p packedOwner) known() bool { return p != packedOwner{} }

// owner is the owner again. Its UID is likely that of its client, which is then not written again.
func (p packedOwner) owner(likely string) oauth2.Owner {
	if p.whole != nil {
		return *p.whole
	}
	uid := likely
	if !p.uid.Is(likely) {
		uid = p.uid.String()
	}
	return oauth2.Owner{UID: uid, Suspended: p.flags&flagSuspended != 0, Terminating: p.flags&flagTerminating != 0}
}

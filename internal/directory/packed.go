// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// packed is a registered client in about a hundred bytes that hold no pointer, where oauth2.Client with all that it points to
// takes six hundred. A client with anything that the short form does not have is kept as it is: whether it does is found out by
// unpacking it, so that no field can get lost.
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
)

// The flags of a verifier.
const (
	verifierPending = 1 << iota
	verifierCreated // it has an instant of creation
	verifierExpires // it has an end
	verifierWatched // it has an instant since which it is watched
)

func pack(c *oauth2.Client) packed {
	short := packer{}.client(c)
	if unpacked := (packed{short: short}).client(); reflect.DeepEqual(unpacked, c) {
		return packed{short: short}
	}
	return packed{whole: c}
}

// packer writes numbers as varints and texts behind their lengths.
type packer struct{ bytes []byte }

func (p packer) client(c *oauth2.Client) string {
	flags := byte(0)
	full := c.Namespace + "." + c.Name
	if c.ID == full {
		flags |= idIsName
	}
	uid, isUUID := parseUUID(c.UID)
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
	p.bytes = append(p.bytes, flags)
	p.number(int64(len(c.Namespace)))
	p.text(full)
	if c.ID != full {
		p.text(c.ID)
	}
	if isUUID {
		p.bytes = append(p.bytes, uid[:]...)
	} else {
		p.text(c.UID)
	}
	p.text(string(c.Algorithm))
	p.number(int64(c.TokenLifetime / time.Second))
	p.texts(c.Scopes)
	p.number(int64(len(c.Verifiers)))
	for _, v := range c.Verifiers {
		p.verifier(v)
	}
	if flags&flagResources != 0 {
		p.resources(c)
	}
	return string(p.bytes)
}

// resources are what a client asks of resources, and what they know it by.
func (p *packer) resources(c *oauth2.Client) {
	p.number(int64(len(c.Labels)))
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		p.text(key)
		p.text(c.Labels[key])
	}
	p.number(int64(len(c.Access)))
	for _, access := range c.Access {
		p.text(access.Resource.Namespace)
		p.text(access.Resource.Name)
		p.texts(access.Scopes)
	}
	p.text(c.DefaultResource.Namespace)
	p.text(c.DefaultResource.Name)
}

func (p *packer) texts(list []string) {
	p.number(int64(len(list)))
	for _, s := range list {
		p.text(s)
	}
}

func (p *packer) verifier(v oauth2.Verifier) {
	flags := byte(0)
	if v.Pending {
		flags |= verifierPending
	}
	if !v.CreatedAt.IsZero() {
		flags |= verifierCreated
	}
	if !v.ExpiresAt.IsZero() {
		flags |= verifierExpires
	}
	if v.Watched() {
		flags |= verifierWatched
	}
	p.bytes = append(p.bytes, flags)
	p.text(v.ID)
	p.bytes = append(p.bytes, v.Digest[:]...)
	if !v.CreatedAt.IsZero() {
		p.number(v.CreatedAt.Unix())
	}
	if !v.ExpiresAt.IsZero() {
		p.number(v.ExpiresAt.Unix())
	}
	if v.Watched() {
		p.number(v.WatchedSince.Unix())
	}
}

func (p *packer) number(n int64) { p.bytes = binary.AppendVarint(p.bytes, n) }

func (p *packer) text(s string) {
	p.number(int64(len(s)))
	p.bytes = append(p.bytes, s...)
}

// client is the client again.
func (p packed) client() *oauth2.Client {
	whole, _ := p.unpack()
	return &whole.client
}

// unpacked is the client again, with room for what is found beside it; nil if there is none.
func (p packed) unpacked() *unpacked {
	if p == (packed{}) {
		return nil
	}
	whole, _ := p.unpack()
	return whole
}

// unpack reads the short form, and says whether it is one: that of a snapshot may be of another build. The texts of the client are parts
// of the short form, so few are copied.
func (p packed) unpack() (*unpacked, bool) {
	if p.whole != nil {
		return &unpacked{client: *p.whole}, true
	}
	u := unpacker{rest: p.short}
	flags := u.byte()
	namespace := u.number()
	full := u.text()
	if namespace < 0 || namespace >= int64(len(full)) {
		return &unpacked{}, false
	}
	whole := &unpacked{}
	c := &whole.client
	c.ID, c.Namespace, c.Name = full, full[:namespace], full[namespace+1:]
	c.Suspended, c.Refused = flags&flagSuspended != 0, flags&flagRefused != 0
	if flags&idIsName == 0 {
		c.ID = u.text()
	}
	if flags&uidIsUUID != 0 {
		var uid rawUUID
		copy(uid[:], u.take(len(uid)))
		c.UID = formatUUID(uid, "")
	} else {
		c.UID = u.text()
	}
	c.Algorithm = jws.Algorithm(u.text())
	c.TokenLifetime = time.Duration(u.number()) * time.Second
	c.Scopes = u.texts(whole.scopes[:0])
	if n := u.count(); n > 0 {
		c.Verifiers = roomFor(n, whole.verifiers[:0])
		for range n {
			c.Verifiers = append(c.Verifiers, u.verifier())
		}
	}
	if flags&flagResources != 0 {
		u.resources(c)
	}
	return whole, !u.failed && u.rest == ""
}

// unpacked is a client and what most clients have, in one piece of memory: each request unpacks one.
type unpacked struct {
	client    oauth2.Client
	owner     oauth2.Owner
	verifiers [1]oauth2.Verifier
	scopes    [4]string
}

// roomFor is an empty list for n values, in the room that there is if they fit.
func roomFor[T any](n int64, room []T) []T {
	if n > int64(cap(room)) {
		return make([]T, 0, n)
	}
	return room[:0:n]
}

// unpacker reads what packer wrote. It fails, and reads nothing but zeros from then on, where that is cut short or nonsense.
type unpacker struct {
	rest   string
	failed bool
}

func (u *unpacker) verifier() oauth2.Verifier {
	flags := u.byte()
	v := oauth2.Verifier{ID: u.text(), Pending: flags&verifierPending != 0}
	copy(v.Digest[:], u.take(len(v.Digest)))
	if flags&verifierCreated != 0 {
		v.CreatedAt = time.Unix(u.number(), 0).UTC()
	}
	if flags&verifierExpires != 0 {
		v.ExpiresAt = time.Unix(u.number(), 0).UTC()
	}
	if flags&verifierWatched != 0 {
		v.WatchedSince = time.Unix(u.number(), 0).UTC()
	}
	return v
}

func (u *unpacker) resources(c *oauth2.Client) {
	if n := u.count(); n > 0 {
		c.Labels = make(map[string]string, n)
		for range n {
			key := u.text()
			c.Labels[key] = u.text()
		}
	}
	if n := u.count(); n > 0 {
		c.Access = make([]oauth2.Access, n)
		for i := range c.Access {
			c.Access[i].Resource = oauth2.ObjectName{Namespace: u.text(), Name: u.text()}
			c.Access[i].Scopes = u.texts(nil)
		}
	}
	c.DefaultResource = oauth2.ObjectName{Namespace: u.text(), Name: u.text()}
}

// texts reads a list of texts, into the room that there is if they fit.
func (u *unpacker) texts(room []string) []string {
	n := u.count()
	if n == 0 {
		return nil
	}
	list := roomFor(n, room)
	for range n {
		list = append(list, u.text())
	}
	return list
}

func (u *unpacker) take(n int) string {
	if n < 0 || n > len(u.rest) {
		u.failed, u.rest = true, ""
		return ""
	}
	taken := u.rest[:n]
	u.rest = u.rest[n:]
	return taken
}

func (u *unpacker) byte() byte {
	if one := u.take(1); one != "" {
		return one[0]
	}
	return 0
}

func (u *unpacker) number() int64 {
	if u.rest != "" && u.rest[0] < 0x80 { // most are lengths, and short
		n := int64(u.rest[0]>>1) ^ -int64(u.rest[0]&1)
		u.rest = u.rest[1:]
		return n
	}
	var buffer [binary.MaxVarintLen64]byte
	n, size := binary.Varint(buffer[:copy(buffer[:], u.rest)])
	if size <= 0 || size > 1 && u.rest[size-1] == 0 { // the last would say nothing: another text of the same number
		u.failed, u.rest = true, ""
		return 0
	}
	u.rest = u.rest[size:]
	return n
}

// count is how many of something follow: each takes a byte at least.
func (u *unpacker) count() int64 {
	n := u.number()
	if n < 0 || n > int64(len(u.rest)) {
		u.failed, u.rest = true, ""
		return 0
	}
	return n
}

func (u *unpacker) text() string { return u.take(int(u.count())) }

// packedOwner is an owner in the same way: without a pointer if its UID is a UUID in the usual form, and otherwise as it is. The zero
// packedOwner is none.
type packedOwner struct {
	uid   rawUUID
	flags byte
	whole *oauth2.Owner
}

func packOwner(o oauth2.Owner) packedOwner {
	if uid, ok := parseUUID(o.UID); ok {
		p := packedOwner{uid: uid, flags: uidIsUUID}
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
	return packedOwner{whole: &o}
}

func (p packedOwner) known() bool { return p != packedOwner{} }

// owner is the owner again. Its UID is likely that of its client, which is then not written again.
func (p packedOwner) owner(likely string) oauth2.Owner {
	if p.whole != nil {
		return *p.whole
	}
	return oauth2.Owner{UID: formatUUID(p.uid, likely), Suspended: p.flags&flagSuspended != 0, Terminating: p.flags&flagTerminating != 0}
}

// rawUUID is a UUID without its form.
type rawUUID [16]byte

const uuidLength = 36

// parseUUID reads a UUID in lower case with its four hyphens, as Kubernetes writes them.
func parseUUID(s string) (raw rawUUID, ok bool) {
	if len(s) != uuidLength {
		return raw, false
	}
	digits := strings.ReplaceAll(s, "-", "")
	if len(digits) != hex.EncodedLen(len(raw)) {
		return raw, false
	}
	_, err := hex.Decode(raw[:], []byte(digits))
	return raw, err == nil && formatUUID(raw, "") == s
}

// formatUUID writes it so. If that is what is likely, it is the very same text.
func formatUUID(raw rawUUID, likely string) string {
	var text [uuidLength]byte
	hex.Encode(text[0:], raw[:4])
	hex.Encode(text[9:], raw[4:6])
	hex.Encode(text[14:], raw[6:8])
	hex.Encode(text[19:], raw[8:10])
	hex.Encode(text[24:], raw[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	if string(text[:]) == likely {
		return likely
	}
	return string(text[:])
}

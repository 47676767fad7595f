// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revocation remembers which tokens are revoked (RFC 7009) and which client assertions were
// used (RFC 7523, section 3): single ones by id, and all tokens of a client or a namespace that
// were issued before an instant. Batch is the unit of storage, State the memory of one process,
// Feed the list of revocations for verifiers that poll it, and Journal the group commit of new
// revocations to a Store. Collapser replaces the single revocations of a client that has too many
// by a selector. The package stands on jws, keyring, oauth2 and wire, and knows neither HTTP nor
// Kubernetes.
package revocation

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// ID identifies a revoked token or a used assertion. Its 128 bits make a collision by chance
// negligible.
type ID [16]byte

// IDOf returns the id of the token with a jti. The jti of our own tokens is 128 random bits in
// base64url, which are the id; any other jti is hashed.
func IDOf(tokenID string) ID {
	var id ID
	if len(tokenID) == base64.RawURLEncoding.EncodedLen(len(id)) {
		if _, err := jws.AppendBase64URL(id[:0], tokenID); err == nil {
			return id
		}
	}
	sum := sha256.Sum256([]byte("hallpass token id\x00" + tokenID))
	return ID(sum[:len(id)])
}

// AssertionIDOf returns the id of an assertion: a hash over the length of the client_id, the
// client_id and the jti, so that two pairs never have the same input.
func AssertionIDOf(clientID, id string) ID {
	input := binary.BigEndian.AppendUint64(make([]byte, 0, 256), uint64(len(clientID)))
	sum := sha256.Sum256(append(append(input, clientID...), id...))
	return ID(sum[:len(ID{})])
}

// String returns the id as the jti of our tokens contains it.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// Client is the client that a revoked token was issued to.
type Client struct{ ID, Namespace string }

// Entry is one revocation: an id, and the expiry of what it identifies. It holds no pointer and
// takes 28 bytes.
type Entry struct {
	ID ID
	// Until is the expiry of the token or the assertion, in seconds since 1970.
	Until uint32
	// IssuedAt is when the token was issued, in seconds since 1970; zero for an entry that is
	// never collapsed. Client is the number of its client: its place, from 1, in the Clients of
	// a Batch, or that in the memory of a State; zero if it is not known. That of a used
	// assertion is about the namespace of its client alone.
	IssuedAt, Client uint32
}

// lasts reports whether the entry is never collapsed.
func (r Entry) lasts() bool { return r.IssuedAt == 0 }

// NewEntry makes the Entry of a token or an assertion that expires at an instant.
func NewEntry(id ID, expiresAt time.Time) Entry { return Entry{ID: id, Until: SecondsOf(expiresAt)} }

// EntryOf makes the Entry of a token. That of a token which lives as long as issued ones do may be
// collapsed. For tokens that live longer a selector would have to stay as long; they have a bound
// of their own.
func EntryOf(claims *oauth2.Claims) Entry {
	r := NewEntry(IDOf(claims.ID), claims.ExpiresAt)
	if issued := claims.IssuedAt.Unix(); issued > 0 && int64(r.Until)-issued <= int64(oauth2.MaxTokenLifetime/time.Second) {
		r.IssuedAt = uint32(issued) //nolint:gosec // it is before Until
	}
	return r
}

// ExpiresAt is the instant from which the entry is not needed any more.
func (r Entry) ExpiresAt() time.Time { return time.Unix(int64(r.Until), 0).UTC() }

// Expired reports whether the entry is not needed any more.
func (r Entry) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt()) }

func compareEntries(a, b Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) }

const (
	// MaxBatch bounds each list of a batch. A full list takes 160 KiB.
	MaxBatch  = 8192
	entrySize = len(ID{}) + 4
)

// Batch is the unit of storage: revoked tokens, used assertions and generations of grants that are
// written together.
type Batch struct {
	Tokens, Assertions []Entry
	Generations        []Generation
	// Clients are the clients that Tokens and the grants of Generations were issued to, and for
	// Assertions the namespaces of the clients that used them, without an ID.
	Clients []Client
}

// Len returns the number of entries in the batch.
func (b Batch) Len() int { return len(b.Tokens) + len(b.Assertions) + len(b.Generations) }

// Encode returns the lists of tokens and assertions of the batch as they are stored, the origins of
// their entries, and the latest expiry in the batch. PackGenerations returns the third list.
func (b Batch) Encode() (tokens, assertions string, origins []byte, expiresAt time.Time) {
	packedTokens, packedAssertions, origins := b.Pack()
	return base64.StdEncoding.EncodeToString(packedTokens), base64.StdEncoding.EncodeToString(packedAssertions), origins, b.ExpiresAt()
}

// Pack returns the lists of tokens and assertions of the batch in bytes, and the origins of their
// entries.
func (b Batch) Pack() (tokens, assertions, origins []byte) {
	sorted, used := byClient(b.Tokens), byClient(b.Assertions)
	return Pack(sorted), Pack(used), packOrigins(sorted, used, b.Clients)
}

// UnpackBatch decodes the output of Batch.Pack.
func UnpackBatch(tokens, assertions, origins []byte) (b Batch, err error) {
	var tokensErr, assertionsErr, originsErr error
	b.Tokens, tokensErr = Unpack(tokens)
	b.Assertions, assertionsErr = Unpack(assertions)
	b.Clients, originsErr = unpackOrigins(b.Tokens, b.Assertions, origins)
	return b, errors.Join(tokensErr, assertionsErr, originsErr)
}

// ExpiresAt returns the latest expiry in the batch.
func (b Batch) ExpiresAt() time.Time {
	latest := uint32(0)
	for _, list := range [][]Entry{b.Tokens, b.Assertions} {
		for _, r := range list {
			latest = max(latest, r.Until)
		}
	}
	for _, g := range b.Generations {
		latest = max(latest, g.Until)
	}
	return time.Unix(int64(latest), 0).UTC()
}

// Margins are the instants at which entries count as expired for Merge: tokens and assertions may
// be kept for longer than they matter. Generations are kept as tokens are.
type Margins struct{ Tokens, Assertions time.Time }

// Merge combines batches into one whose lists are sorted by id, without duplicates, expired entries
// and tokens for which covered returns true. Of two entries of one id it keeps the later expiry,
// and of two generations of a grant the one that counts.
func Merge(at Margins, covered func(Entry, Client) bool, batches ...Batch) (merged Batch) {
	known := numbers{}
	for _, b := range batches {
		for _, r := range b.Tokens {
			client := b.clientOf(r)
			if r.Expired(at.Tokens) || r.Client != 0 && !r.lasts() && covered(r, client) {
				continue
			}
			if r.Client != 0 {
				r.Client = known.of(client, &merged)
			}
			merged.Tokens = append(merged.Tokens, r)
		}
		for _, r := range b.Assertions {
			if r.Expired(at.Assertions) {
				continue
			}
			if r.Client != 0 {
				r.Client = known.of(b.clientOf(r), &merged)
			}
			merged.Assertions = append(merged.Assertions, r)
		}
		merged.mergeGenerations(b, known, at.Tokens)
	}
	merged.Tokens, merged.Assertions = sorted(merged.Tokens), sorted(merged.Assertions)
	merged.Generations = latestGenerations(merged.Generations)
	return merged
}

// sorted sorts a list by id, and removes duplicates.
func sorted(list []Entry) []Entry {
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(compareEntries(a, b), cmp.Compare(b.Until, a.Until), cmp.Compare(b.Client, a.Client))
	})
	return slices.CompactFunc(list, func(a, b Entry) bool { return a.ID == b.ID })
}

// ErrUnreadable is wrapped by every refusal to decode.
var ErrUnreadable = errors.New("unreadable revocations")

// Encode encodes a list of a batch in base64.
func Encode(list []Entry) string {
	return base64.StdEncoding.EncodeToString(Pack(list))
}

// Decode decodes the output of Encode.
func Decode(text string) ([]Entry, error) {
	if len(text) > base64.StdEncoding.EncodedLen(MaxBatch*entrySize) {
		return nil, fmt.Errorf("%w: %d characters are more than %d take", ErrUnreadable, len(text), MaxBatch)
	}
	packed, err := jws.DecodeBase64(text)
	if err != nil {
		return nil, fmt.Errorf("%w: they are not base64", ErrUnreadable)
	}
	return Unpack(packed)
}

// Pack encodes each entry as its id and its expiry in big-endian byte order.
func Pack(list []Entry) []byte {
	packed := make([]byte, 0, len(list)*entrySize)
	for _, r := range list {
		packed = append(packed, r.ID[:]...)
		packed = binary.BigEndian.AppendUint32(packed, r.Until)
	}
	return packed
}

// Unpack decodes the output of Pack.
func Unpack(packed []byte) ([]Entry, error) {
	if len(packed)%entrySize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not %d for each", ErrUnreadable, len(packed), entrySize)
	}
	list := make([]Entry, 0, len(packed)/entrySize)
	for entry := range slices.Chunk(packed, entrySize) {
		r := Entry{Until: binary.BigEndian.Uint32(entry[len(ID{}):])}
		copy(r.ID[:], entry)
		list = append(list, r)
	}
	return list, nil
}

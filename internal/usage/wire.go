// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// The compact form. Numbers are unsigned varints, instants are minutes before the base. Version 2
// has losses, of which there is at least one, and version 1 has none:
//
//	version, base
//	version 2: number of losses, then for each in the order of the namespaces: length of the
//	  namespace, the namespace, the minute since 1970
//	number of entries, then for each object in the order of the keys:
//	  16 bytes of key
//	  flags: bit 0 a token was issued, bit 1 one was presented, bits 2 to 4 which stale uses
//	    follow, the rest the number of secrets
//	  the instants of bits 0 and 1, as far as they are set
//	  for each secret: length of the id, the id, its instant
//	  for each stale use: count, instant, length and text of the secret's id, length and text
//	    of the address
const (
	wireVersion       = 1
	wireVersionLosses = 2
)

// readerVersion is the latest version of reports that this build reads (wire.Form). Version 2 added
// refusals, which older readers ignore, and version 3 losses, which they must not: to them the
// absence of a use would be a proof. Version 4 added the version of tokens that the replica reads,
// which older readers ignore. The first byte of the uses keeps them out too, where a
// CustomResourceDefinition without the field drops the version of the report.
const readerVersion = 4

// MaxReport bounds an encoded report in bytes, maxEntries its objects, of some forty bytes each.
const (
	MaxReport  = 256 << 10
	maxEntries = 16 << 10
)

// ErrUnreadable is wrapped by every failure to decode.
var ErrUnreadable = errors.New("unreadable usage report")

const (
	flagIssued = 1 << iota
	flagPresented
	flagStale // the first of len(oauth2.StaleUses)
)

const credentialsShift = 2 + len(oauth2.StaleUses)

// Encode encodes entries that are sorted by key, and losses that are sorted by namespace. Equal
// ones give equal bytes.
func Encode(entries []Entry, losses ...Loss) []byte {
	base := latestOf(entries)
	w := writer{base: base}
	if len(losses) == 0 {
		w.out.Uvarint(wireVersion)
		w.out.Uvarint(uint64(base))
	} else {
		w.out.Uvarint(wireVersionLosses)
		w.out.Uvarint(uint64(base))
		w.losses(losses)
	}
	w.out.Uvarint(uint64(len(entries)))
	for _, e := range entries {
		w.entry(e)
	}
	return w.out.Bytes
}

func latestOf(entries []Entry) Minute {
	var last Minute
	for _, e := range entries {
		last = max(last, e.Seen.Latest())
	}
	return last
}

type writer struct {
	base Minute
	out  wire.Writer
}

func (w *writer) entry(e Entry) {
	flags := uint64(len(e.Seen.Credentials)) << credentialsShift
	if e.Seen.Issued != 0 {
		flags |= flagIssued
	}
	if e.Seen.Presented != 0 {
		flags |= flagPresented
	}
	var stale [len(oauth2.StaleUses)]*Stale
	for i := range e.Seen.Stale {
		for n, use := range oauth2.StaleUses {
			if e.Seen.Stale[i].Use == use {
				stale[n] = &e.Seen.Stale[i]
				flags |= flagStale << n
			}
		}
	}
	w.out.Bytes = append(w.out.Bytes, e.Key[:]...)
	w.out.Uvarint(flags)
	if e.Seen.Issued != 0 {
		w.minute(e.Seen.Issued)
	}
	if e.Seen.Presented != 0 {
		w.minute(e.Seen.Presented)
	}
	for _, c := range e.Seen.Credentials {
		w.text(c.ID)
		w.minute(c.At)
	}
	for _, s := range stale {
		if s != nil {
			w.out.Uvarint(s.Count)
			w.minute(s.At)
			w.text(s.Credential)
			w.text(s.Source)
		}
	}
}

func (w *writer) minute(at Minute) { w.out.Uvarint(uint64(w.base - at)) }

func (w *writer) text(value string) {
	w.out.Uvarint(uint64(len(value)))
	w.out.Raw(value)
}

// Read decodes the uses of a report of a form.
func Read(form wire.Form, data []byte) ([]Entry, []Loss, error) {
	if err := form.CheckRead(readerVersion); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return Decode(data)
}

// Decode decodes a whole report, or returns ErrUnreadable. It takes a few times the memory of the
// report.
func Decode(data []byte) ([]Entry, []Loss, error) {
	if len(data) > MaxReport {
		return nil, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrUnreadable, len(data), MaxReport)
	}
	r := reader{in: wire.NewReader(string(data))}
	version := r.in.Uvarint()
	if version != wireVersion && version != wireVersionLosses {
		return nil, nil, fmt.Errorf("%w: version %d, this build reads %d and %d", ErrUnreadable, version, wireVersion, wireVersionLosses)
	}
	base := r.in.Uvarint()
	if base > maxMinute || r.in.Failed() {
		return nil, nil, fmt.Errorf("%w: its head is out of bounds", ErrUnreadable)
	}
	r.base = Minute(base)
	var losses []Loss
	if version == wireVersionLosses {
		if losses = r.losses(); losses == nil {
			return nil, nil, fmt.Errorf("%w: its losses are not whole, not in order or out of bounds", ErrUnreadable)
		}
	}
	entries, err := r.entries()
	if err != nil {
		return nil, nil, err
	}
	return entries, losses, nil
}

type reader struct {
	base Minute
	in   wire.Reader
}

// entries reads the entries to the end of the report.
func (r *reader) entries() ([]Entry, error) {
	count := r.in.Uvarint()
	if count > maxEntries || r.in.Failed() {
		return nil, fmt.Errorf("%w: the number of its entries is out of bounds", ErrUnreadable)
	}
	entries := make([]Entry, 0, min(int(count), r.in.Len()/len(Key{})))
	for range count {
		e := r.entry()
		if n := len(entries); r.in.Failed() || n > 0 && bytes.Compare(entries[n-1].Key[:], e.Key[:]) >= 0 {
			return nil, fmt.Errorf("%w: entry %d is not whole, not in order or out of bounds", ErrUnreadable, n)
		}
		entries = append(entries, e)
	}
	if r.in.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrUnreadable, r.in.Len())
	}
	if r.base != latestOf(entries) {
		return nil, fmt.Errorf("%w: its base is not the last of its instants", ErrUnreadable)
	}
	return entries, nil
}

func (r *reader) entry() Entry {
	var e Entry
	copy(e.Key[:], r.in.Raw(len(e.Key)))
	flags := r.in.Uvarint()
	if flags&flagIssued != 0 {
		e.Seen.Issued = r.minute()
	}
	if flags&flagPresented != 0 {
		e.Seen.Presented = r.minute()
	}
	if flags>>credentialsShift > MaxCredentials {
		r.in.Fail()
		return e
	}
	for range flags >> credentialsShift {
		id := r.text(MaxCredentialID)
		e.Seen.Credentials = append(e.Seen.Credentials, Credential{id, r.minute()})
	}
	for n, use := range oauth2.StaleUses {
		if flags&(flagStale<<n) != 0 {
			stale := Stale{Use: use, Count: r.in.Uvarint(), At: r.minute()}
			stale.Credential, stale.Source = r.text(MaxCredentialID), r.text(MaxSource)
			e.Seen.Stale = append(e.Seen.Stale, stale)
		}
	}
	return e
}

// minute reads an instant, which is never zero.
func (r *reader) minute() Minute {
	before := r.in.Uvarint()
	if before >= uint64(r.base) {
		r.in.Fail()
		return 0
	}
	return r.base - Minute(before) //nolint:gosec // it is less than the base
}

// text reads printable ASCII, because the text ends up in events and statuses. It copies it, so
// that an entry does not keep the whole report in memory.
func (r *reader) text(longest uint64) string {
	n := r.in.Uvarint()
	if n > longest {
		r.in.Fail()
		return ""
	}
	text := strings.Clone(r.in.Raw(int(n))) //nolint:gosec // it is at most longest
	if !Printable(text, int(longest)) {     //nolint:gosec // it is a constant of this package
		r.in.Fail()
		return ""
	}
	return text
}

// Printable reports whether a text is printable ASCII without spaces, of bounded length.
func Printable(text string, longest int) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' {
			return false
		}
	}
	return len(text) <= longest
}

// MaxParts bounds the reports of one replica.
const MaxParts = 64

// PartOf returns the part of n, from 0, in which an object is reported. n is a power of two.
func PartOf(key Key, n int) int { return int(key[len(key)-1]) % n }

// Split encodes uses as reports within their bounds: a power of two, and at least as many as
// before, so that an object stays in its part or moves from part p of n to p+n of 2n. entries
// returns those of a part, sorted by key, and its losses; it is called for one part after the
// other, the first part last. whole is false if entries had to be left out.
func Split(atLeast int, entries func(part, n int) ([]Entry, []Loss)) (parts [][]byte, whole bool) {
	for n := max(1, atLeast); ; n *= 2 {
		if parts, whole = split(n, entries); whole || n >= MaxParts {
			return parts, whole
		}
	}
}

func split(n int, entries func(part, n int) ([]Entry, []Loss)) (parts [][]byte, whole bool) {
	parts, whole = make([][]byte, n), true
	for i := n - 1; i >= 0; i-- {
		part, losses := entries(i, n)
		if len(part) > maxEntries {
			part, whole = part[:maxEntries], false
		}
		encoded := Encode(part, losses...)
		for len(encoded) > MaxReport {
			part, whole = part[:len(part)/2], false
			encoded = Encode(part, losses...)
		}
		if parts[i] = encoded; !whole && n < MaxParts {
			return nil, false // more parts are needed
		}
	}
	return parts, whole
}

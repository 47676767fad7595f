// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"encoding/json"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// encoder writes to a stream. After an error it writes nothing more.
type encoder struct {
	wire.Writer

	out  io.Writer
	size int64
	err  error
}

// What comes before each record of a list. For a client and an owner it is the form that follows.
const (
	endOfList = iota
	nextShort
	nextWhole
)

// next begins a record of a list, or ends the list.
func (w *encoder) next(form byte) {
	if len(w.Bytes) >= 64<<10 {
		w.flush()
	}
	w.Byte(form)
}

func (w *encoder) flush() {
	if w.err == nil {
		var n int
		n, w.err = w.out.Write(w.Bytes)
		w.size += int64(n)
	}
	w.Bytes = w.Bytes[:0]
}

// secret writes a Secret of the registry.
func (w *encoder) secret(name, kind string, data map[string][]byte, err error) {
	if err != nil {
		w.err = err
		return
	}
	w.next(nextWhole)
	w.Text(name)
	w.Text(kind)
	w.Varint(int64(len(data)))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		w.Text(key)
		w.Text(string(data[key]))
	}
}

// document writes a value as JSON.
func (w *encoder) document(value any) {
	document, err := json.Marshal(value)
	if err != nil {
		w.err = err
	}
	w.Text(string(document))
}

// decoder reads what encoder wrote. It keeps the first error of a record.
type decoder struct {
	wire.Reader

	err error
}

// each reads the records up to the end of a list.
func each[T any](d *decoder, read func(d *decoder, form byte) T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			switch form := d.Byte(); form {
			case nextShort, nextWhole:
				if !yield(read(d, form)) {
					return
				}
			case endOfList:
				return
			default:
				d.Fail()
				return
			}
		}
	}
}

// checked reads a list to its end, and returns it to be decoded again: decoded records take more
// memory than the snapshot.
func checked[T any](d *decoder, read func(d *decoder, form byte) T, check func(T)) iter.Seq[T] {
	begin := *d
	for record := range each(d, read) {
		check(record)
	}
	return func(yield func(T) bool) {
		again := begin
		each(&again, read)(yield)
	}
}

func (d *decoder) place() (place Place) {
	copy(place[:], d.Raw(len(place)))
	return place
}

func (d *decoder) tenant() (t Tenant) {
	copy(t[:], d.Raw(len(t)))
	return t
}

func (d *decoder) text() string { return strings.Clone(d.Text()) }

func (d *decoder) document(value any) { d.keep(json.Unmarshal([]byte(d.Text()), value)) }

// keep stores the first error, with which the whole snapshot is unreadable.
func (d *decoder) keep(err error) {
	if d.err == nil && !d.Failed() {
		d.err = err
	}
}

func (r *Registry) write(w *encoder) {
	r.writeClients(w)
	for name, resource := range r.Resources.all() {
		data, err := registration.EncodeResource(*resource)
		w.secret(name, registration.ResourceSecretType, data, err)
	}
	for name, issuer := range r.Issuers.all() {
		data, err := registration.EncodeIssuer(*issuer)
		w.secret(name, registration.IssuerSecretType, data, err)
	}
	r.minted.each(func(_ Place, m storedMinted) {
		data, err := registration.EncodeToken(*m.Minted)
		w.secret(registration.TokenSecretName(m.UID), registration.TokenSecretType, data, err)
	})
	if ring := r.Keys.Ring(); !ring.Empty() {
		data, err := registration.EncodeKeys(ring)
		w.secret(registration.KeysSecretName, registration.KeysSecretType, data, err)
	}
	if sealing := r.Sealing.Ring(); !sealing.Empty() {
		data, err := registration.EncodeSealing(sealing)
		w.secret(registration.SealingSecretName, registration.SealingSecretType, data, err)
	}
	w.next(endOfList)
}

func (r *Registry) writeClients(w *encoder) {
	r.clients.each(func(lock Place, c packed) {
		if c.whole == nil {
			w.next(nextShort)
			w.Raw(string(lock[:]))
			w.Text(c.short)
			return
		}
		data, err := registration.Encode(registration.Registration{Client: *c.whole})
		w.secret(registration.SecretName(c.whole.ID), registration.SecretType, data, err)
	})
}

// readRecord reads a Secret of the registry, or a client in the short form. The record has no
// version, because only a watch knows what was written after a restore.
func readRecord(d *decoder, form byte) Record {
	if form == nextShort {
		return Record{kind: registration.SecretType, lock: d.place(), client: packed{short: d.text()}}
	}
	name, kind, data := d.text(), d.text(), map[string][]byte{}
	for range d.Count() {
		key := d.text()
		data[key] = []byte(d.Text())
	}
	r, err := DecodeRecord(name, kind, 0, data)
	d.keep(err)
	return r
}

func (c *Clients) write(w *encoder) {
	c.at.each(func(place Place, o packedOwner) {
		if o.whole == nil {
			w.next(nextShort)
			w.Raw(string(place[:]))
			w.Raw(string(o.from[:]))
			w.Byte(o.flags)
			w.Raw(string(o.uid[:]))
			return
		}
		w.next(nextWhole)
		w.Raw(string(place[:]))
		w.Raw(string(o.from[:]))
		w.document(o.whole)
	})
	w.next(endOfList)
}

func readClient(d *decoder, form byte) Client {
	c := Client{Place: d.place(), Tenant: d.tenant()}
	if form == nextWhole {
		d.document(&c.Owner)
		return c
	}
	o := packedOwner{flags: d.Byte()}
	copy(o.uid[:], d.Raw(len(o.uid)))
	c.Owner = o.owner("")
	return c
}

func (t *Tokens) write(w *encoder) {
	t.owners.each(func(place Place, o mintedOwner) {
		w.next(nextWhole)
		w.Raw(string(place[:]))
		w.Raw(string(o.from[:]))
		w.document(o.MintedOwner)
	})
	w.next(endOfList)
}

func readToken(d *decoder, _ byte) Token {
	t := Token{Place: d.place(), Tenant: d.tenant(), Owner: &oauth2.MintedOwner{}}
	d.document(t.Owner)
	return t
}

func (r *Revocations) write(w *encoder) {
	for name, selector := range r.State.Selectors() {
		if !isQuarantined(name) {
			w.selector(name, selector)
		}
	}
	w.next(endOfList)
}

func (w *encoder) selector(name string, s revocation.Selector) {
	w.next(nextWhole)
	w.Text(name)
	w.Text(s.ClientID)
	w.Text(s.Namespace)
	w.Text(s.Subject)
	w.Text(s.IssuerName)
	packInstant(&w.Writer, s.IssuedBefore)
	collapses := byte(0)
	if s.Collapses {
		collapses = 1
	}
	w.Byte(collapses)
}

func readRevocation(d *decoder, _ byte) Revocation {
	return Revocation{Name: d.text(), Selector: &revocation.Selector{
		ClientID: d.text(), Namespace: d.text(), Subject: d.text(), IssuerName: d.text(), IssuedBefore: unpackInstant(&d.Reader), Collapses: d.Byte() != 0,
	}}
}

// writeOwn writes what no watch brings, and these tombstones.
func (m *Memory) writeOwn(w *encoder, tombstones map[Place]tombstone) {
	for object, gone := range tombstones {
		w.next(nextWhole)
		w.Raw(string(object[:]))
		w.Varint(int64(gone.at))
		w.Raw(string(gone.from[:]))
	}
	w.next(endOfList)
	m.writeQuarantine(w)
	for i := range revocation.Parts {
		part := m.Revocations.State.Part(i)
		tokens, assertions, origins := part.Pack()
		w.next(nextWhole)
		w.Text(string(tokens))
		w.Text(string(assertions))
		w.Text(string(origins))
		w.Text(string(part.PackGenerations()))
	}
	w.next(endOfList)
	packInstant(&w.Writer, m.RestoredBefore())
	if trust := m.trust.Load(); trust != nil {
		w.next(nextWhole)
		w.Text(trust.discovery)
		w.Text(trust.keys)
	}
	w.next(endOfList)
}

func (m *Memory) writeQuarantine(w *encoder) {
	for name, selector := range m.Revocations.State.Selectors() {
		if isQuarantined(name) {
			w.selector(name, selector)
		}
	}
	w.next(endOfList)
	for uid, held := range m.Tokens.quarantine.all() {
		w.next(nextWhole)
		w.Text(uid)
		packInstant(&w.Writer, held.until)
		w.Uvarint(held.since)
	}
	w.next(endOfList)
}

func readOwn(d *decoder) own {
	o := own{tombstones: map[Place]tombstone{}, selectors: map[string]revocation.Selector{}, tokens: map[string]quarantined{}}
	for object := range each(d, func(d *decoder, _ byte) Place { return d.place() }) {
		o.tombstones[object] = tombstone{at: Deletions(d.Varint()), from: d.tenant()}
	}
	for read := range each(d, readRevocation) {
		o.selectors[read.Name] = *read.Selector
	}
	for uid := range each(d, func(d *decoder, _ byte) string { return d.text() }) {
		o.tokens[uid] = quarantined{until: unpackInstant(&d.Reader), since: d.Uvarint()}
	}
	o.revoked = slices.Collect(each(d, readBatch))
	o.restored = unpackInstant(&d.Reader)
	for trust := range each(d, readTrust) {
		o.trust = trust
	}
	return o
}

func readBatch(d *decoder, _ byte) revocation.Batch {
	batch, err := revocation.UnpackBatch([]byte(d.Text()), []byte(d.Text()), []byte(d.Text()))
	d.keep(err)
	d.keep(batch.UnpackGenerations([]byte(d.Text())))
	return batch
}

func readTrust(d *decoder, _ byte) *Trust {
	trust, err := ReadTrust([]byte(d.Text()), []byte(d.Text()))
	d.keep(err)
	return trust
}

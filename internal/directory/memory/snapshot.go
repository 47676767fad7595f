// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/seal"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const (
	// snapshotVersion is the version of the whole snapshot, the short form of clients included.
	snapshotVersion = 15
	snapshotMagic   = "hallpass snapshot "
)

// errSnapshot is wrapped by every failure to decode a snapshot.
var errSnapshot = errors.New("unreadable snapshot")

// Snapshot is what memory had at an instant: the lists of the watches, and what no watch brings.
type Snapshot struct {
	// Heard is the instant until which memory was up to date.
	Heard time.Time
	// Marks are the resourceVersions that the watches had come to, by resource.
	Marks map[string]uint64

	Records     iter.Seq[Record]
	Clients     iter.Seq[Client]
	Tokens      iter.Seq[Token]
	Revocations iter.Seq[Revocation]
	// DroppedClaims are the claims of clients that are not allowed any more.
	DroppedClaims []string

	ring    keyring.Ring
	sealing seal.Ring
	own     own
}

// own is what no watch brings.
type own struct {
	tombstones map[Place]tombstone
	// revoked are the revoked tokens and the used assertions.
	revoked   []revocation.Batch
	selectors map[string]revocation.Selector // in quarantine
	tokens    map[string]quarantined
	trust     *Trust
	// restored is when a restore was noticed last.
	restored time.Time
}

// Begin takes from a snapshot what denies, whatever the API server answers.
func (m *Memory) Begin(s *Snapshot) {
	m.Revocations.State.Quarantine(s.own.selectors)
	for uid, held := range s.own.tokens {
		m.Tokens.quarantine.Store(uid, held)
	}
	m.tombstones.load(s.own.tombstones)
	m.Registry.Keys.before = s.ring
	m.Registry.Sealing.learn(s.sealing, m.past())
	m.NoteRestored(s.own.restored)
	m.Revocations.saved = s.own.revoked
}

// TrustSaved takes the issuer of service account tokens from a snapshot, unless it is known.
func (m *Memory) TrustSaved(s *Snapshot) {
	if s.own.trust != nil {
		m.trust.CompareAndSwap(nil, s.own.trust)
	}
}

// Write writes a snapshot: its version, the instant until which memory is up to date, the list of
// each watch, what no watch brings, and their SHA-256. Of a value that changes meanwhile it writes
// either.
func (m *Memory) Write(out io.Writer, heard time.Time, marks map[string]uint64) (size int64, err error) {
	sum := sha256.New()
	w := &encoder{out: io.MultiWriter(out, sum)}
	// before the objects: one that is deleted meanwhile must not have a tombstone too
	gone := m.tombstones.all()
	w.Raw(snapshotMagic)
	w.Varint(snapshotVersion)
	w.Varint(heard.UnixNano())
	w.Varint(int64(len(marks)))
	for _, resource := range slices.Sorted(maps.Keys(marks)) {
		w.Text(resource)
		w.Uvarint(marks[resource])
	}
	m.Registry.write(w)
	m.Clients.write(w)
	m.Tokens.write(w)
	m.Revocations.write(w)
	m.writeOwn(w, gone)
	if w.flush(); w.err != nil {
		return 0, w.err
	}
	n, err := out.Write(sum.Sum(nil))
	return w.size + int64(n), err //nolint:wrapcheck // the caller knows where it is written
}

// ReadSnapshot decodes a snapshot that Write wrote. One with a single byte changed is refused.
func ReadSnapshot(content string) (*Snapshot, error) {
	end := len(content) - sha256.Size
	if end < 0 || !strings.HasPrefix(content, snapshotMagic) {
		return nil, fmt.Errorf("%w: it is none", errSnapshot)
	}
	sum := sha256.New()
	_, _ = io.WriteString(sum, content[:end])
	if string(sum.Sum(nil)) != content[end:] {
		return nil, fmt.Errorf("%w: its checksum is wrong", errSnapshot)
	}
	d := &decoder{Reader: wire.NewReader(content[len(snapshotMagic):end])}
	if version := d.Varint(); d.Failed() || version != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d, this build reads %d", errSnapshot, version, snapshotVersion)
	}
	s := &Snapshot{Heard: time.Unix(0, d.Varint()), Marks: map[string]uint64{}}
	for range d.Count() {
		resource := strings.Clone(d.Text())
		s.Marks[resource] = d.Uvarint()
	}
	s.Records = checked(d, readRecord, func(r Record) {
		if _, ok := r.client.unpack(); !ok && r.client != (packed{}) {
			d.Fail()
		}
		if ring := r.Ring(); ring != nil {
			s.ring = *ring
		}
		if sealing := r.Sealing(); sealing != nil {
			s.sealing = *sealing
		}
		s.DroppedClaims = append(s.DroppedClaims, r.DroppedClaims...)
	})
	s.Clients = checked(d, readClient, func(Client) {})
	s.Tokens = checked(d, readToken, func(Token) {})
	s.Revocations = checked(d, readRevocation, func(Revocation) {})
	s.own = readOwn(d)
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, d.err)
	}
	if !d.Done() {
		return nil, fmt.Errorf("%w: it is cut short, too long, or has a record of the wrong form", errSnapshot)
	}
	return s, nil
}

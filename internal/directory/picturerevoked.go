// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// adoptRevoked takes over what a snapshot has of revocations. What was in quarantine is already.
func (d *Directory) adoptRevoked(p *picture) {
	d.revocations.Resume(p.marks[resourceRevocations])
	d.learnRevoked(p.revoked)
	for name, selector := range p.selectors {
		if !strings.HasPrefix(name, heldPrefix) {
			d.revocations.Select(name, selector)
		}
	}
}

// learnRevoked takes back the single tokens that a snapshot says, and the assertions that were used.
func (d *Directory) learnRevoked(revoked *revocation.State) {
	for i := range revocation.Parts {
		d.revocations.Learn(revoked.Part(i), d.now())
	}
}

func (p *picture) writeRevoked(w *recordWriter) error {
	w.number(revocation.Parts)
	for i := range revocation.Parts {
		part := p.revoked.Part(i)
		w.record(string(revocation.Pack(part.Tokens)), string(revocation.Pack(part.Assertions)))
	}
	return nil
}

func (p *picture) readRevoked(record []string) error {
	if len(record) != 2 {
		return errRecord
	}
	tokens, err := revocation.Unpack([]byte(record[0]))
	if err != nil {
		return err
	}
	assertions, err := revocation.Unpack([]byte(record[1]))
	if err != nil {
		return err
	}
	p.revoked.Learn(revocation.Batch{Tokens: tokens, Assertions: assertions}, p.heard)
	return nil
}

func (p *picture) writeSelectors(w *recordWriter) error {
	w.number(int64(len(p.selectors)))
	for name, s := range p.selectors {
		w.record(name, s.ClientID, s.Namespace, packNumber(s.IssuedBefore.Unix()))
	}
	return nil
}

func (p *picture) readSelector(record []string) error {
	if len(record) != 4 {
		return errRecord
	}
	before, err := unpackNumber(record[3])
	if err != nil {
		return err
	}
	p.selectors[strings.Clone(record[0])] = revocation.Selector{
		ClientID: strings.Clone(record[1]), Namespace: strings.Clone(record[2]), IssuedBefore: time.Unix(before, 0).UTC(),
	}
	return nil
}

func (p *picture) writeDeparted(w *recordWriter) error {
	w.number(int64(len(p.departed)))
	for object, noted := range p.departed {
		w.record(string(object[:]), packNumber(noted))
	}
	return nil
}

func (p *picture) readDeparted(record []string) error {
	if len(record) != 2 || len(record[0]) != len(hash{}) {
		return errRecord
	}
	noted, err := unpackNumber(record[1])
	if err != nil {
		return err
	}
	p.departed[hash([]byte(record[0]))] = noted
	return nil
}

func (p *picture) writeHeld(w *recordWriter) error {
	w.number(int64(len(p.held)))
	for uid, held := range p.held {
		until := int64(0)
		if !held.until.IsZero() {
			until = held.until.Unix()
		}
		w.record(uid, packNumber(until), packNumber(int64(held.since))) //nolint:gosec // etcd's revisions are positive int64
	}
	return nil
}

// readHeld reads an OAuth2Token in quarantine. The first form of this section has nothing but its UID.
func (p *picture) readHeld(record []string) error {
	if len(record) != 1 && len(record) != 3 {
		return errRecord
	}
	held := heldToken{}
	if len(record) == 3 {
		until, untilErr := unpackNumber(record[1])
		since, sinceErr := unpackNumber(record[2])
		if untilErr != nil || sinceErr != nil || since < 0 {
			return errRecord
		}
		held.since = uint64(since)
		if until != 0 {
			held.until = time.Unix(until, 0).UTC()
		}
	}
	p.held[strings.Clone(record[0])] = held
	return nil
}

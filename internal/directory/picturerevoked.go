// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// adoptRevoked takes back what a snapshot says.
func (d *Directory) adoptRevoked(revoked *oauth2.Revocations, mark uint64) {
	d.revocations.Resume(mark)
	d.learnRevoked(revoked)
	for name, selector := range revoked.Selectors() {
		d.revocations.Select(name, selector)
	}
}

// learnRevoked takes back the single tokens that a snapshot says, and the assertions that were used.
func (d *Directory) learnRevoked(revoked *oauth2.Revocations) {
	for i := range oauth2.RevocationParts {
		d.revocations.Learn(revoked.Part(i), d.now())
	}
}

func (p *picture) writeRevoked(w *recordWriter) error {
	w.number(oauth2.RevocationParts)
	for i := range oauth2.RevocationParts {
		part := p.revoked.Part(i)
		w.record(string(oauth2.PackRevocations(part.Tokens)), string(oauth2.PackRevocations(part.Assertions)))
	}
	return nil
}

func (p *picture) readRevoked(record []string) error {
	if len(record) != 2 {
		return errRecord
	}
	tokens, err := oauth2.UnpackRevocations([]byte(record[0]))
	if err != nil {
		return err
	}
	assertions, err := oauth2.UnpackRevocations([]byte(record[1]))
	if err != nil {
		return err
	}
	p.revoked.Learn(oauth2.RevocationBatch{Tokens: tokens, Assertions: assertions}, p.heard)
	return nil
}

func (p *picture) writeSelectors(w *recordWriter) error {
	selectors := p.revoked.Selectors()
	w.number(int64(len(selectors)))
	for name, s := range selectors {
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
	p.revoked.Select(record[0], oauth2.RevocationSelector{ClientID: record[1], Namespace: record[2], IssuedBefore: time.Unix(before, 0).UTC()})
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
	for _, uid := range p.held {
		w.record(uid)
	}
	return nil
}

func (p *picture) readHeld(record []string) error {
	if len(record) != 1 {
		return errRecord
	}
	p.held = append(p.held, strings.Clone(record[0]))
	return nil
}

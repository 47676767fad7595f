// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"time"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// adoptRevoked takes back what a snapshot says.
func (d *Directory) adoptRevoked(revoked *oauth2.Revocations, mark uint64) {
	d.revocations.Resume(mark)
	for i := range oauth2.RevocationParts {
		d.revocations.Learn(revoked.Part(i), d.now())
	}
	for name, selector := range revoked.Selectors() {
		d.revocations.Select(name, selector)
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

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

// picture is all that memory holds at an instant, as values that nothing changes.
type picture struct {
	// heard is the instant up to which it is what the API server had.
	heard time.Time
	// marks are the resourceVersions that the sources had come to, by resource.
	marks     map[string]uint64
	clients   map[hash]packed
	owners    map[hash]packedOwner
	resources map[string]*oauth2.Resource
	ring      keyring.Ring
	trust     *readCluster
	// revoked has the single tokens, which may become more while it is written; selectors are those in quarantine too.
	revoked   *revocation.State
	selectors map[string]revocation.Selector
	// minted and mintedOwners are the OAuth2Tokens.
	minted       map[hash]*oauth2.Minted
	mintedOwners map[hash]*oauth2.MintedOwner
	// departed is what was deleted, and held are the OAuth2Tokens in quarantine, by UID.
	departed map[hash]int64
	held     map[string]heldToken
	// droppedClaims are the claims that the snapshot had of clients and that are not allowed any more.
	droppedClaims []string
}

// errPicture is wrapped by every failure to read one.
var errPicture = errors.New("unreadable snapshot")

// The sections of a picture, in their order. Each has its number of records before them; a record is a list of texts.
const (
	sectionMarks     = "marks"
	sectionClients   = "clients"
	sectionOwners    = "owners"
	sectionResources = "resources"
	sectionMinted    = "minted"
	sectionTokens    = "tokens"
	sectionKeys      = "keys"
	sectionTrust     = "trust"
	sectionRevoked   = "revoked"
	sectionSelectors = "selectors"
	sectionDeparted  = "departed"
	sectionHeld      = "held"
)

// section is one part of a picture: how it is written and how one of its records is read.
type section struct {
	name  string
	write func(*recordWriter) error
	read  func(record []string) error
}

// sections is what a snapshot holds. Whoever adds state to the Directory adds it here, and raises snapshotVersion.
func (p *picture) sections() []section {
	return []section{
		{sectionMarks, p.writeMarks, p.readMark},
		{sectionClients, p.writeClients, p.readClient},
		{sectionOwners, p.writeOwners, p.readOwner},
		{sectionResources, p.writeResources, p.readResource},
		{sectionMinted, p.writeMinted, p.readMinted},
		{sectionTokens, p.writeMintedOwners, p.readMintedOwner},
		{sectionKeys, p.writeKeys, p.readKeys},
		{sectionTrust, p.writeTrust, p.readTrust},
		{sectionRevoked, p.writeRevoked, p.readRevoked},
		{sectionSelectors, p.writeSelectors, p.readSelector},
		{sectionDeparted, p.writeDeparted, p.readDeparted},
		{sectionHeld, p.writeHeld, p.readHeld},
	}
}

// write writes the picture.
func (p *picture) write(w *recordWriter) error {
	w.number(p.heard.UnixNano())
	for _, s := range p.sections() {
		w.text(s.name)
		if err := s.write(w); err != nil {
			return fmt.Errorf("write %s: %w", s.name, err)
		}
	}
	return w.err
}

// readPicture reads a picture whole or not at all.
func readPicture(r wire.Reader) (*picture, error) {
	p := &picture{
		marks: map[string]uint64{}, clients: map[hash]packed{}, owners: map[hash]packedOwner{}, resources: map[string]*oauth2.Resource{},
		revoked: &revocation.State{}, selectors: map[string]revocation.Selector{},
		minted: map[hash]*oauth2.Minted{}, mintedOwners: map[hash]*oauth2.MintedOwner{}, departed: map[hash]int64{}, held: map[string]heldToken{},
	}
	p.heard = time.Unix(0, r.Varint())
	for _, s := range p.sections() {
		if name := r.Text(); name != s.name {
			return nil, fmt.Errorf("%w: %q where %s should be", errPicture, name, s.name)
		}
		for range r.Count() {
			record := unpackTexts(&r, nil)
			if r.Failed() {
				break
			}
			if err := s.read(record); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", errPicture, s.name, err)
			}
		}
	}
	if !r.Done() {
		return nil, fmt.Errorf("%w: it is cut short or goes on", errPicture)
	}
	return p, nil
}

var errRecord = errors.New("a record has the wrong form")

func (p *picture) writeMarks(w *recordWriter) error {
	w.number(int64(len(p.marks)))
	for _, resource := range slices.Sorted(maps.Keys(p.marks)) {
		w.record(resource, packNumber(int64(p.marks[resource]))) //nolint:gosec // etcd's revisions are positive int64
	}
	return nil
}

func (p *picture) readMark(record []string) error {
	if len(record) != 2 {
		return errRecord
	}
	mark, err := unpackNumber(record[1])
	if err != nil || mark < 0 {
		return errRecord
	}
	p.marks[record[0]] = uint64(mark)
	return nil
}

// What the value of a client or an owner is: its short form, or a document.
const (
	valueShort = "s"
	valueWhole = "w"
)

func (p *picture) writeClients(w *recordWriter) error {
	w.number(int64(len(p.clients)))
	for key, c := range p.clients {
		if c.whole == nil {
			w.record(string(key[:]), valueShort, c.short)
			continue
		}
		data, err := registration.Encode(registration.Registration{Client: *c.whole})
		if err != nil {
			return err
		}
		w.record(append([]string{string(key[:]), valueWhole}, flatten(data)...)...)
	}
	return nil
}

func (p *picture) readClient(record []string) error {
	if len(record) < 3 || len(record[0]) != len(hash{}) {
		return errRecord
	}
	key := hash([]byte(record[0]))
	switch record[1] {
	case valueShort:
		c := packed{short: strings.Clone(record[2])}
		if _, ok := c.unpack(); !ok || len(record) != 3 {
			return errRecord
		}
		p.clients[key] = c
	case valueWhole:
		data, err := unflatten(record[2:])
		if err != nil {
			return err
		}
		registered, err := registration.Decode(data)
		if err != nil {
			return err
		}
		p.clients[key] = packed{whole: &registered.Client}
		p.droppedClaims = append(p.droppedClaims, registered.DroppedClaims...)
	default:
		return errRecord
	}
	return nil
}

// writtenOwner is an owner as it is written. It has all its fields, or the conversion would not compile.
type writtenOwner struct {
	UID         string `json:"uid"`
	Terminating bool   `json:"terminating,omitempty"`
	Suspended   bool   `json:"suspended,omitempty"`

	RevokedBefore time.Time `json:"revokedBefore,omitzero"`
}

func (p *picture) writeOwners(w *recordWriter) error {
	w.number(int64(len(p.owners)))
	for key, o := range p.owners {
		if o.whole == nil {
			w.record(string(key[:]), valueShort, string(append([]byte{o.flags}, o.uid[:]...)))
			continue
		}
		document, err := json.Marshal(writtenOwner(*o.whole))
		if err != nil {
			return fmt.Errorf("encode an owner: %w", err)
		}
		w.record(string(key[:]), valueWhole, string(document))
	}
	return nil
}

func (p *picture) readOwner(record []string) error {
	if len(record) != 3 || len(record[0]) != len(hash{}) {
		return errRecord
	}
	key := hash([]byte(record[0]))
	switch record[1] {
	case valueShort:
		if len(record[2]) != 1+len(wire.UUID{}) || record[2][0]&uidIsUUID == 0 {
			return errRecord
		}
		p.owners[key] = packedOwner{flags: record[2][0], uid: wire.UUID([]byte(record[2][1:]))}
	case valueWhole:
		var written writtenOwner
		if err := json.Unmarshal([]byte(record[2]), &written); err != nil {
			return fmt.Errorf("decode an owner: %w", err)
		}
		owner := oauth2.Owner(written)
		p.owners[key] = packedOwner{whole: &owner}
	default:
		return errRecord
	}
	return nil
}

func (p *picture) writeResources(w *recordWriter) error {
	w.number(int64(len(p.resources)))
	for name, resource := range p.resources {
		data, err := registration.EncodeResource(*resource)
		if err != nil {
			return err
		}
		w.record(append([]string{name}, flatten(data)...)...)
	}
	return nil
}

func (p *picture) readResource(record []string) error {
	if len(record) == 0 {
		return errRecord
	}
	data, err := unflatten(record[1:])
	if err != nil {
		return err
	}
	resource, err := registration.DecodeResource(data)
	if err != nil {
		return err
	}
	p.resources[strings.Clone(record[0])] = &resource
	return nil
}

func (p *picture) writeMinted(w *recordWriter) error {
	w.number(int64(len(p.minted)))
	for key, m := range p.minted {
		data, err := registration.EncodeToken(*m)
		if err != nil {
			return err
		}
		w.record(append([]string{string(key[:])}, flatten(data)...)...)
	}
	return nil
}

func (p *picture) readMinted(record []string) error {
	if len(record) == 0 || len(record[0]) != len(hash{}) {
		return errRecord
	}
	data, err := unflatten(record[1:])
	if err != nil {
		return err
	}
	m, err := registration.DecodeToken(data)
	if err != nil {
		return err
	}
	p.minted[hash([]byte(record[0]))] = &m
	return nil
}

// writtenMintedOwner is the owner of a token as it is written, with all its fields.
type writtenMintedOwner struct {
	UID         string   `json:"uid"`
	Terminating bool     `json:"terminating,omitempty"`
	ClientName  string   `json:"clientName"`
	Scopes      []string `json:"scopes,omitempty"`
}

func (p *picture) writeMintedOwners(w *recordWriter) error {
	w.number(int64(len(p.mintedOwners)))
	for key, o := range p.mintedOwners {
		document, err := json.Marshal(writtenMintedOwner(*o))
		if err != nil {
			return fmt.Errorf("encode the owner of a token: %w", err)
		}
		w.record(string(key[:]), string(document))
	}
	return nil
}

func (p *picture) readMintedOwner(record []string) error {
	if len(record) != 2 || len(record[0]) != len(hash{}) {
		return errRecord
	}
	var written writtenMintedOwner
	if err := json.Unmarshal([]byte(record[1]), &written); err != nil {
		return fmt.Errorf("decode the owner of a token: %w", err)
	}
	owner := oauth2.MintedOwner(written)
	p.mintedOwners[hash([]byte(record[0]))] = &owner
	return nil
}

func (p *picture) writeKeys(w *recordWriter) error {
	if p.ring.Empty() {
		w.number(0)
		return nil
	}
	data, err := registration.EncodeKeys(p.ring)
	if err != nil {
		return err
	}
	w.number(1)
	w.record(flatten(data)...)
	return nil
}

func (p *picture) readKeys(record []string) error {
	data, err := unflatten(record)
	if err != nil {
		return err
	}
	p.ring, err = registration.DecodeKeys(data)
	return err
}

func (p *picture) writeTrust(w *recordWriter) error {
	if p.trust == nil {
		w.number(0)
		return nil
	}
	w.number(1)
	w.record(p.trust.discovery, p.trust.keys)
	return nil
}

func (p *picture) readTrust(record []string) error {
	if len(record) != 2 {
		return errRecord
	}
	trust, err := readTrust([]byte(record[0]), []byte(record[1]))
	if err != nil {
		return err
	}
	p.trust = trust
	return nil
}

// flatten is the data of a Secret as a list of texts.
func flatten(data map[string][]byte) []string {
	list := make([]string, 0, 2*len(data))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		list = append(list, key, string(data[key]))
	}
	return list
}

func unflatten(list []string) (map[string][]byte, error) {
	if len(list)%2 != 0 {
		return nil, errRecord
	}
	data := make(map[string][]byte, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		data[list[i]] = []byte(list[i+1])
	}
	return data, nil
}

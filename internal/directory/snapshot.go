// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// The pace of snapshots.
const (
	// snapshotGather is how long changes that come together are waited for.
	snapshotGather = 50 * time.Millisecond
	// snapshotPause is the least time between two files, and snapshotShare the part of the time that may be spent on them: a big
	// one is written less often. What changes in between is lost to a container that dies then while the API server is away.
	snapshotPause = time.Second
	snapshotShare = 20
	// snapshotRefresh is how often a file is written although nothing has changed, for its instant.
	snapshotRefresh = time.Minute
)

// The question whether the API server is there, which a start asks while it waits for the first lists.
const (
	presenceTimeout = time.Second
	presenceAgain   = 250 * time.Millisecond
)

// snapshotSkew is how far ahead of the clock a snapshot may be. Of one from further in the future nobody knows how old it is.
const snapshotSkew = time.Minute

// snapshot is what is known of the file.
type snapshot struct {
	file string
	// found is what a start found in the file, until the API server has answered or it was adopted.
	found *picture
	// changed says that memory is not what the file has.
	changed chan struct{}
	written atomic.Pointer[WrittenSnapshot]
	vouches func() bool
}

// WrittenSnapshot is what is known of the last snapshot that was written.
type WrittenSnapshot struct {
	At   time.Time
	Size int64
}

// Snapshot is the last snapshot that was written; its instant is zero if there was none.
func (d *Directory) Snapshot() WrittenSnapshot {
	if written := d.snapshot.written.Load(); written != nil {
		return *written
	}
	return WrittenSnapshot{}
}

// DropSnapshot removes the snapshot. It is called when Run has returned.
func (d *Directory) DropSnapshot() error {
	if d.snapshot.file == "" {
		return nil
	}
	if err := os.Remove(d.snapshot.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("drop the snapshot: %w", err)
	}
	return nil
}

// note says that memory has changed. It never waits.
func (s *snapshot) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// look reads the file. What cannot be read is no snapshot; the log says why.
func (d *Directory) look() {
	if d.snapshot.file == "" {
		return
	}
	p, err := readSnapshot(d.snapshot.file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil && p.heard.After(d.now().Add(snapshotSkew)) {
		err = errors.New("it is from the future, so that nobody knows how old it is")
	}
	if err != nil {
		d.log.Error("cannot use the snapshot; nothing is answered until the API server is", "file", d.snapshot.file, "error", err)
		return
	}
	d.holdAgain(p)
	d.departed.fill(p.departed)
	d.keys.before = p.ring
	d.snapshot.found = p
}

// bridge serves from the snapshot as soon as the API server turns out to be away, and as long as it is: the first list of a
// source takes the place of what the snapshot had of it.
func (d *Directory) bridge(ctx context.Context) {
	for d.snapshot.found != nil && !d.read() {
		if err := d.present(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("the API server is away; serving from the snapshot", "heard", d.snapshot.found.heard.UTC().Format(time.RFC3339), "error", err)
			logDropped(d.log, d.snapshot.file, d.snapshot.found.droppedClaims)
			d.adopt(d.snapshot.found)
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(presenceAgain):
		}
	}
	d.listing.Lock()
	d.snapshot.found = nil
	d.listing.Unlock()
	tidy()
}

// present asks the API server for something small. That there is no such thing is an answer.
func (d *Directory) present(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	err := d.core.Get().Namespace(d.namespace).Resource(resourceSecrets).Name(registration.KeysSecretName).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err //nolint:wrapcheck // the caller says what it was about
}

// adopt takes from a snapshot what was not read from the API server.
func (d *Directory) adopt(p *picture) {
	d.listing.Lock()
	defer d.listing.Unlock()
	for _, s := range d.sources {
		if synced, _, _ := s.state(); !synced {
			d.adoptSource(s, p)
		}
	}
	if p.trust != nil {
		d.trust.held.CompareAndSwap(nil, p.trust)
	}
	d.adopted.Store(true)
}

// adoptSource takes what a snapshot has of one source.
func (d *Directory) adoptSource(s *source, p *picture) {
	switch s.resource {
	case resourceSecrets:
		fill(&d.records, clientOf, p.clients)
		d.resources.fill(p.resources)
		d.minted.records.fill(storedOf(p.minted))
		if !p.ring.Empty() {
			d.keys.learn(p.ring, d.now())
		}
	case resourceClients:
		fill(&d.records, ownerIn, p.owners)
	case resourceRevocations:
		d.adoptRevoked(p)
	case resourceTokens:
		d.minted.owners.fill(p.mintedOwners)
	}
	s.resume(p.heard, p.marks[s.resource])
}

// storedOf are the records of a snapshot, which has no resourceVersions.
func storedOf(records map[hash]*oauth2.Minted) map[hash]storedMinted {
	stored := make(map[hash]storedMinted, len(records))
	for key, m := range records {
		stored[key] = storedMinted{Minted: m}
	}
	return stored
}

// picture is what memory holds now.
func (d *Directory) picture() *picture {
	gone := d.departed.all() // before the owners: what goes in between is in neither
	p := &picture{
		heard: d.Heard(), marks: map[string]uint64{}, clients: all(&d.records, clientOf), owners: all(&d.records, ownerIn),
		resources: d.resources.all(), ring: d.Ring(), trust: d.trust.held.Load(), revoked: &d.revocations, selectors: d.revocations.Selectors(),
		minted: map[hash]*oauth2.Minted{}, mintedOwners: d.minted.owners.all(), departed: gone, held: d.minted.allHeld(),
	}
	for key, stored := range d.minted.records.all() {
		p.minted[key] = stored.Minted
	}
	for _, s := range d.sources {
		_, _, p.marks[s.resource] = s.state()
	}
	return p
}

// keepSnapshot keeps the file at what memory holds, until the context ends.
func (d *Directory) keepSnapshot(ctx context.Context) {
	if d.snapshot.file == "" {
		return
	}
	failed := false
	for wait := time.Duration(0); ; {
		pause(ctx, wait)
		select {
		case <-ctx.Done():
		case <-d.snapshot.changed:
			pause(ctx, snapshotGather)
		case <-time.After(snapshotRefresh):
		}
		took, err := d.save()
		if err != nil && !failed {
			d.log.Error("cannot write the snapshot; a container that starts while the API server is away will not serve", "error", err)
		}
		failed = err != nil
		if wait = max(snapshotPause, snapshotShare*took); ctx.Err() != nil {
			return
		}
	}
}

// save writes the file, once everything was read from the API server: until then the file that is there says as much. A process that
// nobody has heard of leaves none: nobody would know of the one that went on from it.
func (d *Directory) save() (time.Duration, error) {
	if !d.read() || d.Ring().Empty() || d.snapshot.vouches != nil && !d.snapshot.vouches() {
		return 0, nil
	}
	select { // what changes from here on is not in the picture for certain
	case <-d.snapshot.changed:
	default:
	}
	began, at := time.Now(), d.now() // what is known by now is in the picture
	size, err := writeSnapshot(d.snapshot.file, d.picture())
	if err == nil {
		d.snapshot.written.Store(&WrittenSnapshot{At: at, Size: size})
	}
	return time.Since(began), err
}

// read reports whether every source was read in full from the API server.
func (d *Directory) read() bool {
	for _, s := range d.sources {
		if synced, _, _ := s.state(); !synced {
			return false
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

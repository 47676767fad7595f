// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package directory is the token server's only access to Kubernetes. It connects watches with the
// stores of memory, looks up single objects, and keeps a snapshot. It grants nothing on its own and
// writes nothing but revocations, and redemptions of codes.
package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/directory/watch"
)

// Config is what a Directory needs.
type Config struct {
	// REST connects with the token server's own rights.
	REST *rest.Config
	// RegistryNamespace is where registrations and signing keys are kept.
	RegistryNamespace string
	// Log receives which records cannot be read. It never receives their contents.
	Log *slog.Logger
	// SnapshotFile is the file of the snapshot; empty for none.
	SnapshotFile string
	// Reporting reports whether this process has a usage report; without one it writes no
	// snapshot. Nil means that it has.
	Reporting func() bool
	// MaxStaleness bounds the silence of the API server, after which nothing is decided; zero
	// is no bound.
	MaxStaleness time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Clock compares it with that of the API server. Nil means that nothing is compared.
	Clock *apiclock.Clock
	// RevocationSeen receives how long after it was written a batch of revocations came; it may
	// be nil.
	RevocationSeen func(lag time.Duration)
}

// Directory answers from memory, and asks the API server for what memory lacks.
type Directory struct {
	remembered

	log          *slog.Logger
	api          api
	watches      *watch.Watches
	sources      sources
	snapshots    *snapshots
	now          func() time.Time
	start        start
	maxStaleness time.Duration
}

// New connects a Directory; Run fills it.
func New(config Config) (*Directory, error) {
	api, err := connect(config.REST, config.RegistryNamespace, config.Clock)
	if err != nil {
		return nil, err
	}
	d := &Directory{log: config.Log, api: api, now: config.Now, maxStaleness: config.MaxStaleness}
	if d.now == nil {
		d.now = time.Now
	}
	clock := cmp.Or(config.Clock, uncompared(d.now))
	d.start.clock = clock
	d.memory = memory.New(d.now, clock.Forgotten)
	d.snapshots = &snapshots{
		file: config.SnapshotFile, reporting: config.Reporting, log: d.log, now: d.now, clock: clock, memory: d.memory, changed: make(chan struct{}, 1),
	}
	d.watches = watch.New(watch.Config{Log: d.log, Now: d.now, Heard: api.contact.note, Changed: d.snapshots.note, Restored: d.memory.NoteRestored})
	d.sources = newSources(d.watches, d.memory, api, config)
	d.snapshots.watches, d.snapshots.sources = d.watches, d.sources
	return d, nil
}

// Run watches until the context ends.
func (d *Directory) Run(ctx context.Context) {
	d.snapshots.read()
	var running sync.WaitGroup
	for _, source := range d.sources.all() {
		running.Go(func() { source.Run(ctx) })
	}
	running.Go(func() { d.snapshots.serve(ctx, d.api.present) })
	running.Go(func() { d.snapshots.keep(ctx) })
	running.Go(func() { d.keepTrust(ctx) })
	running.Go(func() { keepUp(ctx, d.memory, d.watches, d.now) })
	running.Wait()
}

const (
	// sweepInterval is how often expired entries are removed, and keepUpInterval how often
	// keepUp checks.
	sweepInterval  = time.Minute
	keepUpInterval = time.Second
)

// keepUp removes expired entries, and acts upon the proof of a restore that waits.
func keepUp(ctx context.Context, m *memory.Memory, w *watch.Watches, clock func() time.Time) {
	ticker := time.NewTicker(keepUpInterval)
	defer ticker.Stop()
	for swept := clock(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.ActOnWaiting()
		now := clock()
		if watch.Elapsed(swept, now) < sweepInterval {
			continue
		}
		if !w.Heard().IsZero() { // the records of opaque tokens are known
			m.Release()
		}
		m.Sweep()
		swept = now
	}
}

// Ready returns an error unless everything was read or loaded from a snapshot, there is a signing
// key, and memory is not stale. At the start a key has to sign too, and the clock to be right.
func (d *Directory) Ready() error {
	if unread := d.watches.Unread(); unread != "" {
		return fmt.Errorf("the %s were not read yet", unread)
	}
	switch {
	case d.Ring().Empty():
		return errors.New("there is no signing key yet; the manager makes it")
	case d.Stale():
		return fmt.Errorf("the last event or list of the API server came %s ago, which is more than the limit", d.Silence().Round(time.Second))
	}
	return d.start.check(d.Ring(), d.Bridging(), d.now())
}

// Bridging reports whether a snapshot serves, because the API server has been away since the start.
func (d *Directory) Bridging() bool { return d.snapshots.served.Load() && !d.watches.Synced() }

// Heard is the instant until which memory is up to date; zero until everything was read.
func (d *Directory) Heard() time.Time { return d.watches.Heard() }

// Silence is how long ago the watch that is furthest behind last brought something; the longest
// duration until each was read.
func (d *Directory) Silence() time.Duration { return d.watches.Silence() }

// Stale reports whether memory is too old for a decision, because it honours what was revoked
// since. It is until everything was read: registrations may be known before revocations are.
func (d *Directory) Stale() bool {
	return d.Heard().IsZero() || d.maxStaleness > 0 && d.Silence() > d.maxStaleness
}

// Restored counts how often the API server was proven to be restored from a backup.
func (d *Directory) Restored() int64 { return d.watches.Restored() }

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/directory/watch"
)

// The pace of snapshots.
const (
	// snapshotGather is how long changes that come together are waited for.
	snapshotGather = 50 * time.Millisecond
	// snapshotPause is the least time between two files, and snapshotShare the part of the time
	// that may be spent on them: a big one is written less often. What changes in between is
	// lost to a container that dies then while the API server is away.
	snapshotPause = time.Second
	snapshotShare = 20
	// snapshotRefresh is how often a file is written although nothing has changed, for its
	// instant.
	snapshotRefresh = time.Minute
)

// presenceInterval is how often a start probes the API server, while it waits for the first lists.
const presenceInterval = 250 * time.Millisecond

// maxSnapshot bounds what is read; 100,000 clients take some twenty megabytes.
const maxSnapshot = 1 << 30

// snapshots keeps the file of the snapshot, and serves from it while the API server is away.
type snapshots struct {
	file      string
	reporting func() bool
	log       *slog.Logger
	now       func() time.Time
	clock     *apiclock.Clock
	memory    *memory.Memory
	watches   *watch.Watches
	sources   sources

	// saved is the snapshot that was read at the start, until it serves or the API server has
	// answered.
	saved  *memory.Snapshot
	served atomic.Bool
	// changed is whether memory differs from the file.
	changed chan struct{}
	written atomic.Pointer[WrittenSnapshot]
}

// WrittenSnapshot is what is known of the last snapshot that was written.
type WrittenSnapshot struct {
	At   time.Time
	Size int64
}

// Snapshot is the last snapshot that was written; its instant is zero if there was none.
func (d *Directory) Snapshot() WrittenSnapshot {
	if written := d.snapshots.written.Load(); written != nil {
		return *written
	}
	return WrittenSnapshot{}
}

// DropSnapshot removes the snapshot. It is called when Run has returned.
func (d *Directory) DropSnapshot() error {
	if d.snapshots.file == "" {
		return nil
	}
	if err := os.Remove(d.snapshots.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("drop the snapshot: %w", err)
	}
	return nil
}

// note records that memory has changed. It never waits.
func (s *snapshots) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// read reads the file. What cannot be read is no snapshot; the log has the reason.
func (s *snapshots) read() {
	if s.file == "" {
		return
	}
	found, err := readSnapshot(s.file)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		s.log.Error("cannot use the snapshot; nothing is answered until the API server is", "file", s.file, "error", err)
		return
	}
	if s.isFuture(found) {
		s.log.Error("the snapshot is from the future; it is used once the clock has reached it", "file", s.file, "heard", found.Heard.UTC().Format(time.RFC3339))
	}
	s.clock.Resume(found.Heard)
	s.memory.Begin(found)
	s.sources.save(found)
	s.saved = found
}

// isFuture reports whether the clock is before the instant of a snapshot, whose age is unknown
// then.
func (s *snapshots) isFuture(found *memory.Snapshot) bool { return s.now().Before(found.Heard) }

// serve loads the snapshot if the API server turns out to be away. The first list of each source
// replaces what the snapshot had of it.
func (s *snapshots) serve(ctx context.Context, present func(context.Context) error) {
	for s.saved != nil && !s.watches.Synced() {
		if err := present(ctx); err != nil && ctx.Err() == nil && !s.isFuture(s.saved) {
			s.log.Warn("the API server is away; serving from the snapshot", "heard", s.saved.Heard.UTC().Format(time.RFC3339), "error", err)
			logDropped(s.log, s.file, s.saved.DroppedClaims)
			s.load()
			break
		}
		if !pause(ctx, presenceInterval) {
			return
		}
	}
	s.saved = nil // no source needs its list any more
	watch.FreeMemory()
}

// load takes from the snapshot what was not read from the API server.
func (s *snapshots) load() {
	for _, source := range s.sources.all() {
		source.Load()
	}
	s.memory.TrustSaved(s.saved)
	s.served.Store(true)
}

// keep writes the file whenever memory has changed, until the context ends.
func (s *snapshots) keep(ctx context.Context) {
	if s.file == "" {
		return
	}
	failed := false
	for wait := time.Duration(0); ; {
		pause(ctx, wait)
		select {
		case <-ctx.Done():
		case <-s.changed:
			pause(ctx, snapshotGather)
		case <-time.After(snapshotRefresh):
		}
		took, err := s.save()
		if err != nil && !failed {
			s.log.Error("cannot write the snapshot; a container that starts while the API server is away will not serve", "error", err)
		}
		failed = err != nil
		if wait = max(snapshotPause, snapshotShare*took); ctx.Err() != nil {
			return
		}
	}
}

// save writes the file once everything was read from the API server. A process without a usage
// report writes none: what the next process accepts would be unknown.
func (s *snapshots) save() (time.Duration, error) {
	if !s.watches.Synced() || s.memory.Registry.Keys.Ring().Empty() || s.reporting != nil && !s.reporting() {
		return 0, nil
	}
	select { // what changes from here on may be missing in the file
	case <-s.changed:
	default:
	}
	began, at := time.Now(), s.now() // what is known by now is in the file
	size, err := s.write()
	if err == nil {
		s.written.Store(&WrittenSnapshot{At: at, Size: size})
	}
	return time.Since(began), err
}

// write replaces the file in one step. Only its owner may read it, because it holds the signing
// keys. It is not synced to a disk: it has to outlive the process and not the machine.
func (s *snapshots) write() (size int64, err error) {
	partial := filepath.Join(filepath.Dir(s.file), "."+filepath.Base(s.file)+".partial")
	// of a process that was killed
	if err := os.Remove(partial); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("write a snapshot: %w", err)
	}
	out, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400) //nolint:gosec // the path is the operator's flag
	if err != nil {
		return 0, fmt.Errorf("write a snapshot: %w", err)
	}
	size, err = s.memory.Write(out, s.watches.Heard(), s.watches.Marks())
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(partial, s.file)
	}
	if err != nil {
		return 0, fmt.Errorf("write a snapshot: %w", errors.Join(err, os.Remove(partial)))
	}
	return size, nil
}

func readSnapshot(file string) (*memory.Snapshot, error) {
	in, err := os.Open(file) //nolint:gosec // the path is the operator's flag
	if err != nil {
		return nil, fmt.Errorf("read a snapshot: %w", err)
	}
	defer func() { _ = in.Close() }()
	var content strings.Builder
	if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
		content.Grow(int(min(info.Size(), maxSnapshot)))
	}
	if _, err := io.Copy(&content, io.LimitReader(in, maxSnapshot)); err != nil {
		return nil, fmt.Errorf("read a snapshot: %w", err)
	}
	found, err := memory.ReadSnapshot(content.String())
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", file, err)
	}
	return found, nil
}

// pause waits, and reports whether the context has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

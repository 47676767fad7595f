// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

const (
	// snapshotVersion is that of the whole file, what packed writes included. A file of another version is not read.
	snapshotVersion = 6
	snapshotMagic   = "hallpass snapshot "
	// maxSnapshot bounds what is read; 100,000 clients take some twenty megabytes.
	maxSnapshot = 1 << 30
)

// writeSnapshot puts a picture into a file in one step: whoever reads it has the one before or this one, whole. It is readable
// for its owner alone, because it holds the signing keys. It is not synced to a disk: it is for a file system in memory, and has to
// outlive the process and not the machine.
func writeSnapshot(file string, p *picture) (size int64, err error) {
	partial := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".partial")
	if err := os.Remove(partial); err != nil && !errors.Is(err, os.ErrNotExist) { // of a process that was killed
		return 0, fmt.Errorf("write a snapshot: %w", err)
	}
	out, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400) //nolint:gosec // the path is the operator's flag
	if err != nil {
		return 0, fmt.Errorf("write a snapshot: %w", err)
	}
	size, err = encodeSnapshot(out, p)
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(partial, file)
	}
	if err != nil {
		return 0, fmt.Errorf("write a snapshot: %w", errors.Join(err, os.Remove(partial)))
	}
	return size, nil
}

// encodeSnapshot writes the version, the picture, and the SHA-256 of both.
func encodeSnapshot(out io.Writer, p *picture) (int64, error) {
	sum := sha256.New()
	w := &recordWriter{out: io.MultiWriter(out, sum)}
	w.buffer.Raw(snapshotMagic)
	w.number(snapshotVersion)
	if err := p.write(w); err != nil {
		return 0, err
	}
	if w.flush(); w.err != nil {
		return 0, w.err
	}
	n, err := out.Write(sum.Sum(nil))
	return w.size + int64(n), err //nolint:wrapcheck // the caller says what it was about
}

// readSnapshot reads a file that writeSnapshot wrote. One with a single byte that is not as it was written is refused.
func readSnapshot(file string) (*picture, error) {
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
	p, err := decodeSnapshot(content.String())
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", file, err)
	}
	return p, nil
}

func decodeSnapshot(content string) (*picture, error) {
	end := len(content) - sha256.Size
	if end < 0 || !strings.HasPrefix(content, snapshotMagic) {
		return nil, fmt.Errorf("%w: it is none", errPicture)
	}
	sum := sha256.New()
	_, _ = io.WriteString(sum, content[:end])
	if string(sum.Sum(nil)) != content[end:] {
		return nil, fmt.Errorf("%w: its checksum is wrong", errPicture)
	}
	r := wire.NewReader(content[len(snapshotMagic):end])
	if version := r.Varint(); r.Failed() || version != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d, this build reads %d", errPicture, version, snapshotVersion)
	}
	return readPicture(r)
}

// recordWriter writes to a stream. After an error it writes nothing more.
type recordWriter struct {
	out    io.Writer
	buffer wire.Writer
	size   int64
	err    error
}

func (w *recordWriter) number(n int64) { w.buffer.Varint(n) }

func (w *recordWriter) text(s string) { w.buffer.Text(s) }

func (w *recordWriter) record(texts ...string) {
	packTexts(&w.buffer, texts)
	if len(w.buffer.Bytes) >= 64<<10 {
		w.flush()
	}
}

func (w *recordWriter) flush() {
	if w.err == nil {
		var n int
		n, w.err = w.out.Write(w.buffer.Bytes)
		w.size += int64(n)
	}
	w.buffer.Bytes = w.buffer.Bytes[:0]
}

func packNumber(n int64) string {
	var w wire.Writer
	w.Varint(n)
	return string(w.Bytes)
}

func unpackNumber(s string) (int64, error) {
	r := wire.NewReader(s)
	n := r.Varint()
	if !r.Done() {
		return 0, errRecord
	}
	return n, nil
}

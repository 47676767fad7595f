// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"io"
	"sync"
	"time"
)

const (
	// batchDelay is how long a line waits for others at the most, and what a process that is killed may leave untold.
	batchDelay = 10 * time.Millisecond
	// batchSize is how much is gathered at the most.
	batchSize = 32 << 10
)

// Batch writes lines on, several at a time: a system call for each audit line is a twentieth of what a token costs. It is safe
// for concurrent use.
type Batch struct {
	mu      sync.Mutex
	out     io.Writer
	waiting []byte
	timer   *time.Timer
}

// NewBatch makes a Batch; whoever made it flushes it in the end.
func NewBatch(out io.Writer) *Batch { return &Batch{out: out} }

// Write implements io.Writer. It keeps each write whole, and returns an error only of a write that it causes itself.
func (b *Batch) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		if b.timer == nil {
			b.timer = time.AfterFunc(batchDelay, func() { _ = b.Flush() }) // there is nobody to tell
		} else {
			b.timer.Reset(batchDelay)
		}
	}
	b.waiting = append(b.waiting, p...)
	if len(b.waiting) < batchSize {
		return len(p), nil
	}
	return len(p), b.flush()
}

// Flush writes what waits.
func (b *Batch) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flush()
}

func (b *Batch) flush() error {
	if len(b.waiting) == 0 {
		return nil
	}
	_, err := b.out.Write(b.waiting)
	b.waiting = b.waiting[:0]
	return err //nolint:wrapcheck // an io.Writer hands on what its writer says
}

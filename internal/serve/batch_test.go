// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink counts the writes that reach it.
type sink struct {
	mu      sync.Mutex
	content strings.Builder
	writes  int
	failing error
}

func newSink() *sink { return &sink{} }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.content.Write(p)
	return len(p), s.failing
}

func (s *sink) state() (content string, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.String(), s.writes
}

func TestLinesAreWrittenTogetherAndSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newSink()
		batch := NewBatch(out)
		for range 3 { // the timer works again and again
			for _, line := range []string{"one\n", "two\n"} {
				if _, err := batch.Write([]byte(line)); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(2 * batchDelay) // of the bubble's clock, which takes no time
		}
		if got, writes := out.state(); got != strings.Repeat("one\ntwo\n", 3) || writes != 3 {
			t.Errorf("%d writes of %q", writes, got)
		}
	})
}

func TestAFlushLeavesNothingBehind(t *testing.T) {
	out := newSink()
	batch := NewBatch(out)
	_, _ = batch.Write([]byte("last\n"))
	if err := batch.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, _ := out.state(); got != "last\n" {
		t.Errorf("written: %q", got)
	}
}

func TestManyLinesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newSink()
		batch := NewBatch(out)
		line := []byte(strings.Repeat("x", 1<<10) + "\n")
		for range 100 {
			if _, err := batch.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if err := batch.Flush(); err != nil {
			t.Fatal(err)
		}
		got, writes := out.state()
		if len(got) != 100*len(line) || writes > 20 {
			t.Errorf("%d bytes in %d writes", len(got), writes)
		}
	})
}

func TestAFailureToWriteIsReturned(t *testing.T) {
	out := newSink()
	out.failing = errors.New("the disk is full")
	batch := NewBatch(out)
	_, _ = batch.Write([]byte("line\n"))
	if err := batch.Flush(); !errors.Is(err, out.failing) {
		t.Errorf("got %v", err)
	}
}

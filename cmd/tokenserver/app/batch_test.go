// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink counts the writes that reach it and says when one did.
type sink struct {
	mu      sync.Mutex
	content strings.Builder
	writes  int
	written chan struct{}
	failing error
}

func newSink() *sink { return &sink{written: make(chan struct{}, 1000)} }

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	s.content.Write(p)
	s.written <- struct{}{}
	return len(p), s.failing
}

func (s *sink) state() (content string, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.String(), s.writes
}

func TestLinesAreWrittenTogetherAndSoon(t *testing.T) {
	out := newSink()
	batch := NewBatch(out)
	for range 3 { // the timer works again and again
		if _, err := batch.Write([]byte("one\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := batch.Write([]byte("two\n")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-out.written:
		case <-time.After(10 * time.Second):
			t.Fatal("the lines were not written by themselves")
		}
	}
	if got, writes := out.state(); got != strings.Repeat("one\ntwo\n", 3) || writes > 6 {
		t.Errorf("%d writes of %q", writes, got)
	}
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
}

func TestAFailureToWriteIsTold(t *testing.T) {
	out := newSink()
	out.failing = errors.New("the disk is full")
	batch := NewBatch(out)
	_, _ = batch.Write([]byte("line\n"))
	if err := batch.Flush(); !errors.Is(err, out.failing) {
		t.Errorf("got %v", err)
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestACallerSharesNoLookUpThatBeganBefore: what it asks for is written while a look-up of another
// caller is under way.
func TestACallerSharesNoLookUpThatBeganBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flight[int64]
		var stored, questions atomic.Int64
		answered := make(chan struct{})
		var running sync.WaitGroup
		call := func(want int64) {
			running.Go(func() {
				got, err := f.current(t.Context(), "shop.app", time.Minute, func(context.Context) (int64, error) {
					read := stored.Load()
					questions.Add(1)
					<-answered
					return read, nil
				})
				if got != want || err != nil {
					t.Errorf("%d, %v, want what is stored when the caller comes: %d", got, err, want)
				}
			})
			synctest.Wait()
		}
		call(0)
		stored.Store(1)
		for range 3 {
			call(1)
		}
		answered <- struct{}{} // only the first look-up
		synctest.Wait()
		if n := questions.Load(); n != 2 {
			t.Errorf("%d look-ups, want one more for all that came meanwhile", n)
		}
		close(answered)
		running.Wait()
	})
}

// TestALookUpThatPanicsAnswersAll: those that share it get an error, and the next one asks again.
func TestALookUpThatPanicsAnswersAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flight[int]
		fails := make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() {
			defer func() { _ = recover() }()
			_, _ = f.ask(t.Context(), "key", time.Minute, func(context.Context) (int, error) {
				<-fails
				panic("a fault")
			})
		})
		synctest.Wait()
		running.Go(func() {
			if _, err := f.ask(t.Context(), "key", time.Minute, nil); err == nil {
				t.Error("there is an answer")
			}
		})
		synctest.Wait()
		close(fails)
		running.Wait()
		got, err := f.current(t.Context(), "key", time.Minute, func(context.Context) (int, error) { return 7, nil })
		if got != 7 || err != nil || len(f.calls) != 0 {
			t.Errorf("%d, %v, and %d look-ups are under way", got, err, len(f.calls))
		}
	})
}

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

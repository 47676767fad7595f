// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// maxSkew is how far the clocks of replicas may differ: tokens are refused whose iat is further
// ahead, and a key is published that much longer before it signs.
const maxSkew = 5 * time.Minute

// start is whether a process has been ready. One that has stays ready although its clock is wrong
// or no key signs: it may be so at every replica, and what they do beside issuing tokens still
// works.
type start struct {
	clock  *apiclock.Clock
	passed atomic.Bool
}

// check returns why a process that starts is not ready. One that serves from a snapshot has no API
// server that it could compare its clock with.
func (s *start) check(ring keyring.Ring, bridging bool, now time.Time) error {
	if s.passed.Load() {
		return nil
	}
	if !bridging {
		if _, err := ring.SigningKey(now); err != nil {
			return errors.New("no key signs tokens now; the manager mends that unless the clock of this machine is wrong")
		}
		if ahead, known := s.clock.Ahead(); known && ahead.Abs() > maxSkew {
			return fmt.Errorf("the clock of this machine is ahead of the API server's by %s; set it", ahead.Round(time.Second))
		}
	}
	s.passed.Store(true)
	return nil
}

// uncompared is a clock that no API server corrects.
func uncompared(now func() time.Time) *apiclock.Clock {
	began := now()
	return apiclock.NewBy(func() apiclock.Instant {
		at := now()
		return apiclock.Instant{Wall: at, Run: at.Sub(began)}
	})
}

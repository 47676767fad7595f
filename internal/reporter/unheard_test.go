// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/usage"
)

// contact is a Contact with fixed values.
type contact struct {
	never    bool
	silence  time.Duration
	bridging bool
}

func (c contact) Heard() time.Time {
	if c.never {
		return time.Time{}
	}
	return time.Unix(1_700_000_000, 0)
}
func (c contact) Silence() time.Duration { return c.silence }
func (c contact) Bridging() bool         { return c.bridging }

func TestAReplicaWithoutAReportMustHearFromTheAPIServer(t *testing.T) {
	const tooLong = usage.UnheardLimit + 1
	for name, c := range map[string]struct {
		contact   contact
		reporting bool
		want      bool
	}{
		"silent for too long without a report":            {contact: contact{silence: tooLong}, want: true},
		"silent up to the limit without a report":         {contact: contact{silence: usage.UnheardLimit}},
		"silent for too long with a report":               {contact: contact{silence: tooLong}, reporting: true},
		"silent for too long on a snapshot":               {contact: contact{silence: tooLong, bridging: true}},
		"before the first contact, which is stale anyway": {contact: contact{silence: tooLong, never: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reporter{}
			r.opened.Store(c.reporting)
			if got := r.Unheard(c.contact); got != c.want {
				t.Errorf("unheard: %t, want %t", got, c.want)
			}
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"math"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/revision"
)

func TestARestoreShowsInRevisions(t *testing.T) {
	for name, c := range map[string]struct {
		before, now uint64
		after       time.Duration
		want        bool
	}{
		"nothing was written":                              {before: 5000, now: 5000, after: time.Minute},
		"one write":                                        {before: 5000, now: 5001},
		"a busy day":                                       {before: 5000, now: 100_000_000, after: 24 * time.Hour},
		"a year without a look":                            {before: 5000, now: 30_000_000_000, after: 365 * 24 * time.Hour},
		"a backup of ten minutes ago":                      {before: 5000, now: 4400, want: true},
		"the last write is gone":                           {before: 5000, now: 4999, want: true},
		"raised by a billion":                              {before: 5000, now: 1_000_004_400, after: 10 * time.Minute, want: true},
		"raised by a billion after an hour":                {before: 5000, now: 1_000_004_400, after: time.Hour, want: true},
		"raised, by a clock that was set back":             {before: 5000, now: 1_000_004_400, after: -time.Hour, want: true},
		"nothing was known before":                         {now: 4400},
		"nothing is known now":                             {before: 5000},
		"revisions that are nanoseconds rise quickly":      {before: 1_760_000_000_000_000_000, now: 1_760_000_600_000_000_000, after: 10 * time.Minute},
		"revisions that are nanoseconds go back":           {before: 1_760_000_600_000_000_000, now: 1_760_000_000_000_000_000, want: true},
		"the highest number that there is, after the last": {before: 1, now: math.MaxUint64, after: math.MaxInt64, want: true},
	} {
		if got := revision.SetBack(c.before, c.now, c.after); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

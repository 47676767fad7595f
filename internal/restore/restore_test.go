// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package restore_test

import (
	"math"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/internal/restore"
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
		want := restore.None
		if c.want {
			want = restore.Moved
		}
		if got := restore.Prove(restore.Facts{Revision: c.before}, restore.Facts{Revision: c.now}, c.after); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestARestoreShowsInObjects(t *testing.T) {
	for name, c := range map[string]struct {
		known, seen restore.Facts
		want        restore.Proof
	}{
		"an object that was deleted is back":                   {restore.Facts{Object: restore.Deleted}, restore.Facts{Object: restore.Present}, restore.Resurrected},
		"an object that was terminating is not any more":       {restore.Facts{Object: restore.Terminating}, restore.Facts{Object: restore.Present}, restore.Resurrected},
		"an object that was deleted is terminating":            {restore.Facts{Object: restore.Deleted}, restore.Facts{Object: restore.Terminating}, restore.None},
		"an object goes on terminating":                        {restore.Facts{Object: restore.Terminating}, restore.Facts{Object: restore.Terminating}, restore.None},
		"a terminating object is gone":                         {restore.Facts{Object: restore.Terminating}, restore.Facts{Object: restore.Deleted}, restore.None},
		"an object is deleted":                                 {restore.Facts{Object: restore.Present}, restore.Facts{Object: restore.Deleted}, restore.None},
		"an object is there as before":                         {restore.Facts{Object: restore.Present}, restore.Facts{Object: restore.Present}, restore.None},
		"an object that nothing was known of":                  {restore.Facts{}, restore.Facts{Object: restore.Present}, restore.None},
		"a terminating object that nothing was known of":       {restore.Facts{}, restore.Facts{Object: restore.Terminating}, restore.None},
		"nothing is seen of an object that was deleted":        {restore.Facts{Object: restore.Deleted}, restore.Facts{}, restore.None},
		"the newest object is older":                           {restore.Facts{Newest: 110}, restore.Facts{Newest: 8}, restore.Older},
		"the newest object is older, and the revision higher":  {restore.Facts{Newest: 110, Revision: 110}, restore.Facts{Newest: 8, Revision: 120}, restore.Older},
		"the newest object is as it was":                       {restore.Facts{Newest: 110}, restore.Facts{Newest: 110}, restore.None},
		"the newest object has changed":                        {restore.Facts{Newest: 110}, restore.Facts{Newest: 115}, restore.None},
		"the newest object is not there":                       {restore.Facts{Newest: 110}, restore.Facts{}, restore.None},
		"no newest object was known":                           {restore.Facts{}, restore.Facts{Newest: 8}, restore.None},
		"the revision counts first":                            {restore.Facts{Revision: 110, Newest: 110, Object: restore.Deleted}, restore.Facts{Revision: 50, Newest: 8, Object: restore.Present}, restore.Moved},
		"all that is known agrees":                             {restore.Facts{Revision: 110, Newest: 100, Object: restore.Present}, restore.Facts{Revision: 111, Newest: 100, Object: restore.Present}, restore.None},
		"a terminating object in a store that went on as ever": {restore.Facts{Revision: 110, Object: restore.Terminating}, restore.Facts{Revision: 112, Object: restore.Terminating}, restore.None},
	} {
		if got := restore.Prove(c.known, c.seen, 0); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"errors"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/wire"
)

func TestARecordIsReadFromItsOldestReaderOnAndWrittenByNoOlderVersion(t *testing.T) {
	const own = 3
	for name, c := range map[string]struct {
		form               wire.Form
		reads, writes      bool
		newer, notAVersion bool
	}{
		"a record of this version":                             {form: wire.Form{Version: 3}, reads: true, writes: true},
		"a record of a version before":                         {form: wire.Form{Version: 1}, reads: true, writes: true},
		"one that names its oldest reader":                     {form: wire.Form{Version: 3, MinReader: 2}, reads: true, writes: true},
		"a newer one that this version can read":               {form: wire.Form{Version: 4, MinReader: 3}, reads: true},
		"a newer one that only later versions can read":        {form: wire.Form{Version: 9, MinReader: 4}, newer: true},
		"a newer one that does not name its oldest reader":     {form: wire.Form{Version: 4}, newer: true},
		"a record without a version":                           {form: wire.Form{}, writes: true, notAVersion: true},
		"a record whose oldest reader is newer than it is":     {form: wire.Form{Version: 1, MinReader: 2}, writes: true, notAVersion: true},
		"a record whose oldest reader is no version of ours":   {form: wire.Form{Version: 2, MinReader: -1}, writes: true, notAVersion: true},
		"a version that is negative is none":                   {form: wire.Form{Version: -4}, writes: true, notAVersion: true},
		"a newer one whose oldest reader is no version either": {form: wire.Form{Version: 4, MinReader: -1}, notAVersion: true},
	} {
		t.Run(name, func(t *testing.T) {
			read, write := c.form.CheckRead(own), c.form.CheckWrite(own)
			if (read == nil) != c.reads || errors.Is(read, wire.ErrNewer) != c.newer || (!c.reads && !c.newer) != c.notAVersion {
				t.Errorf("read: %v", read)
			}
			if (write == nil) != c.writes || errors.Is(write, wire.ErrNewer) == c.writes {
				t.Errorf("write: %v", write)
			}
		})
	}
}

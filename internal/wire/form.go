// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"errors"
	"fmt"
)

// ErrNewer is wrapped by the errors about a record that a newer version wrote.
var ErrNewer = errors.New("a newer version wrote it")

// Form is the versions that can read a stored record, and those that may overwrite it. All records
// follow this one rule, in both directions of an upgrade:
//
//   - A version that adds a field which older readers may ignore raises Version alone. Older
//     readers read the record, ignore the field, and do not write over it.
//   - A version that changes what older readers would misread raises MinReader too. Older readers
//     treat the record as one that exists and that they cannot read.
//
// The zero MinReader is Version: a record that does not name its oldest reader is read by its own
// version and later ones.
type Form struct {
	Version   int `json:"version"`
	MinReader int `json:"minReader,omitempty"`
}

// CheckRead returns the reason why a reader of a version cannot read the record, or nil.
func (f Form) CheckRead(reader int) error {
	least := cmp.Or(f.MinReader, f.Version)
	switch {
	case f.Version < 1 || least < 1 || least > f.Version:
		return fmt.Errorf("version %d that version %d reads is no version of a record", f.Version, least)
	case least > reader:
		return fmt.Errorf("%w: version %d and later read it, this is version %d", ErrNewer, least, reader)
	}
	return nil
}

// CheckWrite returns the reason why a writer of a version must not write over the record, or nil.
func (f Form) CheckWrite(writer int) error {
	if f.Version > writer {
		return fmt.Errorf("%w: version %d, this is version %d", ErrNewer, f.Version, writer)
	}
	return nil
}

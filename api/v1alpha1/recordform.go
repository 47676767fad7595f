// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RecordForm is the version of an object that the processes of Hallpass write for each other. An
// addition that older processes can ignore raises version alone; an addition that they would
// misread raises minReader too.
type RecordForm struct {
	// version is the version of the format in which the object was written. Defaults to 1. A
	// process with a lower version does not overwrite the object and does not merge it into
	// others.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Version int32 `json:"version,omitempty"`

	// minReader is the lowest version that can read the object. Defaults to version.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinReader int32 `json:"minReader,omitempty"`
}

// Form returns the version and the lowest version of a reader, zero if the object does not name
// one.
func (f RecordForm) Form() (version, minReader int) { return max(int(f.Version), 1), int(f.MinReader) }

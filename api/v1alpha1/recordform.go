// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RecordForm says which versions of Hallpass can read an object that its processes write for each other. What a version adds that
// others may ignore raises version alone; what they would misread raises minReader too.
type RecordForm struct {
	// version is the form that the object was written in. Left out it is 1. A process of a lower version does not write over the object
	// and does not merge it into others.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Version int32 `json:"version,omitempty"`

	// minReader is the lowest version that can read the object. Left out it is that of version.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinReader int32 `json:"minReader,omitempty"`
}

// Form returns the version and the lowest version of a reader, zero if the object does not name one.
func (f RecordForm) Form() (version, minReader int) { return max(int(f.Version), 1), int(f.MinReader) }

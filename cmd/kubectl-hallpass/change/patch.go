// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package change

import (
	"time"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

const fieldSpec = "spec"

// Patch is a merge patch (RFC 7386). A field that is nil is removed.
type Patch = map[string]any

// State suspends or resumes a client.
func State(state v1alpha1.ClientState) Patch { return Patch{fieldSpec: Patch{"state": state}} }

// Fields sets fields of spec: texts and lists of texts. One that is empty is removed.
func Fields(values map[string]any) Patch {
	spec := Patch{}
	for field, value := range values {
		switch v := value.(type) {
		case string:
			if v == "" {
				value = nil
			}
		case []string:
			if len(v) == 0 {
				value = nil
			}
		}
		spec[field] = value
	}
	return Patch{fieldSpec: spec}
}

// Rotate asks for a new client secret. Every value that was not there before asks for one.
func Rotate(request string) Patch {
	return Patch{"metadata": Patch{"annotations": Patch{v1alpha1.AnnotationRotate: request}}}
}

// RotateNow asks for a new client secret, and for the end of the one that it replaces.
func RotateNow(request string) Patch {
	return Patch{"metadata": Patch{"annotations": Patch{v1alpha1.AnnotationRotate: request, v1alpha1.AnnotationRotateWithoutOverlap: request}}}
}

// farAhead is how far the time of a revocation is in the future, which means the time at which the
// API server or the manager reads it: the clock of the caller may be behind.
const farAhead = 10 * 365 * 24 * time.Hour

// RevocationTime is a time that revokes all tokens issued so far. Another second gives another
// time, so that it revokes again.
func RevocationTime(now time.Time) time.Time { return now.Add(farAhead).UTC().Truncate(time.Second) }

// RevokeTokens revokes the tokens of a client.
func RevokeTokens(now time.Time) Patch {
	return Patch{fieldSpec: Patch{"revokeTokensIssuedBefore": RevocationTime(now).Format(time.RFC3339)}}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"
	"time"
)

// Duration is a length of time in whole seconds, as hours, minutes and seconds of at most six
// digits each: 1h, 90m, 1h30m.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}[hms])+$')",message="a duration is written in whole hours, minutes and seconds of at most six digits each, such as 1h, 90m or 1h30m"
type Duration string

// Text is a duration as users write it: 1h, not 1h0m0s.
func Text(d time.Duration) Duration {
	text := d.Round(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if rest, found := strings.CutSuffix(text, zero); found {
			text = rest + zero[:1]
		}
	}
	return Duration(text)
}

// Or returns the duration, or a default if it is unset. Every value that the API server accepts can
// be parsed.
func (d Duration) Or(otherwise time.Duration) time.Duration {
	if parsed, err := time.ParseDuration(string(d)); err == nil {
		return parsed
	}
	return otherwise
}

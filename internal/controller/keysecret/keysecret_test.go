// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package keysecret_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/hallpass-dev/hallpass/internal/controller/keysecret"
)

// TestAWriteIsReportedOnceItIsKnownToBeDone: of several that were not answered the first may be the
// one that was done.
func TestAWriteIsReportedOnceItIsKnownToBeDone(t *testing.T) {
	lost, refused := context.DeadlineExceeded, errors.New("refused")
	type write struct {
		data    string
		failure error
	}
	for name, c := range map[string]struct {
		writes []write
		read   string
		want   []string
	}{
		"none":                            {nil, "a", nil},
		"one that is answered":            {[]write{{"a", nil}}, "a", []string{"a"}},
		"one that is refused":             {[]write{{"a", refused}}, "a", nil},
		"one that is done":                {[]write{{"a", lost}}, "a", []string{"a"}},
		"one that is not done":            {[]write{{"a", lost}}, "b", nil},
		"the first of two":                {[]write{{"a", lost}, {"b", lost}}, "a", []string{"a"}},
		"the last of two":                 {[]write{{"a", lost}, {"b", lost}}, "b", []string{"b"}},
		"one before one that is answered": {[]write{{"a", lost}, {"b", nil}}, "a", []string{"b"}},
		"one before one that is refused":  {[]write{{"a", lost}, {"b", refused}}, "a", []string{"a"}},
		"the second of six":               {[]write{{"1", lost}, {"2", lost}, {"3", lost}, {"4", lost}, {"5", lost}, {"6", lost}}, "2", nil},
		"the third of six":                {[]write{{"1", lost}, {"2", lost}, {"3", lost}, {"4", lost}, {"5", lost}, {"6", lost}}, "3", []string{"3"}},
	} {
		t.Run(name, func(t *testing.T) {
			var u keysecret.Unanswered
			var got []string
			as := func(data string) map[string][]byte { return map[string][]byte{"ring": []byte(data)} }
			for _, w := range c.writes {
				u.Written(as(w.data), w.failure, func() { got = append(got, w.data) })
			}
			for range 2 {
				u.Read(&corev1.Secret{Data: as(c.read)})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q are reported, want %q", got, c.want)
			}
		})
	}
}

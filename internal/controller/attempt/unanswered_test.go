// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

func TestTheFirstAndTheLastUnansweredChangeAreKept(t *testing.T) {
	for name, c := range map[string]struct{ put, want []string }{
		"none": {nil, nil},
		"one":  {[]string{"a"}, []string{"a"}},
		"two":  {[]string{"a", "b"}, []string{"a", "b"}},
		"more": {[]string{"a", "b", "c", "d"}, []string{"a", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			var u attempt.Unanswered[string]
			of := &metav1.ObjectMeta{UID: "u"}
			for i, change := range c.put {
				u.Put(of, change, noon.Add(time.Duration(i)*time.Minute))
			}
			if got := u.Get("u", noon.Add(time.Hour)); !slices.Equal(got, c.want) {
				t.Errorf("%q are kept, want %q", got, c.want)
			}
			if got := u.Get("u", noon.Add(attempt.UnansweredFor+time.Hour)); got != nil {
				t.Errorf("%q are kept for ever", got)
			}
			u.Drop("u")
			if got := u.Get("u", noon); got != nil {
				t.Errorf("%q are left", got)
			}
		})
	}
}

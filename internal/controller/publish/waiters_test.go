// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func TestWaitersAreReturnedOnceTheirHolderIsDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		// steps are "waiter holder", "waiter -" for one that is done, or the name of a
		// deleted object.
		steps []string
		want  string
	}{
		"nobody waits":                            {[]string{"a"}, ""},
		"all that wait for a holder":              {[]string{"b a", "c a", "d x", "a"}, "b c"},
		"an object waits once":                    {[]string{"b a", "b a", "a"}, "b"},
		"a holder that changed is not the holder": {[]string{"b a", "b x", "a"}, ""},
		"the later holder":                        {[]string{"b a", "b x", "x"}, "b"},
		"an object that is done waits no more":    {[]string{"b a", "c a", "b -", "a"}, "c"},
		"a deleted object waits no more":          {[]string{"b a", "c a", "b", "a"}, "c"},
		"a holder is deleted once":                {[]string{"b a", "a", "a"}, ""},
		"a waiter is a holder too":                {[]string{"b a", "c b", "b"}, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			var w Waiters
			key := func(name string) types.NamespacedName { return types.NamespacedName{Namespace: "shop", Name: name} }
			var got []string
			for _, step := range c.steps {
				waiter, holder, waits := strings.Cut(step, " ")
				if holder == "-" {
					w.Done(key(waiter))
					continue
				}
				if waits {
					w.Wait(key(waiter), key(holder))
					continue
				}
				got = nil
				for _, found := range w.Deleted(key(step)) {
					got = append(got, found.Name)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, name := range []string{"a", "b", "c", "d", "x"} {
				w.Deleted(key(name))
			}
			if len(w.holders)+len(w.byHolder) > 0 {
				t.Errorf("%d objects and %d holders are kept although all are deleted", len(w.holders), len(w.byHolder))
			}
		})
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

func TestTheCallersOfAGrantSayForWhomTheyAct(t *testing.T) {
	for want, subjects := range map[string][]v1alpha1.GrantSubject{
		"clients of namespace shop":                                            nil,
		"clients of namespace shop, for persons alone":                         {v1alpha1.SubjectUser},
		"clients of namespace shop, for themselves and by exchanged tokens":    {v1alpha1.SubjectClient, v1alpha1.SubjectExchanged},
		"clients of namespace shop, for Device alone":                          {"Device"},
		"clients of namespace shop, for themselves, for persons and for <img>": {v1alpha1.SubjectClient, v1alpha1.SubjectUser, "<img>"},
	} {
		grant := v1alpha1.ResourceGrant{From: v1alpha1.GrantSource{Namespaces: []v1alpha1.NamespaceName{"shop"}}, Subjects: subjects}
		if got := Callers(grant); got != want {
			t.Errorf("%v: %q, want %q", subjects, got, want)
		}
	}
}

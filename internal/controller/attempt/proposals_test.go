// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

func TestAProposalIsTheSameWhileItIsYoung(t *testing.T) {
	var p attempt.Proposals[string]
	if _, there := p.Get("u", noon); there {
		t.Error("there is one before any was made")
	}
	p.Put(&metav1.ObjectMeta{UID: "u"}, "one", noon.Add(time.Minute))
	if value, there := p.Get("u", noon.Add(time.Minute-1)); !there || value != "one" {
		t.Errorf("%q %t", value, there)
	}
	if _, there := p.Get("other", noon); there {
		t.Error("it is that of another object")
	}
	if _, there := p.Get("u", noon.Add(time.Minute)); there {
		t.Error("it is old")
	}
	p.Put(&metav1.ObjectMeta{UID: "u"}, "two", noon.Add(time.Minute))
	p.Drop("u")
	if _, there := p.Get("u", noon); there {
		t.Error("it was dropped")
	}
}

// The namespace with the most values loses its oldest, whatever the age of those of others.
func TestProposalsAreBoundedByNamespace(t *testing.T) {
	const flood, others = 40000, 1000
	var p attempt.Proposals[int]
	put := func(namespace string, i int) {
		p.Put(&metav1.ObjectMeta{Namespace: namespace, UID: types.UID(fmt.Sprint(namespace, i))}, i, noon.Add(time.Hour+time.Duration(i)*time.Second))
	}
	has := func(namespace string, i int) bool {
		_, there := p.Get(types.UID(fmt.Sprint(namespace, i)), noon)
		return there
	}
	for i := range others {
		put("shop", i)
	}
	for i := range flood {
		put("flood", others+i)
	}
	count := 0
	for i := range flood {
		if has("flood", others+i) {
			count++
		}
	}
	if count+others > 16384 || count < 11000 || !has("flood", others+flood-1) || has("flood", others) {
		t.Errorf("%d of the %d of the flood are kept, the newest: %t, the oldest: %t", count, flood, has("flood", others+flood-1), has("flood", others))
	}
	for i := range others {
		if !has("shop", i) {
			t.Fatalf("value %d of the other namespace is evicted", i)
		}
	}
}

func TestProposalsPrintNothing(t *testing.T) {
	var p attempt.Proposals[string]
	p.Put(&metav1.ObjectMeta{UID: "u"}, "hush", noon.Add(time.Minute))
	var text []byte
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		text = fmt.Appendf(text, verb, &p)
	}
	if strings.Contains(string(text), "hush") || strings.Contains(string(text), fmt.Sprintf("%x", "hush")) {
		t.Errorf("%s", text)
	}
}

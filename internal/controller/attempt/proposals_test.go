// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

func TestAProposalIsTheSameWhileItIsYoung(t *testing.T) {
	var p attempt.Proposals[string]
	if _, there := p.Get("u", noon); there {
		t.Error("there is one before any was made")
	}
	p.Put("u", "one", noon.Add(time.Minute))
	if value, there := p.Get("u", noon.Add(time.Minute-1)); !there || value != "one" {
		t.Errorf("%q %t", value, there)
	}
	if _, there := p.Get("other", noon); there {
		t.Error("it is that of another object")
	}
	if _, there := p.Get("u", noon.Add(time.Minute)); there {
		t.Error("it is old")
	}
	p.Put("u", "two", noon.Add(time.Minute))
	p.Drop("u")
	if _, there := p.Get("u", noon); there {
		t.Error("it was dropped")
	}
}

func TestProposalsAreBoundedAndTheOldestMakesWay(t *testing.T) {
	const many = 20000
	var p attempt.Proposals[int]
	for i := range many {
		p.Put(types.UID(fmt.Sprint(i)), i, noon.Add(time.Hour+time.Duration(i)*time.Second))
	}
	count := 0
	for i := range many {
		if _, there := p.Get(types.UID(fmt.Sprint(i)), noon); there {
			count++
		}
	}
	if _, newest := p.Get(types.UID(fmt.Sprint(many-1)), noon); count >= many || count < many/2 || !newest {
		t.Errorf("%d of %d are kept; the newest: %t", count, many, newest)
	}
	if _, oldest := p.Get("0", noon); oldest {
		t.Error("the oldest is kept")
	}
}

func TestProposalsPrintNothing(t *testing.T) {
	var p attempt.Proposals[string]
	p.Put("u", "hush", noon.Add(time.Minute))
	var text []byte
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		text = fmt.Appendf(text, verb, &p)
	}
	if strings.Contains(string(text), "hush") || strings.Contains(string(text), fmt.Sprintf("%x", "hush")) {
		t.Errorf("%s", text)
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/credential"
	"github.com/hallpass-dev/hallpass/internal/keyring"
)

func TestTheCacheIsWaitedForAsLongAsItMayTake(t *testing.T) {
	const uid types.UID = "0b7c1f3e-7f4b-4d69-9b0e-6a3f3a0f2d11"
	var m memory
	expected := func(now time.Time) bool {
		_, there := m.expected.Get(uid, now)
		return there
	}
	start := time.Date(2026, time.March, 1, 9, 30, 0, 0, time.UTC)
	if expected(start) {
		t.Error("nothing was written")
	}
	m.expected.Put(&metav1.ObjectMeta{UID: uid}, struct{}{}, start.Add(expectedFor))
	if !expected(start.Add(expectedFor - time.Second)) {
		t.Error("what was just written is taken for lost")
	}
	if expected(start.Add(expectedFor)) {
		t.Error("what never comes is waited for without end")
	}
	m.expected.Put(&metav1.ObjectMeta{UID: uid}, struct{}{}, start.Add(expectedFor))
	m.settle(uid, seen{at: keyring.At(start)}, credential.Plan{})
	if expected(start) {
		t.Error("what the cache has is waited for")
	}
}

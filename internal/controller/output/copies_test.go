// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
)

// A user may copy a Secret as often as the quota of the namespace allows.
func TestCopiesAreAnnouncedOnceAndTheFirstAreNamed(t *testing.T) {
	const announced = "Normal CopyIgnored Left alone what names this object and was not written for it: "
	owner := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", UID: "1"}}
	var copies Copies
	for _, step := range []struct {
		copies int
		want   string
	}{
		{0, ""},
		{2, announced + "copy-000, copy-001"},
		{2, ""},
		{1000, announced + "copy-000, copy-001, copy-002, copy-003, copy-004, copy-005, copy-006, copy-007, copy-008, copy-009 and 990 more"},
		{1000, ""},
		{3, announced + "copy-000, copy-001, copy-002"},
	} {
		recorder := events.NewFakeRecorder(1)
		var names []string
		for i := range step.copies {
			names = append(names, fmt.Sprintf("copy-%03d", step.copies-1-i))
		}
		copies.Announce(recorder, owner, names, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
		close(recorder.Events)
		if diff := cmp.Diff(step.want, <-recorder.Events); diff != "" {
			t.Errorf("with %d copies (-want +got):\n%s", step.copies, diff)
		}
	}
}

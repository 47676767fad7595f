// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

// Contest damps the writes of statuses that something else writes too: each write of one would
// wake the other. The zero Contest is ready to use.
type Contest struct {
	last    attempt.Proposals[statusVersion]
	repairs attempt.Repairs
}

// statusVersion is a status, and the version of its object.
type statusVersion struct {
	version string
	digest  [sha256.Size]byte
}

func versionOf(o client.Object, status any) statusVersion {
	document, err := json.Marshal(status)
	if err != nil {
		document = nil // a status has only texts, numbers and times
	}
	return statusVersion{o.GetResourceVersion(), sha256.Sum256(document)}
}

// isBefore reports whether the version is one of before, which a late cache has.
func (v statusVersion) isBefore(other statusVersion) bool {
	order, err := resourceversion.CompareResourceVersion(v.version, other.version)
	return err != nil || order < 0
}

// ReasonStatusDoesNotHold is the reason of the event about a status that something else writes too.
const ReasonStatusDoesNotHold = "StatusDoesNotHold"

// rememberedFor is how long it is remembered what was written: longer than the longest pause.
const rememberedFor = 15 * time.Minute

// check reports whether the status that an object has is not what was written to it last. It emits
// an event, and returns an error, while the next write waits because that was so before.
func (c *Contest) check(recorder events.EventRecorder, o client.Object, current any, now time.Time) (altered bool, err error) {
	wrote, there := c.last.Get(o.GetUID(), now)
	read := versionOf(o, current)
	if !there || read.digest == wrote.digest || read.isBefore(wrote) {
		return false, nil
	}
	damping := c.repairs.Damping(o, now)
	if damping == nil || damping.Wait == 0 {
		return true, nil
	}
	recorder.Eventf(o, nil, corev1.EventTypeWarning, ReasonStatusDoesNotHold, "Report",
		"The status was written %d times and was changed again each time. Find what else writes it, such as a second installation of Hallpass. "+
			"It is written again after %s.", damping.Count, damping.Pause)
	return true, fmt.Errorf("write the status of %s: %w", client.ObjectKeyFromObject(o), attempt.ErrDamped)
}

// wrote notes that a status was written to an object, in the place of one that was altered or not.
func (c *Contest) wrote(o client.Object, written any, altered bool, now time.Time) {
	if altered {
		c.repairs.Made(o, now)
	}
	c.last.Put(o, versionOf(o, written), now.Add(rememberedFor))
}

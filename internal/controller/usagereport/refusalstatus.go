// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// CompleteRefusals fills in what was refused to a client: what its status had before and what may
// be published now, without what is older than a week. It returns the refusals that are news, and
// an event each once the status is written.
func CompleteRefusals(status *v1alpha1.OAuth2ClientStatus, c *v1alpha1.OAuth2Client, told []usage.Refusal, now time.Time) (news []v1alpha1.RefusalStatus) {
	found := slices.Clone(c.Status.Refusals)
	for _, r := range told {
		entry, fits := refusalStatus(r, c, status.Secret.Name, now)
		if !fits {
			continue
		}
		index := slices.IndexFunc(found, func(before v1alpha1.RefusalStatus) bool { return before.Reason == r.Reason })
		switch {
		case index < 0:
			found = append(found, entry)
		case found[index].LastRefusedAt.After(entry.LastRefusedAt.Time),
			found[index].LastRefusedAt.Equal(&entry.LastRefusedAt) && found[index].Count >= entry.Count:
			continue
		default:
			found[index] = entry
		}
		news = append(news, entry)
	}
	found = slices.DeleteFunc(found, func(r v1alpha1.RefusalStatus) bool { return now.Sub(r.LastRefusedAt.Time) > usage.KeepRefusals })
	latestFirst := func(a, b v1alpha1.RefusalStatus) int {
		return cmp.Or(b.LastRefusedAt.Compare(a.LastRefusedAt.Time), strings.Compare(a.Reason, b.Reason))
	}
	// those that any caller can cause displace none that takes the credential
	if len(found) > v1alpha1.MaxRefusals {
		isOwn := func(r v1alpha1.RefusalStatus) bool { return oauth2.Reason(r.Reason).ProvesCaller() }
		slices.SortFunc(found, latestFirst)
		own := slices.DeleteFunc(slices.Clone(found), func(r v1alpha1.RefusalStatus) bool { return !isOwn(r) })
		found = append(own, slices.DeleteFunc(found, isOwn)...)[:v1alpha1.MaxRefusals]
	}
	slices.SortFunc(found, latestFirst)
	status.Refusals = slices.Clip(found)
	if len(status.Refusals) == 0 {
		status.Refusals = nil
	}
	// What the status does not keep would be news each time.
	return slices.DeleteFunc(news, func(r v1alpha1.RefusalStatus) bool { return !slices.Contains(status.Refusals, r) })
}

// refusalStatus is the entry of a status for a refusal. The API server refuses a whole status for
// one entry that is out of bounds, so none is, whatever a report has.
func refusalStatus(r usage.Refusal, c *v1alpha1.OAuth2Client, secretName string, now time.Time) (entry v1alpha1.RefusalStatus, fits bool) {
	r.At = min(r.At, usage.MinuteOf(now))
	if r.At == 0 || r.Reason == "" || !usage.Printable(r.Reason, usage.MaxReason) {
		return entry, false
	}
	if !usage.Printable(r.Source, usage.MaxSource) {
		r.Source = ""
	}
	if !usage.Printable(r.Subject, usage.MaxSubject) {
		r.Subject = ""
	}
	return v1alpha1.RefusalStatus{
		Reason: r.Reason, Count: int64(min(max(1, r.Count), maxCount)), Source: r.Source,
		LastRefusedAt: later(metav1.Time{}, r.At, c.CreationTimestamp), Message: v1alpha1.RefusalMessage(r.Reason, r.Subject, secretName),
	}, true
}

// AnnounceRefusals emits an event for each refusal.
func AnnounceRefusals(recorder events.EventRecorder, object runtime.Object, news []v1alpha1.RefusalStatus) {
	for _, r := range news {
		recorder.Eventf(object, nil, corev1.EventTypeWarning, r.Reason, "Refuse", "%s", r.Text())
	}
}

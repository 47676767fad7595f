// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// quiet is how long nothing more is reported about a kind of stale use of one object.
const quiet = time.Hour

// Complete fills in the use of a client: the later of what its status had before and of what was
// seen, which is known to the minute, and not before what is used was created. It returns the stale
// uses that are news, and an event each once the status is written: those that were not reported
// within the last hour.
func Complete(status *v1alpha1.OAuth2ClientStatus, c *v1alpha1.OAuth2Client, seen usage.Seen) (news []usage.Stale) {
	before := &c.Status
	status.LastUsedAt = later(before.LastUsedAt, seen.Last(), c.CreationTimestamp)
	status.LastTokenIssuedAt = later(before.LastTokenIssuedAt, seen.Issued, c.CreationTimestamp)
	for i := range status.Credentials {
		id := status.Credentials[i].ID
		var was metav1.Time
		if known := slices.IndexFunc(before.Credentials, func(c v1alpha1.CredentialStatus) bool { return c.ID == id }); known >= 0 {
			was = before.Credentials[known].LastUsedAt
		}
		status.Credentials[i].LastUsedAt = later(was, seen.Credential(id), status.Credentials[i].CreatedAt)
	}
	status.StaleUses, news = completeStale(before.StaleUses, seen)
	return news
}

// CompleteToken does the same with the status of an OAuth2Token.
func CompleteToken(status *v1alpha1.OAuth2TokenStatus, t *v1alpha1.OAuth2Token, seen usage.Seen) (news []usage.Stale) {
	status.LastUsedAt = later(t.Status.LastUsedAt, seen.Presented, t.CreationTimestamp)
	status.StaleUses, news = completeStale(t.Status.StaleUses, seen)
	return news
}

// Announce emits an event for each stale use.
func Announce(recorder events.EventRecorder, object runtime.Object, news []usage.Stale) {
	for _, stale := range news {
		note := map[oauth2.StaleUse]string{
			oauth2.ExpiredTokenUsed:   "Refused an expired token%s%s; renew tokens before they expire",
			oauth2.RevokedTokenUsed:   "Refused a revoked token%s%s",
			oauth2.PreviousSecretUsed: "Client secret%s, which another one has replaced, was used%s; it is accepted until its overlap is over",
		}[stale.Use]
		credential, from := "", ""
		if stale.Use == oauth2.PreviousSecretUsed && stale.Credential != "" {
			credential = " " + stale.Credential
		}
		if stale.Source != "" {
			from = " from " + stale.Source
			if stale.Use != oauth2.PreviousSecretUsed {
				from = ", sent" + from
			}
		}
		recorder.Eventf(object, nil, corev1.EventTypeWarning, string(stale.Use), "Use", note, credential, from)
	}
}

func completeStale(before []v1alpha1.StaleUseStatus, seen usage.Seen) (told []v1alpha1.StaleUseStatus, news []usage.Stale) {
	told = slices.Clone(before)
	for _, use := range oauth2.StaleUses {
		index := slices.IndexFunc(seen.Stale, func(s usage.Stale) bool { return s.Use == use })
		if index >= 0 && tell(&told, seen.Stale[index]) {
			news = append(news, seen.Stale[index])
		}
	}
	return told, news
}

// tell puts a stale use into the list unless one of its kind is there from the hour before it.
func tell(told *[]v1alpha1.StaleUseStatus, stale usage.Stale) bool {
	entry := v1alpha1.StaleUseStatus{
		Reason: v1alpha1.StaleUseReason(stale.Use), LastUsedAt: metav1.NewTime(stale.At.Time()), Credential: stale.Credential, Source: stale.Source,
	}
	index := slices.IndexFunc(*told, func(s v1alpha1.StaleUseStatus) bool { return s.Reason == entry.Reason })
	if index < 0 {
		*told = append(*told, entry)
		return true
	}
	if entry.LastUsedAt.Sub((*told)[index].LastUsedAt.Time) < quiet {
		return false
	}
	(*told)[index] = entry
	return true
}

// later is the later of two uses. The minute of a use may begin before what is used was created.
func later(was metav1.Time, seen usage.Minute, created metav1.Time) metav1.Time {
	latest := was
	if at := seen.Time(); at.After(was.Time) {
		latest = metav1.NewTime(at)
	}
	if !latest.IsZero() && latest.Before(&created) {
		return created
	}
	return latest
}

// saysMore reports whether the status of an object would have more with what was seen, and whether
// that is an event.
func saysMore(object client.Object, seen usage.Seen) (more, news bool) {
	switch o := object.(type) {
	case *v1alpha1.OAuth2Client:
		with := *o.Status.DeepCopy()
		news = len(Complete(&with, o, seen)) > 0
		return !equality.Semantic.DeepEqual(with, o.Status), news
	case *v1alpha1.OAuth2Token:
		with := *o.Status.DeepCopy()
		news = len(CompleteToken(&with, o, seen)) > 0
		return !equality.Semantic.DeepEqual(with, o.Status), news
	}
	return false, false
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// quiet is how long nothing more is said about a kind of stale use of one object.
const quiet = time.Hour

// Complete fills in what a status tells of the use of a client: the later of what stood in it before and of what was seen, so
// that it never goes back. Secrets that are not listed any more are left out. It returns the stale uses that nobody was told of
// within the last hour, and which are an event each once the status is written.
func Complete(status *v1alpha1.OAuth2ClientStatus, before v1alpha1.OAuth2ClientStatus, seen usage.Seen) (news []usage.Stale) {
	status.LastUsedAt = later(before.LastUsedAt, seen.Last())
	status.LastTokenIssuedAt = later(before.LastTokenIssuedAt, seen.Issued)
	for i := range status.Credentials {
		id := status.Credentials[i].ID
		var was metav1.Time
		if known := slices.IndexFunc(before.Credentials, func(c v1alpha1.CredentialStatus) bool { return c.ID == id }); known >= 0 {
			was = before.Credentials[known].LastUsedAt
		}
		status.Credentials[i].LastUsedAt = later(was, seen.Credential(id))
	}
	status.StaleUses = slices.Clone(before.StaleUses)
	for _, use := range oauth2.StaleUses {
		index := slices.IndexFunc(seen.Stale, func(s usage.Stale) bool { return s.Use == use })
		if index < 0 {
			continue
		}
		if tell(&status.StaleUses, seen.Stale[index]) {
			news = append(news, seen.Stale[index])
		}
	}
	return news
}

// tell puts a stale use into the list, unless one of its kind was put there within the hour before it.
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

func later(was metav1.Time, seen usage.Minute) metav1.Time {
	if at := seen.Time(); at.After(was.Time) {
		return metav1.NewTime(at)
	}
	return was
}

// saysMore reports whether a status would say more with what was seen.
func saysMore(status v1alpha1.OAuth2ClientStatus, seen usage.Seen) (more, news bool) {
	with := status
	with.Credentials = slices.Clone(status.Credentials)
	news = len(Complete(&with, status, seen)) > 0
	more = news || with.LastUsedAt != status.LastUsedAt || with.LastTokenIssuedAt != status.LastTokenIssuedAt ||
		!slices.Equal(with.Credentials, status.Credentials)
	return more, news
}

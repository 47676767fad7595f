// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usagereport

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func minute(minutes int) usage.Minute { return usage.MinuteOf(at(minutes)) }

func instant(minutes int) metav1.Time { return metav1.NewTime(at(minutes)) }

func TestTheStatusNeverGoesBackAndSaysEachStaleUseOnceAnHour(t *testing.T) {
	expired := func(minutes int) []usage.Stale {
		return []usage.Stale{{Use: oauth2.ExpiredTokenUsed, Count: 1, At: minute(minutes), Source: "192.0.2.1"}}
	}
	told := func(minutes int) []v1alpha1.StaleUseStatus {
		return []v1alpha1.StaleUseStatus{{Reason: "ExpiredTokenUsed", LastUsedAt: instant(minutes), Source: "192.0.2.1"}}
	}
	before := v1alpha1.OAuth2ClientStatus{
		LastUsedAt: instant(10), LastTokenIssuedAt: instant(5), StaleUses: told(0),
		Credentials: []v1alpha1.CredentialStatus{{ID: "new", LastUsedAt: instant(10)}, {ID: "gone", LastUsedAt: instant(3)}},
	}
	credentials := func(last metav1.Time) []v1alpha1.CredentialStatus {
		return []v1alpha1.CredentialStatus{{ID: "new", LastUsedAt: last}, {ID: "newer"}}
	}
	cases := []struct {
		name string
		seen usage.Seen
		want v1alpha1.OAuth2ClientStatus
		news []usage.Stale
	}{
		{
			"nothing that was seen keeps what stood there", usage.Seen{},
			v1alpha1.OAuth2ClientStatus{LastUsedAt: instant(10), LastTokenIssuedAt: instant(5), StaleUses: told(0), Credentials: credentials(instant(10))}, nil,
		},
		{
			"what is older does not count", usage.Seen{Issued: minute(4), Credentials: []usage.Credential{{ID: "new", At: minute(2)}}},
			v1alpha1.OAuth2ClientStatus{LastUsedAt: instant(10), LastTokenIssuedAt: instant(5), StaleUses: told(0), Credentials: credentials(instant(10))}, nil,
		},
		{
			"what is newer does, and a secret that is not listed is no matter",
			usage.Seen{Issued: minute(20), Credentials: []usage.Credential{{ID: "new", At: minute(21)}, {ID: "gone", At: minute(22)}}},
			v1alpha1.OAuth2ClientStatus{LastUsedAt: instant(22), LastTokenIssuedAt: instant(20), StaleUses: told(0), Credentials: credentials(instant(21))}, nil,
		},
		{
			"the same cause within the hour is no news", usage.Seen{Stale: expired(59)},
			v1alpha1.OAuth2ClientStatus{LastUsedAt: instant(10), LastTokenIssuedAt: instant(5), StaleUses: told(0), Credentials: credentials(instant(10))}, nil,
		},
		{
			"after an hour it is", usage.Seen{Stale: expired(60)},
			v1alpha1.OAuth2ClientStatus{LastUsedAt: instant(10), LastTokenIssuedAt: instant(5), StaleUses: told(60), Credentials: credentials(instant(10))},
			expired(60),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status := v1alpha1.OAuth2ClientStatus{Credentials: []v1alpha1.CredentialStatus{{ID: "new"}, {ID: "newer"}}}
			news := Complete(&status, &v1alpha1.OAuth2Client{Status: before}, c.seen)
			if diff := cmp.Diff(c.want, status); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.news, news); diff != "" {
				t.Errorf("news (-want +got):\n%s", diff)
			}
			if before.StaleUses[0].LastUsedAt != instant(0) {
				t.Fatal("the status of before was changed")
			}
		})
	}
}

// A use is known to the minute, and what was created in that minute was not used before.
func TestNothingWasUsedBeforeItWasCreated(t *testing.T) {
	created := metav1.NewTime(at(3).Add(40 * time.Second))
	seen := usage.Seen{Issued: minute(3), Presented: minute(3), Credentials: []usage.Credential{{ID: "new", At: minute(3)}}}
	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: created}}
	status := v1alpha1.OAuth2ClientStatus{Credentials: []v1alpha1.CredentialStatus{{ID: "new", CreatedAt: created}, {ID: "unused", CreatedAt: created}}}
	Complete(&status, c, seen)
	want := v1alpha1.OAuth2ClientStatus{LastUsedAt: created, LastTokenIssuedAt: created, Credentials: []v1alpha1.CredentialStatus{
		{ID: "new", CreatedAt: created, LastUsedAt: created}, {ID: "unused", CreatedAt: created},
	}}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.Status = status
	if more, _ := saysMore(c, seen); more {
		t.Error("the same use would be written again")
	}
	var token v1alpha1.OAuth2TokenStatus
	CompleteToken(&token, &v1alpha1.OAuth2Token{ObjectMeta: c.ObjectMeta}, seen)
	if !token.LastUsedAt.Equal(&created) {
		t.Errorf("the token was used at %s", token.LastUsedAt)
	}
}

func entry(uid string, issued int) []usage.Entry {
	return []usage.Entry{{Key: usage.KeyOf(uid), Seen: usage.Seen{Issued: minute(issued)}}}
}

// drain reports everything that is due.
func drain(l *Ledger) (told []usage.Minute) {
	for {
		key, seen, _, due := l.next()
		if !due {
			return told
		}
		l.tell(key, seen)
		told = append(told, seen.Issued)
	}
}

func TestAClientInConstantUseIsToldOfNowAndThenAndTheLastUseInAnyCase(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	l := NewLedger(clock, 10*time.Minute)
	var told []usage.Minute
	for now := range 25 {
		clock.SetTime(at(now))
		l.merge(entry("one", now))
		l.merge(entry("one", now)) // of another replica
		told = append(told, drain(l)...)
	}
	for now := 25; now < 60; now++ {
		clock.SetTime(at(now))
		told = append(told, drain(l)...)
	}
	if diff := cmp.Diff([]usage.Minute{minute(0), minute(10), minute(20), minute(24)}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	l.merge(entry("one", 59))
	if again := drain(l); len(again) != 1 {
		t.Errorf("told %v, want a use after a pause at once", again)
	}
	if seen := l.Told("one"); seen.Issued != minute(59) {
		t.Errorf("the status may say %s", seen.Issued.Time())
	}
}

func TestAStaleUseThatIsNewsDoesNotWait(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	l := NewLedger(clock, time.Hour)
	l.merge(entry("one", 0))
	drain(l)
	clock.SetTime(at(1))
	stale := entry("one", 1)
	stale[0].Seen.Stale = []usage.Stale{{Use: oauth2.RevokedTokenUsed, Count: 1, At: minute(1)}}
	l.merge(stale)
	if told := drain(l); len(told) != 1 {
		t.Fatal("the first one waits")
	}
	clock.SetTime(at(2))
	stale[0].Seen.Stale = []usage.Stale{{Use: oauth2.RevokedTokenUsed, Count: 2, At: minute(2)}}
	l.merge(stale)
	if told := drain(l); len(told) != 0 {
		t.Error("the next one within the hour does not")
	}
}

func TestThoseThatWaitLongestAreToldFirst(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(at(0))
	l := NewLedger(clock, time.Hour)
	for i := range 100 {
		clock.SetTime(at(i))
		l.merge(entry(fmt.Sprint("client-", i), i))
	}
	told := drain(l)
	for i, issued := range told {
		if issued != minute(i) {
			t.Fatalf("place %d has the one of %s", i, issued.Time())
		}
	}
	if len(told) != 100 {
		t.Errorf("%d of 100 were told of", len(told))
	}
}

func TestAReportFromTheFutureIsCut(t *testing.T) {
	l := NewLedger(clocktesting.NewFakePassiveClock(at(0)), time.Hour)
	l.merge(entry("one", 100_000))
	drain(l)
	if seen := l.Told("one"); seen.Issued != minute(0) {
		t.Errorf("used at %s, want now", seen.Issued.Time())
	}
}

func TestALedgerIsBounded(t *testing.T) {
	l := NewLedger(clocktesting.NewFakePassiveClock(at(0)), time.Hour)
	l.watchNamespaces(func(usage.Key) string { return "shop" })
	refused := 0
	for i := range maxSubjects/1024 + 1 {
		entries := make([]usage.Entry, 1024)
		for j := range entries {
			entries[j] = entry(fmt.Sprint(i, "-", j), 0)[0]
		}
		refused += l.merge(entries)
	}
	if refused != 1024 {
		t.Errorf("%d objects were refused, want 1024", refused)
	}
}

// Replicas report clients that one tenant deletes and makes anew. They take no room from those that
// exist, and reports count as read although they had no room for all.
func TestDeletedClientsInReportsDisplaceNone(t *testing.T) {
	l := NewLedger(clocktesting.NewFakePassiveClock(at(0)), time.Hour)
	l.most = 100
	late := false
	l.watchNamespaces(func(key usage.Key) string {
		if key == usage.KeyOf("shop") || (key == usage.KeyOf("late") || key == usage.KeyOf("new")) && late {
			return "shop"
		}
		return ""
	})
	if refused := l.merge(entry("shop", 0)) + l.merge(entry("late", 0)); refused != 0 {
		t.Fatalf("%d are refused", refused)
	}
	late = true // the watch was slower than the report
	for i := range 1000 {
		if refused := l.merge(entry(fmt.Sprint("gone-", i), 0)); refused != 0 {
			t.Fatalf("%d are refused although the place of one that is gone is there", refused)
		}
	}
	if refused := l.merge(entry("new", 0)); refused != 0 {
		t.Error("those that are gone take the place of one that exists")
	}
	for _, uid := range []string{"shop", "late", "new"} {
		if l.subjects[usage.KeyOf(uid)] == nil {
			t.Errorf("%s was displaced", uid)
		}
	}
	if len(l.subjects) != l.most {
		t.Errorf("%d are remembered", len(l.subjects))
	}
	l.most = 3
	for key, s := range l.subjects {
		if l.namespaceOf(key) == "" {
			l.drop(key, s)
		}
	}
	if refused := l.merge(entry("gone", 0)); refused != 0 || len(l.subjects) != l.most {
		t.Errorf("%d of those that are gone are refused, %d are remembered", refused, len(l.subjects))
	}
}

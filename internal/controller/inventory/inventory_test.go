// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/inventory"
)

// fixed are the same clients each time.
type fixed struct{ clients []v1alpha1.OAuth2Client }

func (f fixed) each(_ context.Context, visit func(*v1alpha1.OAuth2Client)) error {
	for i := range f.clients {
		visit(&f.clients[i])
	}
	return nil
}

func TestClientsAndCredentialsAreCountedWithoutTheirNames(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	ready := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonRegistered}}
	stuck := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSecretConflict}}
	status := func(conditions []metav1.Condition, next metav1.Time, credentials ...v1alpha1.CredentialStatus) v1alpha1.OAuth2Client {
		return v1alpha1.OAuth2Client{Status: v1alpha1.OAuth2ClientStatus{
			Conditions: conditions, Credentials: credentials, Rotation: v1alpha1.RotationStatus{NextAt: next},
		}}
	}
	reader := fixed{clients: []v1alpha1.OAuth2Client{
		status(ready, ago(-2*time.Hour), v1alpha1.CredentialStatus{CreatedAt: ago(time.Hour)},
			v1alpha1.CredentialStatus{CreatedAt: ago(40 * 24 * time.Hour), ExpiresAt: ago(-time.Hour)}),
		status(ready, ago(-time.Hour), v1alpha1.CredentialStatus{CreatedAt: ago(400 * 24 * time.Hour)}),
		status(stuck, metav1.Time{}, v1alpha1.CredentialStatus{CreatedAt: ago(time.Hour), ExpiresAt: ago(0)}),
		status(nil, metav1.Time{}),
	}}
	reader.clients[1].Status.Rotation.Reason = v1alpha1.RotationRefused
	want := `
# HELP hallpass_clients OAuth2Clients by whether the token endpoint honours them, and why.
# TYPE hallpass_clients gauge
hallpass_clients{ready="False",reason="SecretConflict"} 1
hallpass_clients{ready="True",reason="Registered"} 2
hallpass_clients{ready="Unknown",reason=""} 1
# HELP hallpass_credential_age_seconds Age of the client secrets that are accepted now.
# TYPE hallpass_credential_age_seconds histogram
hallpass_credential_age_seconds_bucket{le="86400"} 1
hallpass_credential_age_seconds_bucket{le="604800"} 1
hallpass_credential_age_seconds_bucket{le="2.592e+06"} 1
hallpass_credential_age_seconds_bucket{le="7.776e+06"} 2
hallpass_credential_age_seconds_bucket{le="1.5552e+07"} 2
hallpass_credential_age_seconds_bucket{le="3.1536e+07"} 2
hallpass_credential_age_seconds_bucket{le="+Inf"} 3
hallpass_credential_age_seconds_sum 3.80196e+07
hallpass_credential_age_seconds_count 3
# HELP hallpass_credential_next_rotation_timestamp_seconds When the next rotation of a client secret is due; 0 where none is planned.
# TYPE hallpass_credential_next_rotation_timestamp_seconds gauge
hallpass_credential_next_rotation_timestamp_seconds 1.7776404e+09
# HELP hallpass_rotations_waiting Clients whose rotation is due or requested and waits or fails, by the reason in status.rotation.
# TYPE hallpass_rotations_waiting gauge
hallpass_rotations_waiting{reason="NotGenerated"} 0
hallpass_rotations_waiting{reason="NotReady"} 0
hallpass_rotations_waiting{reason="Refused"} 1
hallpass_rotations_waiting{reason="TooManySecrets"} 0
# HELP hallpass_clients_unused Clients that are older than that and were not used for longer, by their status.
# TYPE hallpass_clients_unused gauge
hallpass_clients_unused{longer_than="168h"} 4
hallpass_clients_unused{longer_than="2160h"} 4
hallpass_clients_unused{longer_than="24h"} 4
hallpass_clients_unused{longer_than="720h"} 4
# HELP hallpass_clients_unrotated Clients whose current secret is older than that, and for which no rotation is planned.
# TYPE hallpass_clients_unrotated gauge
hallpass_clients_unrotated{longer_than="2160h"} 0
hallpass_clients_unrotated{longer_than="4320h"} 0
hallpass_clients_unrotated{longer_than="8760h"} 0
`
	collector := inventory.New(reader.each, testclock.NewFakePassiveClock(now))
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("against Prometheus' conventions: %v, %v", problems, err)
	}
}

func TestOldSecretsThatNeverRotateAreCounted(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	days := func(n int) metav1.Time { return metav1.NewTime(now.Add(-time.Duration(n) * 24 * time.Hour)) }
	client := func(next metav1.Time, credentials ...v1alpha1.CredentialStatus) v1alpha1.OAuth2Client {
		return v1alpha1.OAuth2Client{Status: v1alpha1.OAuth2ClientStatus{Credentials: credentials, Rotation: v1alpha1.RotationStatus{NextAt: next}}}
	}
	reader := fixed{clients: []v1alpha1.OAuth2Client{
		client(metav1.Time{}, v1alpha1.CredentialStatus{CreatedAt: days(400)}, v1alpha1.CredentialStatus{CreatedAt: days(500), ExpiresAt: days(-1)}),
		client(metav1.Time{}, v1alpha1.CredentialStatus{CreatedAt: days(100)}),
		client(metav1.Time{}, v1alpha1.CredentialStatus{CreatedAt: days(10)}),
		// a rotation is planned
		client(days(-1), v1alpha1.CredentialStatus{CreatedAt: days(400)}),
	}}
	want := `
# HELP hallpass_clients_unrotated Clients whose current secret is older than that, and for which no rotation is planned.
# TYPE hallpass_clients_unrotated gauge
hallpass_clients_unrotated{longer_than="2160h"} 2
hallpass_clients_unrotated{longer_than="4320h"} 1
hallpass_clients_unrotated{longer_than="8760h"} 1
`
	collector := inventory.New(reader.each, testclock.NewFakePassiveClock(now))
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "hallpass_clients_unrotated"); err != nil {
		t.Error(err)
	}
}

func TestUnusedClientsAreCounted(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	days := func(n int) metav1.Time { return metav1.NewTime(now.Add(-time.Duration(n)*24*time.Hour - time.Minute)) }
	var reader fixed
	for name, times := range map[string][2]metav1.Time{
		"new": {days(0), {}}, "old-and-used": {days(300), days(0)}, "old-and-never-used": {days(10), {}}, "old-and-idle": {days(300), days(40)},
	} {
		reader.clients = append(reader.clients, v1alpha1.OAuth2Client{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: times[0]}, Status: v1alpha1.OAuth2ClientStatus{LastUsedAt: times[1]},
		})
	}
	want := `
# HELP hallpass_clients_unused Clients that are older than that and were not used for longer, by their status.
# TYPE hallpass_clients_unused gauge
hallpass_clients_unused{longer_than="168h"} 2
hallpass_clients_unused{longer_than="2160h"} 0
hallpass_clients_unused{longer_than="24h"} 2
hallpass_clients_unused{longer_than="720h"} 1
`
	collector := inventory.New(reader.each, testclock.NewFakePassiveClock(now))
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want), "hallpass_clients_unused"); err != nil {
		t.Error(err)
	}
}

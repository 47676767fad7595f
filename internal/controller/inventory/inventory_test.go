// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/inventory"
)

// fixed lists the same clients each time.
type fixed struct {
	client.Reader

	clients []v1alpha1.OAuth2Client
}

func (f fixed) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	list, ok := into.(*v1alpha1.OAuth2ClientList)
	if !ok {
		return fmt.Errorf("%T is listed", into)
	}
	list.Items = f.clients
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
`
	collector := inventory.New(reader, testclock.NewFakePassiveClock(now))
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("against Prometheus' conventions: %v, %v", problems, err)
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/inventory"
)

func TestTrustedIssuersAreCountedByTheirConditions(t *testing.T) {
	with := func(conditions ...metav1.Condition) *v1alpha1.OAuth2TrustedIssuer {
		return &v1alpha1.OAuth2TrustedIssuer{Status: v1alpha1.OAuth2TrustedIssuerStatus{Conditions: conditions}}
	}
	kept := v1alpha1.IssuerKeysKept(v1alpha1.ReasonKeysNotFetched, "it does not answer")
	issuers := []*v1alpha1.OAuth2TrustedIssuer{
		with(), with(v1alpha1.IssuerTrusted(), v1alpha1.IssuerKeysFetched()), with(v1alpha1.IssuerTrusted(), kept), with(v1alpha1.IssuerIsSuspended()),
	}
	want := `
# HELP hallpass_trusted_issuers OAuth2TrustedIssuers by their conditions Ready and KeysFresh, and why.
# TYPE hallpass_trusted_issuers gauge
hallpass_trusted_issuers{condition="KeysFresh",reason="KeysFetched",status="True"} 1
hallpass_trusted_issuers{condition="KeysFresh",reason="KeysNotFetched",status="False"} 1
hallpass_trusted_issuers{condition="Ready",reason="Suspended",status="False"} 1
hallpass_trusted_issuers{condition="Ready",reason="Trusted",status="True"} 2
`
	collector := inventory.NewIssuers(func(_ context.Context, visit func(*v1alpha1.OAuth2TrustedIssuer)) error {
		for _, one := range issuers {
			visit(one)
		}
		return nil
	})
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("against Prometheus' conventions: %v, %v", problems, err)
	}
}

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

func TestFixedTokensAreCountedByWhatBecomesOfThem(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	token := func(mode v1alpha1.TokenMode, ends time.Duration, conditions ...metav1.Condition) *v1alpha1.OAuth2Token {
		made := &v1alpha1.OAuth2Token{Spec: v1alpha1.OAuth2TokenSpec{Mode: mode}, Status: v1alpha1.OAuth2TokenStatus{Conditions: conditions}}
		if ends != 0 {
			made.Status.ExpiresAt = metav1.NewTime(now.Add(ends))
		}
		return made
	}
	soon := v1alpha1.TokenExpiresSoon(now.Add(time.Hour))
	kept := v1alpha1.TokenKept(v1alpha1.TokenNotConsentedTo("orders/api"))
	beyond := v1alpha1.KeptBeyondLimit(v1alpha1.TooManyTokens(1))
	tokens := []*v1alpha1.OAuth2Token{
		token(v1alpha1.TokenFixed, time.Hour), token(v1alpha1.TokenFixed, time.Hour, beyond), token(v1alpha1.TokenFixed, time.Hour, soon, kept),
		token(v1alpha1.TokenFixed, time.Hour, kept), token(v1alpha1.TokenFixed, -time.Second, soon), token(v1alpha1.TokenFixed, 0),
		token(v1alpha1.TokenRefreshing, time.Hour, soon),
	}
	want := `
# HELP hallpass_fixed_tokens OAuth2Tokens of mode Fixed that were made, by state: good, ends_soon by their condition ExpiresSoon, not_consented to any more by the owner of the resource, ended.
# TYPE hallpass_fixed_tokens gauge
hallpass_fixed_tokens{state="ended"} 1
hallpass_fixed_tokens{state="ends_soon"} 1
hallpass_fixed_tokens{state="good"} 2
hallpass_fixed_tokens{state="not_consented"} 1
`
	collector := inventory.NewTokens(func(_ context.Context, visit func(*v1alpha1.OAuth2Token)) error {
		for _, one := range tokens {
			visit(one)
		}
		return nil
	}, testclock.NewFakePassiveClock(now))
	if err := testutil.CollectAndCompare(collector, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(collector); err != nil || len(problems) > 0 {
		t.Errorf("against Prometheus' conventions: %v, %v", problems, err)
	}
}

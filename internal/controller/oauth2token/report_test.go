// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestReadyIsWhatWasReadOfTheSecret: another token is due and cannot be written.
func TestReadyIsWhatWasReadOfTheSecret(t *testing.T) {
	refused := apierrors.NewForbidden(corev1.Resource("secrets"), "legacy", errors.New("no Secrets here"))
	silent := apierrors.NewServerTimeout(corev1.Resource("secrets"), "update", 1)
	held := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "legacy"}, Data: map[string][]byte{keyToken: []byte(valueOf("a").Reveal())}}
	for name, c := range map[string]struct {
		secret  *corev1.Secret
		after   time.Duration
		failure error
		ready   metav1.ConditionStatus
		reason  string
		// companion is the reason of Reconciling or Stalled.
		companion string
	}{
		"the token is valid, and a refusal shows beside it":   {held, 30 * time.Minute, refused, metav1.ConditionTrue, v1alpha1.ReasonIssued, v1alpha1.ReasonWriteRefused},
		"the token is valid, and the API server says nothing": {held, 30 * time.Minute, silent, metav1.ConditionTrue, v1alpha1.ReasonIssued, ""},
		"it has expired, and a write is refused":              {held, 2 * time.Hour, refused, metav1.ConditionFalse, v1alpha1.ReasonExpired, v1alpha1.ReasonExpired},
		"it has expired, and the API server says nothing":     {held, 2 * time.Hour, silent, metav1.ConditionFalse, v1alpha1.ReasonExpired, v1alpha1.ReasonExpired},
		"there is no Secret, and a write is refused":          {nil, 0, refused, metav1.ConditionFalse, v1alpha1.ReasonWriteRefused, v1alpha1.ReasonWriteRefused},
		"there is no Secret, and the API server says nothing": {nil, 0, silent, metav1.ConditionTrue, v1alpha1.ReasonIssued, ""},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy", Generation: 1, CreationTimestamp: metav1.NewTime(noon)}}
			object.Spec.Mode = v1alpha1.TokenRefreshing
			object.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonIssued, ObservedGeneration: 1}}
			now, recorder := clocktesting.NewFakeClock(noon.Add(c.after)), events.NewFakeRecorder(10)
			r := New(Config{
				Client: fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(object).WithObjects(object).Build(),
				Clock:  now, Recorder: recorder, Usage: usagereport.NewLedger(now, time.Minute),
			})
			s := &state{record: oauth2.Minted{UID: "t", Tokens: []oauth2.MintedToken{madeAt("a", 0)}}, delivered: delivered{read: true, value: valueOf("never written")}}
			if c.secret != nil {
				s.secret = c.secret
			}
			if err := r.reports.failure(t.Context(), object, s, c.failure); err != nil {
				t.Fatal(err)
			}
			ready := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionReady)
			if ready.Status != c.ready || ready.Reason != c.reason {
				t.Errorf("Ready %s %s: %s", ready.Status, ready.Reason, ready.Message)
			}
			companion := ""
			for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
				if found := meta.FindStatusCondition(object.Status.Conditions, kind); found != nil {
					companion += found.Reason
				}
			}
			if companion != c.companion {
				t.Errorf("beside Ready: %q, want %q", companion, c.companion)
			}
			if c.companion != "" && (len(recorder.Events) != 1 || !strings.Contains(<-recorder.Events, c.companion)) {
				t.Error("no event says so")
			}
		})
	}
}

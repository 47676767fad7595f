// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// TestATokenThatEndsHasOneAuditLine: the one in the Secret when the status reports that it has
// expired, and the others when the record drops them.
func TestATokenThatEndsHasOneAuditLine(t *testing.T) {
	kinds := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	if err := scheme.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy", UID: "t", Generation: 1, CreationTimestamp: metav1.NewTime(noon)}}
	object.Spec.Mode, object.Spec.ExpirationTime = v1alpha1.TokenFixed, &metav1.Time{Time: noon.Add(time.Hour)}
	clock := clocktesting.NewFakeClock(noon.Add(time.Minute))
	var lines []string
	r := New(Config{
		Client: fake.NewClientBuilder().WithScheme(kinds).WithStatusSubresource(object).WithObjects(object).Build(),
		Clock:  clock, Recorder: events.NewFakeRecorder(10), Usage: usagereport.NewLedger(clock, time.Minute), RegistryNamespace: "hallpass-registry",
		Audit: funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}), Policy: &policy.Source{},
	})
	current := madeAt("a", 0)
	record := oauth2.Minted{UID: "t", Namespace: "shop", Name: "legacy", ClientID: "shop.app", ClientUID: "c", ClientName: "app", Tokens: []oauth2.MintedToken{current}}
	look := func() {
		t.Helper()
		if _, err := r.reports.write(t.Context(), object, &state{record: record, before: record.Tokens, delivered: delivered{current: current, found: true}}); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if len(lines) > 0 {
		t.Fatalf("a token that is valid: %q", lines)
	}
	clock.SetTime(noon.Add(2 * time.Hour))
	look()
	look()
	want := []string{`"level"=0 "msg"="credential" "change"="expired" "client_id"="shop.app" "owner"="OAuth2Token shop/legacy" "jti"="a"`}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines of the token in the Secret (-want +got):\n%s", diff)
	}

	// Of three tokens on record the status has reported a, b has expired, and c is valid.
	valid := madeAt("c", 0)
	valid.ExpiresAt = noon.Add(24 * time.Hour)
	s := &state{record: record, before: []oauth2.MintedToken{current, madeAt("b", 0), valid}}
	s.record.Tokens = nil
	for range 2 {
		if err := r.publish(t.Context(), object, s); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, `"level"=0 "msg"="credential" "change"="expired" "client_id"="shop.app" "owner"="OAuth2Token shop/legacy" "jti"="b"`,
		`"level"=0 "msg"="credential" "change"="ended" "client_id"="shop.app" "owner"="OAuth2Token shop/legacy" "jti"="c"`)
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines of those off the record (-want +got):\n%s", diff)
	}
}

// TestTheEndOfAFixedTokenHasOneLine: the record has dropped it, and a late cache still has it.
func TestTheEndOfAFixedTokenHasOneLine(t *testing.T) {
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{UID: "t"}, Spec: v1alpha1.OAuth2TokenSpec{Mode: v1alpha1.TokenFixed}}
	lines := 0
	r := New(Config{Clock: clocktesting.NewFakeClock(noon.Add(2 * time.Hour)), Audit: funcr.New(func(_, _ string) { lines++ }, funcr.Options{})})
	for range 2 {
		r.reports.dropped(object, recordChange{before: []oauth2.MintedToken{madeAt("a", 0)}, at: noon.Add(2 * time.Hour)})
	}
	if lines != 1 || !r.reports.isOver(object, "a") {
		t.Errorf("%d lines", lines)
	}
}

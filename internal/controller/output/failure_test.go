// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// The API server's message lacks how to let a write to an immutable object happen.
func TestARefusalSaysWhatToDoWithAnImmutableObject(t *testing.T) {
	immutable := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "app", field.ErrorList{
		field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"),
	})
	another := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "app", field.ErrorList{field.TooLong(field.NewPath("data"), "", 1)})
	target := Target{Name: "app"}
	for name, c := range map[string]struct {
		err  error
		says bool
	}{
		"a Secret that is immutable":                  {target.failed(immutable, nil), true},
		"an object of another writer, also one":       {immutable, true},
		"a Secret that is invalid for another reason": {target.failed(another, nil), false},
		"a Secret that a policy refuses":              {target.failed(apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "app", errors.New("no")), nil), false},
	} {
		condition := Failure(c.err, nil, "write it")
		if condition == nil || strings.Contains(condition.Message, ". Delete it: it is created again at once. ") != c.says {
			t.Errorf("%s: %+v", name, condition)
		}
	}
}

// A webhook chooses the status of its refusal.
func TestARefusalOfAWebhookIsReportedWhateverItsStatus(t *testing.T) {
	const words = `admission webhook "guard.example.com" denied the request: not today`
	ready := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	for _, code := range []int32{
		http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	} {
		for message, want := range map[string]bool{words: true, "try again later": code == http.StatusBadRequest || code == http.StatusForbidden} {
			failure := &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: message}}
			got := Failure(fmt.Errorf("write: %w", failure), ready, "write the Secret")
			if reported := got != nil && got.Reason == v1alpha1.ReasonWriteRefused && strings.Contains(got.Message, message); reported != want {
				t.Errorf("%d %q is reported: %t", code, message, reported)
			}
		}
	}
}

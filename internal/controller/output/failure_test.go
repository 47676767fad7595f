// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
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

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"testing"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestArgoCDReadsTheHealthOfAClient runs the health script over the conditions that the operator sets.
func TestArgoCDReadsTheHealthOfAClient(t *testing.T) {
	script, err := os.ReadFile("../../../docs/argocd/health.lua")
	if err != nil {
		t.Fatal(err)
	}
	conflict := v1alpha1.SecretConflict("reporting")
	waiting := v1alpha1.Progressing("register the client")
	for name, c := range map[string]struct {
		observed   int64
		conditions []metav1.Condition
		want       string
	}{
		"nothing said yet":         {0, nil, "Progressing"},
		"registered":               {2, []metav1.Condition{v1alpha1.Registered()}, "Healthy"},
		"registered, spec changed": {1, []metav1.Condition{v1alpha1.Registered()}, "Progressing"},
		"suspended":                {2, []metav1.Condition{v1alpha1.Suspended()}, "Suspended"},
		"a conflict":               {2, []metav1.Condition{conflict, v1alpha1.Stalled(conflict)}, "Degraded"},
		"being worked on":          {2, []metav1.Condition{waiting, v1alpha1.Reconciling(waiting)}, "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			object := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			object.Status.ObservedGeneration, object.Status.Conditions = c.observed, c.conditions
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
			if err != nil {
				t.Fatal(err)
			}
			state := lua.NewState()
			defer state.Close()
			state.SetGlobal("obj", toLua(state, content))
			if err := state.DoString(string(script)); err != nil {
				t.Fatal(err)
			}
			health, ok := state.Get(-1).(*lua.LTable)
			if !ok {
				t.Fatalf("the script returns %s", state.Get(-1))
			}
			if got := health.RawGetString("status").String(); got != c.want {
				t.Errorf("health %s, want %s", got, c.want)
			}
			if len(c.conditions) > 0 && c.observed == 2 && health.RawGetString("message").String() != c.conditions[0].Message {
				t.Errorf("message %q, want the condition's", health.RawGetString("message"))
			}
		})
	}
}

// toLua turns what JSON decodes to into Lua values.
func toLua(state *lua.LState, value any) lua.LValue { //nolint:ireturn // every Lua value is one
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, member := range value {
			table.RawSetString(key, toLua(state, member))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, member := range value {
			table.Append(toLua(state, member))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	}
	return lua.LNil
}

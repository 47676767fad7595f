// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// TestArgoCDReadsTheHealthOfEachKind runs the health script over the conditions that the operator
// sets.
func TestArgoCDReadsTheHealthOfEachKind(t *testing.T) {
	conflict, taken := v1alpha1.SecretConflict("reporting"), v1alpha1.IdentifierConflict("https://orders.example.com")
	waiting := v1alpha1.Progressing("register the client")
	expired := v1alpha1.TokenExpired(time.Now())
	for name, c := range map[string]struct {
		kind       string
		observed   int64
		conditions []metav1.Condition
		want       string
	}{
		"nothing said yet":         {"OAuth2Client", 0, nil, "Progressing"},
		"registered":               {"OAuth2Client", 2, []metav1.Condition{v1alpha1.Registered()}, "Healthy"},
		"registered, spec changed": {"OAuth2Client", 1, []metav1.Condition{v1alpha1.Registered()}, "Progressing"},
		"suspended":                {"OAuth2Client", 2, []metav1.Condition{v1alpha1.Suspended()}, "Suspended"},
		"a conflict":               {"OAuth2Client", 2, []metav1.Condition{conflict, v1alpha1.Stalled(conflict)}, "Degraded"},
		"being worked on":          {"OAuth2Client", 2, []metav1.Condition{waiting, v1alpha1.Reconciling(waiting)}, "Progressing"},
		"a declared resource":      {"OAuth2Resource", 2, []metav1.Condition{v1alpha1.ResourceDeclared()}, "Healthy"},
		"a resource in conflict":   {"OAuth2Resource", 2, []metav1.Condition{taken, v1alpha1.Stalled(taken)}, "Degraded"},
		"an expired token":         {"OAuth2Token", 2, []metav1.Condition{expired, v1alpha1.Stalled(expired)}, "Degraded"},
		"a revocation in force":    {"TokenRevocation", 2, []metav1.Condition{v1alpha1.RevocationInForce()}, "Healthy"},
		"a revocation of no client": {
			"TokenRevocation", 2, []metav1.Condition{v1alpha1.RevocationClientNotFound("shop.reporting")}, "Degraded",
		},
		"a policy in force": {"OAuth2Policy", 2, []metav1.Condition{v1alpha1.PolicyInForce()}, "Healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			object := map[string]any{"kind": c.kind, "metadata": map[string]any{"generation": int64(2)}, "spec": map[string]any{}}
			if c.conditions != nil {
				var conditions []any
				for _, condition := range c.conditions {
					conditions = append(conditions, map[string]any{
						"type": condition.Type, "status": string(condition.Status), "reason": condition.Reason, "message": condition.Message,
					})
				}
				object["status"] = map[string]any{"observedGeneration": c.observed, "conditions": conditions}
			}
			health := runLua(t, read(t, "docs/argocd/health.lua"), object)
			if got := health.RawGetString("status").String(); got != c.want {
				t.Errorf("health %s, want %s", got, c.want)
			}
			if len(c.conditions) > 0 && c.observed == 2 && health.RawGetString("message").String() != c.conditions[0].Message {
				t.Errorf("message %q, want the condition's", health.RawGetString("message"))
			}
			if !strings.Contains(read(t, "docs/argocd/kustomization.yaml"), "health.hallpass.dev_"+c.kind+"=health.lua") {
				t.Errorf("Argo CD does not get the script for %s", c.kind)
			}
		})
	}
}

// The token servers write batches, whose status stays empty.
func TestArgoCDTakesABatchOfRevocationsAsHealthy(t *testing.T) {
	health := runLua(t, read(t, "docs/argocd/health.lua"), map[string]any{
		"kind": "TokenRevocation", "metadata": map[string]any{"generation": int64(1)}, "spec": map[string]any{"batch": map[string]any{}},
	})
	if got := health.RawGetString("status").String(); got != "Healthy" {
		t.Errorf("health %s", got)
	}
}

// TestTheActionsOfArgoCDChangeWhatTheOperatorReads runs each action over clients, and decodes the
// result as the API server does.
func TestTheActionsOfArgoCDChangeWhatTheOperatorReads(t *testing.T) {
	var actions struct {
		Discovery   string `json:"discovery.lua"`
		Definitions []struct {
			Name   string `json:"name"`
			Action string `json:"action.lua"`
		} `json:"definitions"`
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "docs/argocd/actions.yaml")), &actions); err != nil {
		t.Fatal(err)
	}
	plain := map[string]any{"metadata": map[string]any{"name": "reporting"}}
	suspended := map[string]any{"metadata": map[string]any{"name": "reporting"}, "spec": map[string]any{"state": string(v1alpha1.ClientSuspended)}}
	for _, c := range []struct {
		action string
		client map[string]any
		field  []string
		want   string
	}{
		{"rotate", plain, []string{"metadata", "annotations", v1alpha1.AnnotationRotate}, "20"},
		{"suspend", plain, []string{"spec", "state"}, string(v1alpha1.ClientSuspended)},
		{"resume", suspended, []string{"spec", "state"}, string(v1alpha1.ClientActive)},
		{"revoke-tokens", plain, []string{"spec", "revokeTokensIssuedBefore"}, "20"},
	} {
		for _, definition := range actions.Definitions {
			if definition.Name != c.action {
				continue
			}
			if got := field(runLua(t, definition.Action, c.client), c.field...).String(); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s makes %v %q, want %q", c.action, c.field, got, c.want)
			}
		}
	}
	for _, definition := range actions.Definitions {
		for name, client := range map[string]map[string]any{"resume": plain, "suspend": suspended} {
			disabled := field(runLua(t, actions.Discovery, client), definition.Name, "disabled") == lua.LTrue
			if disabled != (definition.Name == name) {
				t.Errorf("%v offers %s: %v", client, definition.Name, !disabled)
			}
		}
	}
	if len(actions.Definitions) != 4 {
		t.Errorf("%d actions", len(actions.Definitions))
	}
}

// runLua runs a script over an object, as Argo CD does.
func runLua(t *testing.T, script string, object map[string]any) *lua.LTable {
	t.Helper()
	state := lua.NewState()
	t.Cleanup(state.Close)
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returns %s", state.Get(-1))
	}
	return result
}

// field is the value below some names, or nil.
func field(value lua.LValue, names ...string) lua.LValue { //nolint:ireturn // every Lua value is one
	for _, name := range names {
		table, ok := value.(*lua.LTable)
		if !ok {
			return lua.LNil
		}
		value = table.RawGetString(name)
	}
	return value
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

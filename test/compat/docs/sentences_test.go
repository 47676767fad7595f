// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// refusing is the part of a schema that has a message for the user.
type refusing struct {
	Pattern    string               `json:"pattern"`
	Properties map[string]*refusing `json:"properties"`
	Items      *refusing            `json:"items"`
	Values     *refusing            `json:"additionalProperties"`
	Rules      []refusingRule       `json:"x-kubernetes-validations"`
}

type refusingRule struct {
	Rule       string `json:"rule"`
	Message    string `json:"message"`
	Expression string `json:"messageExpression"`
}

// machineWritten are fields that only the processes of Hallpass write.
var machineWritten = []string{"TokenRevocation.spec.batch.tokens", "TokenRevocation.spec.batch.assertions", "TokenRevocation.spec.batch.generations"}

// TestTheAPIServerRefusesWithSentences checks all that can refuse what a user writes: of a
// pattern the API server prints the regular expression and nothing else, so there is none, and the
// message of a rule has what is allowed. Where a field cannot be changed, it has the way.
func TestTheAPIServerRefusesWithSentences(t *testing.T) {
	files, err := filepath.Glob("../../../config/crd/bases/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d definitions: %v", len(files), err)
	}
	rules := 0
	for _, file := range files {
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						OpenAPI *refusing `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(read(t, "config/crd/bases/"+filepath.Base(file))), &crd); err != nil {
			t.Fatal(err)
		}
		for _, complaint := range mute(crd.Spec.Versions[0].Schema.OpenAPI, crd.Spec.Names.Kind, &rules) {
			t.Error(complaint)
		}
	}
	if rules < 80 {
		t.Errorf("%d rules were looked at", rules)
	}
}

func TestEachWayToRefuseWithoutASentenceIsFound(t *testing.T) {
	for name, schema := range map[string]*refusing{
		"a pattern":                       {Properties: map[string]*refusing{"spec": {Pattern: "^a$"}}},
		"a pattern of the items":          {Properties: map[string]*refusing{"spec": {Items: &refusing{Pattern: "^a$"}}}},
		"a pattern of the values":         {Properties: map[string]*refusing{"spec": {Values: &refusing{Pattern: "^a$"}}}},
		"a rule without a message":        {Properties: map[string]*refusing{"spec": {Rules: []refusingRule{{Rule: "true"}}}}},
		"a message of a word":             {Properties: map[string]*refusing{"spec": {Rules: []refusingRule{{Rule: "true", Message: "invalid"}}}}},
		"a message that is an expression": {Rules: []refusingRule{{Rule: "true", Message: "spec must match ^[a-z]+$ as a whole"}}},
		"an end without a way":            {Rules: []refusingRule{{Rule: "self == oldSelf", Message: "the spec cannot be changed any more"}}},
	} {
		rules := 0
		if got := mute(schema, "Kind", &rules); len(got) != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// mute returns what a schema refuses without a sentence.
func mute(s *refusing, path string, rules *int) (complaints []string) {
	if s.Pattern != "" && !slices.Contains(machineWritten, path) {
		complaints = append(complaints, path+" is refused with the regular expression "+s.Pattern)
	}
	for _, r := range s.Rules {
		*rules++
		message := cmp.Or(r.Message, r.Expression)
		switch {
		case len(strings.Fields(message)) < 4, strings.ContainsAny(message, "^$\\"):
			complaints = append(complaints, path+" is refused with: "+message)
		case strings.Contains(r.Rule, "oldSelf") && !strings.Contains(message, "create another"):
			complaints = append(complaints, path+" cannot be changed, and the message does not say the way: "+message)
		}
	}
	for name, property := range s.Properties {
		if name == "status" && !strings.Contains(path, ".") {
			continue // the manager writes it
		}
		complaints = append(complaints, mute(property, path+"."+name, rules)...)
	}
	if s.Items != nil {
		complaints = append(complaints, mute(s.Items, path+"[]", rules)...)
	}
	if s.Values != nil {
		complaints = append(complaints, mute(s.Values, path+"{}", rules)...)
	}
	return complaints
}

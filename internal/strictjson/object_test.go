// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

func TestObjectsHaveDistinctMembersAndNothingAfterThem(t *testing.T) {
	for name, c := range map[string]struct {
		raw string
		ok  bool
	}{
		"an object":                       {`{"a":1,"b":{"a":2}}`, true},
		"an empty one":                    {`{}`, true},
		"white space around it":           {" {\"a\":1}\n", true},
		"a member twice":                  {`{"a":1,"a":1}`, false},
		"twice by an escape":              {`{"a":1,"\u0061":1}`, false},
		"the same name written otherwise": {`{"a\u00e9":1,"aé":1}`, false},
		"values of every kind":            {`{"a":"}\"{","b":[{"c":"]"},[]],"d":-1.5e3,"e":null,"f":true,"g":{"h":{"i":"\\"}}, "j" : "" }`, true},
		"not UTF-8":                       {"{\"a\":\"\xff\"}", false},
		"a comma too many":                {`{"a":1,}`, false},
		"something after it":              {`{"a":1}x`, false},
		"another after it":                {`{"a":1}{}`, false},
		"an array":                        {`[1]`, false},
		"cut short":                       {`{"a":`, false},
		"nothing":                         {``, false},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := strictjson.ParseObject(c.raw); (err == nil) != c.ok {
				t.Errorf("%v, want ok %t", err, c.ok)
			}
		})
	}
}

func TestMembersAreReadAsWhatTheyAre(t *testing.T) {
	object, err := strictjson.ParseObject(`{"s":"a\u0062","empty":"","null":null,"n":17,"f":17.9,"e":1.7e1,"neg":-1,"big":1e20,"huge":1e400,"q":"17",
		"list":["a","b"],"none":[],"mixed":["a",1],"hole":["a",null]}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"s": "ab", "empty": "", "absent": ""} {
		if got, err := object.OptionalString(name); err != nil || got != want {
			t.Errorf("optional %s: %q (%v), want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"null", "n", "list"} {
		if got, err := object.OptionalString(name); err == nil {
			t.Errorf("optional %s is read as %q", name, got)
		}
	}
	for _, name := range []string{"empty", "absent", "null"} {
		if _, err := object.String(name); err == nil {
			t.Errorf("%s is read as a string that has to be there", name)
		}
	}
	for name, want := range map[string]int64{"n": 17, "f": 17, "e": 17} {
		if got, err := object.Seconds(name); err != nil || got != want {
			t.Errorf("seconds of %s: %d (%v), want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"neg", "big", "huge", "q", "null", "absent", "list"} {
		if got, err := object.Seconds(name); err == nil {
			t.Errorf("seconds of %s are read as %d", name, got)
		}
	}
	for name, want := range map[string][]string{"s": {"ab"}, "list": {"a", "b"}, "none": {}} {
		if got, err := object.Strings(name); err != nil || !cmp.Equal(got, want) {
			t.Errorf("strings of %s: %q (%v), want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"mixed", "hole", "null", "n", "absent"} {
		if got, err := object.Strings(name); err == nil {
			t.Errorf("strings of %s are read as %q", name, got)
		}
	}
}

// FuzzParseObject looks for an object that ParseObject and encoding/json read differently, other
// than by a duplicate member, which only ParseObject refuses.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `[]`, `{"a":{"b":[1,2]}}`, "{", `{"a":1}{}`, `{"a":01}`, `{"a":0,"b":-0.5e+1}`, `{"a":"\u00e9\\"}`, "{\"a\":\"\t\"}", `{"a"1}`,
		`{"a":1"b":2}`, `{"a":1,}`, `{"a":[}]}`, `{"a":tru}`, `{"\x":1}`, `{,}`, `{"a":}`, "{ \"a\" : 1 , \"b\":\"c\" }",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		object, err := strictjson.ParseObject(string(raw))
		var lenient map[string]json.RawMessage
		refused := json.Unmarshal(raw, &lenient) != nil || lenient == nil || !utf8.Valid(raw)
		switch {
		case err == nil && (refused || len(lenient) != len(object)):
			t.Errorf("read %d members of %q, encoding/json reads %d", len(object), raw, len(lenient))
		case err != nil && !refused && !twice(raw):
			t.Errorf("refuses %q: %v", raw, err)
		}
		for name, value := range object {
			if value != string(lenient[name]) {
				t.Errorf("read %q for %q of %q, encoding/json reads %q", value, name, raw, lenient[name])
			}
		}
	})
}

// twice reports whether a JSON object has two members of one name.
func twice(raw []byte) bool {
	decoder, names := json.NewDecoder(bytes.NewReader(raw)), map[json.Token]bool{}
	_, _ = decoder.Token()
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil || names[name] {
			return true
		}
		names[name] = true
		var value json.RawMessage
		_ = decoder.Decode(&value)
	}
	return false
}

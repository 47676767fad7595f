// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

func TestAnObjectIsWhatEncodingJSONWrites(t *testing.T) {
	for name, value := range map[string]string{
		"nothing":                   "",
		"plain text":                "https://tokens.example/ns/shop read:all",
		"quotes and backslashes":    `say "a\b"`,
		"what HTML would take":      "<a href='?x&y'>",
		"a line break and a NUL":    "a\nb\x00",
		"letters beyond ASCII":      "Zürich, Łódź",
		"the end of a line in JSON": "a\u2028b",
		"what is not UTF-8":         "a\xffb",
	} {
		t.Run(name, func(t *testing.T) { equalJSON(t, value, 1792411200) })
	}
}

func FuzzAnObjectIsWhatEncodingJSONWrites(f *testing.F) {
	f.Add("read write", int64(1))
	f.Add("\"\\<\u2028\xff", int64(-1))
	f.Fuzz(func(t *testing.T, value string, number int64) { equalJSON(t, value, number) })
}

func equalJSON(t *testing.T, value string, number int64) {
	t.Helper()
	want, err := json.Marshal(struct {
		Text   string `json:"text"`
		Number int64  `json:"number"`
		Bool   bool   `json:"bool"`
		Last   string `json:"last"`
	}{value, number, number > 0, value + " " + value})
	if err != nil {
		t.Fatal(err)
	}
	got := strictjson.NewBuilder(nil).Text("text", value).Number("number", number).Bool("bool", number > 0).Words("last", []string{value, value}).End()
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

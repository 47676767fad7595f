// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// ObjectBuilder writes a JSON object member by member, without reflection: what is written for each request has members that are
// known. The bytes are those that encoding/json would write.
type ObjectBuilder struct{ json []byte }

// NewObjectBuilder begins an object in the capacity of room, and takes more where that is not enough.
func NewObjectBuilder(room []byte) *ObjectBuilder {
	return &ObjectBuilder{append(room[:0], '{')}
}

func (b *ObjectBuilder) name(name string) {
	if len(b.json) > 1 {
		b.json = append(b.json, ',')
	}
	b.json = append(b.json, '"')
	b.json = append(b.json, name...)
	b.json = append(b.json, '"', ':')
}

// Text adds a member. Its name is one that needs no escapes.
func (b *ObjectBuilder) Text(name, value string) *ObjectBuilder {
	b.name(name)
	if !plain(value) {
		escaped, _ := json.Marshal(value) //nolint:errchkjson // each string has its JSON
		b.json = append(b.json, escaped...)
		return b
	}
	b.json = append(b.json, '"')
	b.json = append(b.json, value...)
	b.json = append(b.json, '"')
	return b
}

// Words adds a member of values with spaces between them, as scopes are written. There is none without a value: RFC 6749 section 3.3
// has no empty scope.
func (b *ObjectBuilder) Words(name string, values []string) *ObjectBuilder {
	if len(values) == 0 {
		return b
	}
	return b.Text(name, strings.Join(values, " "))
}

// Number adds a member.
func (b *ObjectBuilder) Number(name string, value int64) *ObjectBuilder {
	b.name(name)
	b.json = strconv.AppendInt(b.json, value, 10)
	return b
}

// Time adds a member by RFC 3339, with what there is of its second.
func (b *ObjectBuilder) Time(name string, value time.Time) *ObjectBuilder {
	b.name(name)
	b.json = append(b.json, '"')
	b.json = value.AppendFormat(b.json, time.RFC3339Nano)
	b.json = append(b.json, '"')
	return b
}

// Bool adds a member.
func (b *ObjectBuilder) Bool(name string, value bool) *ObjectBuilder {
	b.name(name)
	b.json = strconv.AppendBool(b.json, value)
	return b
}

// End is the object. The builder is of no use after it.
func (b *ObjectBuilder) End() []byte { return append(b.json, '}') }

// plain reports whether a text stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

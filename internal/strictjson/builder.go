// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Builder writes a JSON object member by member, without reflection: what is written for each request has members that are
// known. The bytes are those that encoding/json would write.
type Builder struct{ json []byte }

// NewBuilder begins an object in the capacity of room, and takes more where that is not enough.
func NewBuilder(room []byte) *Builder {
	return &Builder{append(room[:0], '{')}
}

func (b *Builder) name(name string) {
	if len(b.json) > 1 {
		b.json = append(b.json, ',')
	}
	b.json = append(b.json, '"')
	b.json = append(b.json, name...)
	b.json = append(b.json, '"', ':')
}

// Text adds a member. Its name is one that needs no escapes.
func (b *Builder) Text(name, value string) *Builder {
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
func (b *Builder) Words(name string, values []string) *Builder {
	if len(values) == 0 {
		return b
	}
	return b.Text(name, strings.Join(values, " "))
}

// Number adds a member.
func (b *Builder) Number(name string, value int64) *Builder {
	b.name(name)
	b.json = strconv.AppendInt(b.json, value, 10)
	return b
}

// Time adds a member by RFC 3339, with what there is of its second.
func (b *Builder) Time(name string, value time.Time) *Builder {
	b.name(name)
	b.json = append(b.json, '"')
	b.json = value.AppendFormat(b.json, time.RFC3339Nano)
	b.json = append(b.json, '"')
	return b
}

// Bool adds a member.
func (b *Builder) Bool(name string, value bool) *Builder {
	b.name(name)
	b.json = strconv.AppendBool(b.json, value)
	return b
}

// End is the object. The builder is of no use after it.
func (b *Builder) End() []byte { return append(b.json, '}') }

// plain reports whether a text stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/json"
	"strconv"
	"time"
)

// Builder writes a JSON object member by member, without reflection, for objects that are written
// on each request. The bytes are those that encoding/json writes.
type Builder struct{ json []byte }

// NewBuilder begins an object. It writes into the capacity of room and allocates only if that is
// too small.
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

// Text adds a string member. The name must not need escapes.
func (b *Builder) Text(name, value string) *Builder {
	b.name(name)
	b.json = append(b.json, '"')
	b.characters(value)
	b.json = append(b.json, '"')
	return b
}

// characters adds a part of a string.
func (b *Builder) characters(value string) {
	if plain(value) {
		b.json = append(b.json, value...)
		return
	}
	escaped, _ := json.Marshal(value) //nolint:errchkjson // encoding a string cannot fail
	b.json = append(b.json, escaped[1:len(escaped)-1]...)
}

// Words adds a string member of values separated by spaces, the form of scopes. It is a no-op
// without values, because RFC 6749 section 3.3 has no empty scope.
func (b *Builder) Words(name string, values []string) *Builder {
	if len(values) == 0 {
		return b
	}
	b.name(name)
	b.json = append(b.json, '"')
	for i, value := range values {
		if i > 0 {
			b.json = append(b.json, ' ')
		}
		b.characters(value)
	}
	b.json = append(b.json, '"')
	return b
}

// Number adds a number member.
func (b *Builder) Number(name string, value int64) *Builder {
	b.name(name)
	b.json = strconv.AppendInt(b.json, value, 10)
	return b
}

// Time adds a string member in RFC 3339, with the fraction of the second if it is not zero.
func (b *Builder) Time(name string, value time.Time) *Builder {
	b.name(name)
	b.json = append(b.json, '"')
	b.json = value.AppendFormat(b.json, time.RFC3339Nano)
	b.json = append(b.json, '"')
	return b
}

// Bool adds a boolean member.
func (b *Builder) Bool(name string, value bool) *Builder {
	b.name(name)
	b.json = strconv.AppendBool(b.json, value)
	return b
}

// Raw adds a member whose value is JSON.
func (b *Builder) Raw(name string, value []byte) *Builder {
	b.name(name)
	b.json = append(b.json, value...)
	return b
}

// End returns the object. The Builder must not be used afterwards.
func (b *Builder) End() []byte { return append(b.json, '}') }

// plain reports whether a string needs no escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if !isPlain[s[i]] {
			return false
		}
	}
	return true
}

// isPlain are the characters of ASCII that encoding/json writes as they are. The strings are up to
// some KiB long, and are looked through for each token.
var isPlain = func() (table [256]bool) { //nolint:gochecknoglobals // a constant table
	for c := byte(0x20); c <= 0x7e; c++ {
		table[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return table
}()

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON objects strictly (RFC 8259). It depends on the standard library
// alone. The token server has a package of the same name; a module for callers cannot import it.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Object is a JSON object with distinct members: the JSON text of each value by its name.
type Object map[string]string

// mostExpected bounds the room that an object is given before it is read. The JWT of a CI job has
// some 30 members.
const mostExpected = 32

var errNotObject = errors.New("not a JSON object with distinct members")

// ParseObject reads one JSON object with nothing after it. It refuses an object with a duplicate
// member, because two readers could see two different values (RFC 8725 section 2.4, RFC 7519
// section 4). It does not parse nested objects: call ParseObject on the member.
func ParseObject(raw string) (Object, error) {
	// the members of nested objects count, too, and white space before a colon hides one
	object := make(Object, min(strings.Count(raw, `":`), mostExpected))
	err := EachMember(raw, func(name, value string) error {
		if _, twice := object[name]; twice {
			return errNotObject
		}
		object[name] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	return object, nil
}

// EachMember calls visit for each member of one JSON object in order, until visit returns an error.
// A syntax error after a member is found after visit was called with it. Values, and names without
// escapes, are substrings of raw.
//
// The strings and integers of tokens are validated where they are found, and encoding/json
// validates everything else: it takes several times as long.
func EachMember(raw string, visit func(name, value string) error) error {
	raw = strings.Trim(raw, whiteSpace)
	if raw == "" || raw[0] != '{' || !utf8.ValidString(raw) {
		return errNotObject
	}
	rest := skip(raw[1:])
	if rest == "}" {
		return nil
	}
	for {
		end := validString(rest)
		if end == 0 {
			return errNotObject
		}
		name, err := unquote(rest[:end])
		if err != nil {
			return err
		}
		value, colon := strings.CutPrefix(skip(rest[end:]), ":")
		value = skip(value)
		if end = validValue(value); !colon || end == 0 {
			return errNotObject
		}
		if err := visit(name, value[:end]); err != nil {
			return err
		}
		rest = skip(value[end:])
		if rest == "}" {
			return nil
		}
		if rest == "" || rest[0] != ',' {
			return errNotObject
		}
		rest = skip(rest[1:])
	}
}

const whiteSpace = " \t\r\n"

// skip removes white space at the beginning.
func skip(raw string) string {
	for raw != "" && raw[0] <= ' ' && strings.IndexByte(whiteSpace, raw[0]) >= 0 {
		raw = raw[1:]
	}
	return raw
}

// validString returns the length of the string literal at the beginning of UTF-8, or zero if there
// is none.
func validString(raw string) int {
	if raw == "" || raw[0] != '"' {
		return 0
	}
	for i := 1; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			end := stringEnd(raw)
			return validated(raw[:end])
		case c < ' ':
			return 0
		}
	}
	return 0
}

// validValue returns the length of the value at the beginning of UTF-8, or zero if there is none.
func validValue(raw string) int {
	if raw == "" {
		return 0
	}
	if raw[0] == '"' {
		return validString(raw)
	}
	digits := 0
	for digits < len(raw) && '0' <= raw[digits] && raw[digits] <= '9' {
		digits++
	}
	if raw[0] != '0' && 0 < digits && digits < len(raw) && (raw[digits] == ',' || raw[digits] == '}') {
		return digits
	}
	return validated(raw[:valueEnd(raw)])
}

// validated returns the length of a text that is JSON, or zero.
func validated(raw string) int {
	if !json.Valid([]byte(raw)) {
		return 0
	}
	return len(raw)
}

// stringEnd returns the length of the string literal at the beginning, or of all if it has no end.
func stringEnd(raw string) int {
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// valueEnd returns the length of the value at the beginning. Of a text that is no JSON it returns
// the length of something that is no value.
func valueEnd(raw string) int {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i += stringEnd(raw[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(raw)
}

// unquote decodes a string literal of valid JSON.
func unquote(literal string) (string, error) {
	if strings.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1], nil
	}
	var value string
	if err := json.Unmarshal([]byte(literal), &value); err != nil {
		return "", errNotObject
	}
	return value, nil
}

// String returns a required member that is a string and not empty.
func (o Object) String(name string) (string, error) {
	value, err := o.OptionalString(name)
	if err == nil && value == "" {
		err = fmt.Errorf("%s is missing", name)
	}
	return value, err
}

// OptionalString returns a member that is a string, or "" if the object has no such member. It
// refuses null.
func (o Object) OptionalString(name string) (string, error) {
	raw, there := o[name]
	if !there {
		return "", nil
	}
	return StringMember(name, raw)
}

// StringMember decodes the value of a member that must be a string. The name is for the error.
func StringMember(name, raw string) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return unquote(raw)
}

// Strings returns a required member that is an array of strings, or one string, which means an
// array of one: the two forms of aud (RFC 7519 section 4.1.3).
func (o Object) Strings(name string) ([]string, error) {
	raw, there := o[name]
	if !there {
		return nil, fmt.Errorf("%s is missing", name)
	}
	if raw[0] == '"' {
		value, err := unquote(raw)
		return []string{value}, err
	}
	var values []*string
	if err := json.Unmarshal([]byte(raw), &values); err != nil || values == nil {
		return nil, fmt.Errorf("%s is not a list of strings", name)
	}
	list := make([]string, len(values))
	for i, value := range values {
		if value == nil {
			return nil, fmt.Errorf("%s is not a list of strings", name)
		}
		list[i] = *value
	}
	return list, nil
}

// maxSeconds keeps dates within the range of time.Time and its arithmetic.
const maxSeconds = 1 << 40

// Seconds returns a required member that is a NumericDate (RFC 7519 section 2) not before the
// epoch, in whole seconds. It rounds down, so that an expiry is never extended.
func (o Object) Seconds(name string) (int64, error) {
	raw, there := o[name]
	if !there {
		return 0, fmt.Errorf("%s is missing", name)
	}
	return ParseSeconds(name, raw)
}

// ParseSeconds decodes the value of a member that must be a NumericDate. The name is for the error.
func ParseSeconds(name, raw string) (int64, error) {
	if value, err := strconv.Atoi(raw); err == nil && value >= 0 && int64(value) <= maxSeconds {
		return int64(value), nil
	}
	// of the values of valid JSON, it accepts numbers alone
	value, err := strconv.ParseFloat(raw, 64)
	if err != nil || value < 0 || value > maxSeconds {
		return 0, fmt.Errorf("%s is not a date in seconds", name)
	}
	return int64(value), nil
}

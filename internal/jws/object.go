// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package jws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Object is a JSON object whose members were each there once.
type Object map[string]json.RawMessage

var errNotObject = errors.New("not a JSON object with distinct members")

// ParseObject reads one JSON object and nothing after it. A member that is there twice refuses the whole: two readers must
// not be able to see two different values (RFC 8725 section 2.4, RFC 7519 section 4).
func ParseObject(raw []byte) (Object, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errNotObject
	}
	object := Object{}
	for decoder.More() {
		token, err := decoder.Token()
		name, isString := token.(string)
		if err != nil || !isString {
			return nil, errNotObject
		}
		if _, twice := object[name]; twice {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errNotObject
		}
		object[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errNotObject
	}
	if decoder.InputOffset() != int64(len(bytes.TrimRight(raw, " \t\r\n"))) {
		return nil, errNotObject
	}
	return object, nil
}

// String returns a member that must be a string and not empty.
func (o Object) String(name string) (string, error) {
	value, err := o.OptionalString(name)
	if err == nil && value == "" {
		err = fmt.Errorf("%s is missing", name)
	}
	return value, err
}

// OptionalString returns a member that is a string if it is there. A null is not a string.
func (o Object) OptionalString(name string) (string, error) {
	raw, there := o[name]
	if !there {
		return "", nil
	}
	var value *string
	if err := json.Unmarshal(raw, &value); err != nil || value == nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return *value, nil
}

// Seconds returns a member that must be a NumericDate (RFC 7519 section 2) in whole seconds, not before the epoch.
func (o Object) Seconds(name string) (int64, error) {
	raw, there := o[name]
	if !there {
		return 0, fmt.Errorf("%s is missing", name)
	}
	var value *int64
	if err := json.Unmarshal(raw, &value); err != nil || value == nil || *value < 0 || *value > 1<<40 {
		return 0, fmt.Errorf("%s is not a date in whole seconds", name)
	}
	return *value, nil
}

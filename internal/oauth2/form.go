// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a request body.
const (
	// MaxFormBytes bounds a body; the edge refuses a longer one before it is read whole.
	MaxFormBytes = 64 << 10
	// MaxFormParameters bounds the number of parameters in a body.
	MaxFormParameters = 32
)

// parameterResource may be sent more than once (RFC 8707 section 2).
const parameterResource = "resource"

// Form is the parameters of a request. It may hold credentials and prints as REDACTED.
type Form struct{ parameters []parameter }

type parameter struct{ name, value string }

// ParseForm decodes application/x-www-form-urlencoded. A duplicate parameter is invalid_request
// (RFC 6749 section 3.2), except resource.
func ParseForm(body string) (Form, error) {
	form, repeated, err := parseParameters(body)
	switch {
	case err != nil:
		return Form{}, err
	case len(repeated) > 0:
		return Form{}, errRepeated()
	}
	return form, nil
}

// ParseQuery decodes the query of an authorization request as ParseForm does a body. A parameter
// that is sent more than once is not in the form, and repeated has its name: it is invalid_request
// (RFC 6749 section 3.1), and the client learns that at its redirect URI if that one is there once.
func ParseQuery(query string) (form Form, repeated []string, err error) {
	form, repeated, err = parseParameters(query)
	form.parameters = slices.DeleteFunc(form.parameters, func(p parameter) bool { return slices.Contains(repeated, p.name) })
	return form, repeated, err
}

// errRepeated refuses a parameter that is sent more than once.
func errRepeated() *Error { return malformedForm("a parameter is sent more than once; send each once") }

// parseParameters decodes parameters. Of those that may be sent once, repeated has the names of the
// ones that are sent more often, of which the form has the first.
func parseParameters(body string) (form Form, repeated []string, err error) {
	if len(body) > MaxFormBytes {
		return Form{}, nil, malformedForm(fmt.Sprintf("the parameters are longer than %d bytes", MaxFormBytes))
	}
	form.parameters = make([]parameter, 0, min(strings.Count(body, "&")+1, MaxFormParameters))
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		if len(form.parameters)+len(repeated) == MaxFormParameters {
			return Form{}, nil, malformedForm(fmt.Sprintf("the request has more than %d parameters; send those of the protocol alone", MaxFormParameters))
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := unescape(rawName)
		if err != nil || name == "" {
			return Form{}, nil, malformedForm("the parameters are not application/x-www-form-urlencoded")
		}
		value, err := unescape(rawValue)
		if err != nil {
			return Form{}, nil, malformedForm("the parameters are not application/x-www-form-urlencoded")
		}
		if name != parameterResource && form.has(name) {
			repeated = append(repeated, name)
			continue
		}
		form.parameters = append(form.parameters, parameter{name, value})
	}
	return form, repeated, nil
}

// Get returns the value of a parameter, "" if it is not there.
func (f Form) Get(name string) string {
	for _, p := range f.parameters {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// All returns the values of a parameter that may be sent more than once, the empty ones left out.
func (f Form) All(name string) []string {
	var values []string
	for _, p := range f.parameters {
		if p.name == name && p.value != "" {
			values = append(values, p.value)
		}
	}
	return values
}

// Format implements fmt.Formatter for every verb.
func (f Form) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

func (f Form) has(name string) bool {
	return slices.ContainsFunc(f.parameters, func(p parameter) bool { return p.name == name })
}

var errNotUTF8 = errors.New("not UTF-8")

func unescape(s string) (string, error) {
	decoded, err := s, error(nil)
	if strings.IndexByte(s, '%') >= 0 || strings.IndexByte(s, '+') >= 0 {
		decoded, err = url.QueryUnescape(s)
	}
	if err == nil && !utf8.ValidString(decoded) {
		err = errNotUTF8
	}
	return decoded, err
}

func malformedForm(description string) *Error {
	return Refuse(InvalidRequest, ReasonMalformedRequest, description)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// maxRendered bounds a rendered entry in bytes: references multiply, and a Secret holds 1 MiB.
const maxRendered = 64 << 10

var errTooLong = errors.New("it renders to more than 64 KiB")

var errUnclosed = errors.New("a reference begins with $( and is not closed; write $$( for the characters themselves")

// expand replaces $(name) by the value of that name and $$ by a dollar sign, as references in the environment of a container
// are replaced. Unlike there, a name that is unknown is an error: a password that reads $(client_secert) helps nobody.
func expand(template string, values map[string]string) (string, error) {
	var out strings.Builder
	for {
		if out.Len() > maxRendered {
			return "", errTooLong
		}
		before, after, found := strings.Cut(template, "$")
		out.WriteString(before)
		switch {
		case !found:
			return out.String(), nil
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			template = after[1:]
		case strings.HasPrefix(after, "("):
			name, rest, closed := strings.Cut(after[1:], ")")
			if !closed {
				return "", errUnclosed
			}
			value, known := values[name]
			if !known {
				return "", fmt.Errorf("$(%s) is unknown; there are %s", name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
			}
			out.WriteString(value)
			template = rest
		default:
			out.WriteByte('$')
			template = after
		}
	}
}

// Expand renders templates into entries. It returns the name of the entry that cannot be rendered with the
// error; the problem is the first in the order of the names, so that the condition stays the same from run to run.
func Expand(templates map[string]v1alpha1.TemplateText, values map[string]string, taken map[string][]byte) (map[string][]byte, string, error) {
	rendered := make(map[string][]byte, len(templates))
	for _, entry := range slices.Sorted(maps.Keys(templates)) {
		if _, clash := taken[entry]; clash {
			return nil, entry, errors.New("the Secret has another entry of that name; rename one of them")
		}
		text, err := expand(string(templates[entry]), values)
		if err != nil {
			return nil, entry, err
		}
		rendered[entry] = []byte(text)
	}
	return rendered, "", nil
}

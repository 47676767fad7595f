// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// Item is an entry that an object gets, and that the templates of users refer to.
type Item struct {
	// Name is the default name of the entry, and what templates call it; Renamed is the name
	// that the user chose.
	Name    string
	Renamed v1alpha1.SecretKey
	Value   string
	// Omitted items are there for templates only.
	Omitted bool
}

// Render renders the data of an object: the items, and what the user's templates make of them. The
// condition has the reason why it cannot be done.
func Render(items []Item, templates v1alpha1.SecretTemplate) (map[string][]byte, *metav1.Condition) {
	data, values := map[string][]byte{}, map[string]string{}
	for _, item := range items {
		values[item.Name] = item.Value
		if !item.Omitted {
			data[Entry(item.Renamed, item.Name)] = []byte(item.Value)
		}
	}
	rendered, bad, err := expandAll(templates, values, data)
	if err != nil {
		return nil, new(v1alpha1.InvalidTemplate(bad, err.Error()))
	}
	maps.Copy(data, rendered)
	return data, nil
}

// Entry is the name of an entry: the user's, or the default.
func Entry(name v1alpha1.SecretKey, otherwise string) string {
	if name != "" {
		return string(name)
	}
	return otherwise
}

// Value is the secret value in the data of an object. Where its entry is missing because the user
// has just renamed it, it is a valid one under another name: a new name is no reason for a new
// value.
func Value(data map[string][]byte, entry string, valid func(oauth2.Secret) bool) oauth2.Secret {
	if value, there := data[entry]; there {
		return oauth2.NewSecret(string(value))
	}
	return find(data, valid)
}

// find is the first valid value, in the order of the entries' names.
func find(data map[string][]byte, valid func(oauth2.Secret) bool) oauth2.Secret {
	for _, entry := range slices.Sorted(maps.Keys(data)) {
		if value := oauth2.NewSecret(string(data[entry])); valid(value) {
			return value
		}
	}
	return oauth2.Secret{}
}

// maxRendered bounds a rendered entry in bytes: references multiply, and a Secret holds 1 MiB.
const maxRendered = 64 << 10

var errTooLong = errors.New("it renders to more than 64 KiB")

var errUnclosed = errors.New("a reference begins with $( and is not closed; write $$( for the characters themselves")

// expand replaces $(name) by the value of that name and $$ by a dollar sign, as references in the
// environment of a container are replaced. Unlike there, a name that is unknown is an error: a
// password that reads $(client_secert) is of no use.
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

// expandAll renders templates into entries. With an error it returns the name of the first entry
// that cannot be rendered, in the order of names, so that the condition stays the same from run to
// run.
func expandAll(templates map[string]v1alpha1.TemplateText, values map[string]string, taken map[string][]byte) (map[string][]byte, string, error) {
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

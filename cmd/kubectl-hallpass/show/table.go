// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package show renders objects for people: tables, and descriptions in plain words. It never
// renders a secret or a token. The package is pure: objects and the time are arguments.
package show

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// column is a column of a table and how it shows an object.
type column[T any] struct {
	name string
	wide bool // with --output=wide alone
	cell func(o *T, now time.Time) string
}

// table renders objects. Every row has its object, from which the printer takes namespace and
// labels.
func table[T any, P interface {
	*T
	runtime.Object
}](columns []column[T], objects []T, now time.Time) *metav1.Table {
	t := &metav1.Table{}
	for _, c := range columns {
		definition := metav1.TableColumnDefinition{Name: c.name, Type: "string"}
		if c.wide {
			definition.Priority = 1
		}
		t.ColumnDefinitions = append(t.ColumnDefinitions, definition)
	}
	for i := range objects {
		row := metav1.TableRow{Object: runtime.RawExtension{Object: P(&objects[i])}}
		for _, c := range columns {
			row.Cells = append(row.Cells, Plain(c.cell(&objects[i], now)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// health is one word on an object: Ready, or why it is not.
func health(deleting bool, generation, observed int64, conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case deleting:
		return "Deleting"
	case ready == nil:
		return "Pending"
	case ready.Status != metav1.ConditionTrue:
		return ready.Reason
	case observed < generation:
		return "Pending"
	}
	return "Ready"
}

// joined is a list in a cell.
func joined[S ~string](all []S) string {
	if len(all) == 0 {
		return "-"
	}
	texts := make([]string, 0, len(all))
	for _, s := range all {
		texts = append(texts, string(s))
	}
	return strings.Join(texts, ",")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

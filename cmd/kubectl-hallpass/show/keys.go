// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/internal/keyring"
)

// Key is a signing key without its private half.
type Key struct {
	ID          string      `json:"kid"`
	Algorithm   string      `json:"alg"`
	State       string      `json:"state"`
	PublishedAt metav1.Time `json:"publishedAt"`
	ActiveAt    metav1.Time `json:"activeAt"`
	RetiredAt   metav1.Time `json:"retiredAt,omitzero"`
	GoneAt      metav1.Time `json:"goneAt,omitzero"`
}

// Keys are the keys of a ring at an instant, and those that were withdrawn.
func Keys(ring keyring.Ring, now time.Time) []Key {
	var all []Key
	for _, k := range ring.Keys() {
		all = append(all, Key{
			ID: k.ID(), Algorithm: string(k.Algorithm()), State: string(k.State(now)), PublishedAt: metav1.NewTime(k.PublishedAt),
			ActiveAt: metav1.NewTime(k.ActiveAt), RetiredAt: metav1.NewTime(k.RetiredAt), GoneAt: metav1.NewTime(k.GoneAt),
		})
	}
	for _, t := range ring.Tainted() {
		all = append(all, Key{ID: t.KeyID, State: "Withdrawn", GoneAt: metav1.NewTime(t.At)})
	}
	return all
}

// KeyTable is the table of signing keys.
func KeyTable(keys []Key) *metav1.Table {
	t := &metav1.Table{}
	for _, name := range []string{"Kid", "Algorithm", "State", "Published", "Signs From", "Signs Until", "Verifies Until"} {
		t.ColumnDefinitions = append(t.ColumnDefinitions, metav1.TableColumnDefinition{Name: name, Type: "string"})
	}
	for _, k := range keys {
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{
			k.ID, orDash(k.Algorithm), k.State, stamp(k.PublishedAt), stamp(k.ActiveAt), stamp(k.RetiredAt), stamp(k.GoneAt),
		}})
	}
	return t
}

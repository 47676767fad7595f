// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"slices"
	"testing"

	"github.com/hallpass-dev/hallpass/internal/restore"
)

func TestATrustedIssuerGoesWithItsRecord(t *testing.T) {
	record := issuerRecord(t, github)
	for name, remove := range map[string]func(*fixture){
		"it is deleted":     func(f *fixture) { f.Registry.Remove(record) },
		"it is not listed":  func(f *fixture) { f.Registry.Replace(slices.Values([]Record{}), restore.List{Version: 200}) },
		"it cannot be read": func(f *fixture) { f.Registry.Apply(Record{name: record.name, kind: record.kind}) },
		"another one has its name": func(f *fixture) {
			other := github
			other.Issuer = "https://other.test"
			f.Registry.Apply(issuerRecord(t, other))
		},
	} {
		f := filled(t)
		if got := f.Registry.Issuers.Named("github"); got == nil || got.Issuer != github.Issuer || got.Keys.Set == "" || f.Registry.Issuers.Named("gitlab") != nil {
			t.Fatalf("the issuer is %+v", got)
		}
		remove(f)
		if got := f.Registry.Issuers.Named("github"); got != nil && got.Issuer == github.Issuer {
			t.Errorf("%s: it is still there", name)
		}
	}
}

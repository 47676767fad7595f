// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/restore"
)

// BenchmarkQuarantine deletes 100,000 clients, restores them, and ends their quarantine. The list
// of the backup may take three times as long as the first list of them.
func BenchmarkQuarantine(b *testing.B) {
	const size = 100_000
	objects := make([]any, size)
	for i := range objects {
		object := ownerObject(oauth2.Client{Namespace: "shop", Name: fmt.Sprintf("client-%d", i)}, strconv.Itoa(i+1))
		object.UID = "4c7b9b4e-3c0f-4a1e-9d8b-" + newSuffix(i)
		objects[i] = object
	}
	var first, restored, released time.Duration
	for b.Loop() {
		f := newFixture(b, "")
		f.fill(b)
		taken := func(do func()) time.Duration {
			began := time.Now()
			do()
			return time.Since(began)
		}
		first += taken(func() { f.list(b, resourceClients, "500000", objects...) })
		f.list(b, resourceClients, "900000")
		f.now = noon.Add(time.Hour)
		restored += taken(func() { f.list(b, resourceClients, "600000", objects...) })
		if held := f.Revocations().Quarantined(f.now.Add(time.Hour)); len(held) < size || f.Restored() != 1 {
			b.Fatalf("%d are in quarantine; noticed %d times", len(held), f.Restored())
		}
		f.now = f.now.Add(quarantineTime + time.Minute)
		released += taken(f.memory.Release)
		if held := f.Revocations().Quarantined(f.now); len(held) != 0 {
			b.Fatalf("%d are left", len(held))
		}
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "first-ms")
	b.ReportMetric(float64(restored.Milliseconds())/float64(b.N), "restored-ms")
	b.ReportMetric(float64(released.Milliseconds())/float64(b.N), "release-ms")
	b.ReportMetric(float64(restored)/float64(first), "restored/first")
}

func newSuffix(i int) types.UID { return types.UID(fmt.Sprintf("%012x", i)) }

// A token that lives longer than a quarantine is refused for as long as it lives.
func TestAQuarantineThatEndsLeavesNoOpaqueTokenGood(t *testing.T) {
	for name, c := range map[string]struct {
		issued time.Time
		opaque bool
		want   bool
	}{
		"an opaque token of before":               {issued: noon, opaque: true, want: true},
		"an opaque token of after":                {issued: noon.Add(11 * time.Minute), opaque: true},
		"a JWT of before, which has expired then": {issued: noon},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "")
			f.fill(t)
			m := printer
			m.Opaque = c.opaque
			m.Tokens = []oauth2.MintedToken{{
				ID: "long", Digest: oauth2.Digest{2}, KeyID: "kid", Audience: "a", Scopes: []string{"read"}, IssuedAt: c.issued, ExpiresAt: noon.Add(90 * 24 * time.Hour),
			}}
			if c.opaque {
				m.Tokens[0].KeyID = ""
			}
			must(t, f.source(resourceSecrets).Update(tokenRecord(t, "110", m)))
			must(t, f.source(resourceClients).Delete(ownerObject(reporting, "110")))
			f.now = noon.Add(10 * time.Minute)
			f.list(t, resourceClients, "105", ownerObject(reporting, "8"), ownerObject(pod, "9"))
			f.now = f.now.Add(quarantineTime + time.Minute)
			f.memory.Release()
			claims := oauth2.Claims{ID: "long", ClientID: reporting.ID, IssuedAt: c.issued}
			if got := f.Revocations().Revoked(claims, "shop", f.now); got != c.want {
				t.Errorf("revoked: %t", got)
			}
		})
	}
}

// A record that is written anew counts however the lists of the two kinds follow each other.
func TestARecordWrittenAnewEndsAQuarantineInEachOrder(t *testing.T) {
	next := printer
	next.Tokens = append([]oauth2.MintedToken{}, printer.Tokens...)
	next.Tokens = append(next.Tokens, oauth2.MintedToken{
		ID: "next", Digest: oauth2.Digest{3}, Audience: "a", Scopes: []string{"read"}, IssuedAt: noon.Add(10 * time.Minute), ExpiresAt: noon.Add(90 * 24 * time.Hour),
	})
	for name, then := range map[string]func(t *testing.T, f *fixture){
		"objects, records, an event": func(t *testing.T, f *fixture) {
			f.list(t, resourceTokens, "130", tokenObject("10"))
			f.list(t, resourceSecrets, "131", tokenRecord(t, "10", printer))
			must(t, f.source(resourceSecrets).Update(tokenRecord(t, "140", next)))
		},
		"records, objects, an event": func(t *testing.T, f *fixture) {
			f.list(t, resourceSecrets, "131", tokenRecord(t, "10", printer))
			f.list(t, resourceTokens, "130", tokenObject("10"))
			must(t, f.source(resourceSecrets).Update(tokenRecord(t, "140", next)))
		},
		"records, an event, objects": func(t *testing.T, f *fixture) {
			f.list(t, resourceSecrets, "131", tokenRecord(t, "10", printer))
			must(t, f.source(resourceSecrets).Update(tokenRecord(t, "140", next)))
			f.list(t, resourceTokens, "141", tokenObject("10"))
		},
		"objects, records, a list": func(t *testing.T, f *fixture) {
			f.list(t, resourceTokens, "130", tokenObject("10"))
			f.list(t, resourceSecrets, "131", tokenRecord(t, "10", printer))
			f.list(t, resourceSecrets, "150", tokenRecord(t, "140", next))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "")
			f.fill(t)
			must(t, f.source(resourceTokens).Delete(tokenObject("110")))
			f.now = noon.Add(10 * time.Minute)
			f.sources.revocations.Report(restore.Moved)
			then(t, f)
			record := f.Minted(oauth2.OpaqueID(printer.UID))
			if record.Owner == nil || record.Owner.Terminating || len(record.Minted.Tokens) != 2 {
				t.Errorf("got %+v, %+v", record.Owner, record.Minted)
			}
			for id, want := range map[string]bool{"next": false, printer.Tokens[0].ID: true} {
				if got := f.Revocations().Revoked(oauth2.Claims{ID: id, IssuedAt: noon}, "elsewhere", f.now); got != want {
					t.Errorf("%s is revoked: %t", id, got)
				}
			}
		})
	}
}

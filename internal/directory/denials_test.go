// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

func suspendedObject(c oauth2.Client, version string) *v1alpha1.OAuth2Client {
	object := ownerObject(c, version)
	object.Spec.State = v1alpha1.ClientSuspended
	return object
}

func selectorObject(name, clientID, version string, before time.Time) *v1alpha1.TokenRevocation {
	object := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version, CreationTimestamp: metav1.NewTime(before)}}
	object.Spec.Selector = v1alpha1.RevocationSelector{ClientID: clientID, IssuedBefore: new(metav1.NewTime(before))}
	return object
}

func TestARestoredClusterRevivesNoToken(t *testing.T) {
	for name, c := range map[string]struct {
		// lately is what happened after the backup, and restored is the list of that kind
		// afterwards.
		resource string
		lately   func(t *testing.T, f *fixture)
		version  string
		restored []any
		revoked  bool
		noticed  int64
	}{
		"a client that was suspended": {
			resource: resourceClients, version: "105", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceClients).Update(suspendedObject(reporting, "110")))
			},
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"a client that was suspended, with revisions that were raised": {
			resource: resourceClients, version: "900000", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceClients).Update(suspendedObject(reporting, "110")))
			},
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"a client that was deleted": {
			resource: resourceClients, version: "105", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceClients).Delete(ownerObject(reporting, "110")))
			},
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"a client that was deleted and made again": {
			resource: resourceClients, version: "105", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				again := ownerObject(reporting, "110")
				again.UID = "another"
				must(t, f.source(resourceClients).Update(again))
			},
			restored: []any{ownerObject(reporting, "8")},
		},
		"a client that was deleted, by a store that has caught up": {
			resource: resourceClients, version: "120", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceClients).Delete(ownerObject(reporting, "110")))
			},
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"a client that was deleted while the watch was broken, by a store that has caught up": {
			resource: resourceClients, version: "120", revoked: true, noticed: 1,
			lately:   func(t *testing.T, f *fixture) { f.list(t, resourceClients, "110", ownerObject(pod, "9")) },
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"a client that was about to go, by a store that has caught up": {
			resource: resourceClients, version: "120", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				going := ownerObject(reporting, "110")
				going.DeletionTimestamp = new(metav1.NewTime(noon))
				must(t, f.source(resourceClients).Update(going))
			},
			restored: []any{ownerObject(reporting, "115"), ownerObject(pod, "9")},
		},
		"a revocation, with revisions that were raised by a billion": {
			resource: resourceRevocations, version: "1000000105", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceRevocations).Add(selectorObject("all", reporting.ID, "110", noon.Add(time.Minute))))
			},
		},
		"a client whose tokens of before were revoked": {
			resource: resourceClients, version: "105", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				object := ownerObject(reporting, "110")
				object.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(noon.Add(time.Minute)))
				must(t, f.source(resourceClients).Update(object))
			},
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"a revocation that was made": {
			resource: resourceRevocations, version: "105", revoked: true, noticed: 1,
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceRevocations).Add(selectorObject("all", reporting.ID, "110", noon.Add(time.Minute))))
			},
		},
		"a client to which nothing happened": {
			resource: resourceClients, version: "105", noticed: 1,
			lately:   func(t *testing.T, f *fixture) { must(t, f.source(resourceClients).Bookmark("110")) },
			restored: []any{ownerObject(reporting, "8"), ownerObject(pod, "9")},
		},
		"not by a list that is newer": {
			resource: resourceClients, version: "120",
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceClients).Update(suspendedObject(reporting, "110")))
			},
			restored: []any{ownerObject(reporting, "115"), ownerObject(pod, "9")},
		},
		"nor one that says the same": {
			resource: resourceClients, version: "110",
			lately: func(t *testing.T, f *fixture) {
				must(t, f.source(resourceClients).Update(suspendedObject(reporting, "110")))
			},
			restored: []any{suspendedObject(reporting, "110"), ownerObject(pod, "9")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "snapshot")
			f := newFixture(t, file)
			f.fill(t)
			f.list(t, resourceRevocations, "102")
			c.lately(t, f)
			f.now = noon.Add(10 * time.Minute)
			f.list(t, c.resource, c.version, c.restored...)
			token := oauth2.Claims{ClientID: reporting.ID, IssuedAt: noon}
			check := func(d *Directory, want bool, when string) {
				t.Helper()
				if got := d.Revocations().Revoked(token, reporting.Namespace, d.now()); got != want {
					t.Errorf("%s: a token of before is revoked: %t, want %t", when, got, want)
				}
			}
			check(f.Directory, c.revoked, "after the restore")
			if f.Restored() != c.noticed {
				t.Errorf("noticed %d times, want %d", f.Restored(), c.noticed)
			}
			if later := (oauth2.Claims{ClientID: reporting.ID, IssuedAt: f.now.Add(time.Second)}); f.Revocations().Revoked(later, reporting.Namespace, f.now) {
				t.Error("a token that is issued afterwards is revoked too")
			}
			// Neither a later answer of the API server nor a restart lifts it.
			f.list(t, resourceRevocations, "130")
			check(f.Directory, c.revoked, "after the next list")
			if _, err := f.snapshots.save(); err != nil {
				t.Fatal(err)
			}
			again := newFixture(t, file)
			again.now = f.now
			again.snapshots.read()
			again.list(t, resourceRevocations, "131")
			check(again.Directory, c.revoked, "after a start")
			f.now = f.now.Add(quarantineTime + time.Second)
			f.memory.Release()
			f.list(t, resourceRevocations, "140")
			check(f.Directory, false, "when no token of before is left")
		})
	}
}

func tokenObject(version string) *v1alpha1.OAuth2Token {
	object := &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: printer.Namespace, Name: printer.Name, UID: "t", ResourceVersion: version}}
	object.Spec.Mode = v1alpha1.TokenFixed
	return object
}

func TestARestoredClusterRevivesNoDeletedOAuth2Token(t *testing.T) {
	f := newFixture(t, "")
	f.fill(t)
	object := func(version string) any {
		read, err := f.sources.tokens.Transformer()(tokenObject(version))
		must(t, err)
		return read
	}
	if owner := f.Minted(oauth2.OpaqueID(printer.UID)).Owner; owner == nil || owner.Terminating {
		t.Fatalf("before: %+v", owner)
	}
	must(t, f.source(resourceTokens).Delete(object("110")))
	f.list(t, resourceTokens, "105", object("10"))
	if owner := f.Minted(oauth2.OpaqueID(printer.UID)).Owner; owner == nil || !owner.Terminating || f.Restored() != 1 {
		t.Errorf("after a restore: %+v, noticed %d times", owner, f.Restored())
	}
	must(t, f.source(resourceTokens).Update(object("120")))
	if owner := f.Minted(oauth2.OpaqueID(printer.UID)).Owner; !owner.Terminating {
		t.Error("a change revives it")
	}
}

// A container that starts after the restore has no memory, but a snapshot.
func TestASnapshotKnowsWhatARestoredClusterForgot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := newFixture(t, file)
	before.fill(t)
	before.list(t, resourceRevocations, "102")
	must(t, before.source(resourceClients).Update(suspendedObject(reporting, "110")))
	if _, err := before.snapshots.save(); err != nil {
		t.Fatal(err)
	}
	after := newFixture(t, file)
	after.snapshots.read()
	after.list(t, resourceClients, "105", ownerObject(reporting, "8"))
	if !after.Revocations().Revoked(oauth2.Claims{ClientID: reporting.ID, IssuedAt: noon}, "shop", after.now) || after.Restored() != 1 {
		t.Errorf("noticed %d times", after.Restored())
	}
}

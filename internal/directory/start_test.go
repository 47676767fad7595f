// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

// compared is a fixture whose clock is compared with that of an API server that answers with its
// date.
func compared(t *testing.T, file string, ahead time.Duration) *fixture {
	t.Helper()
	f := newFixture(t, file)
	began := f.now
	clock := apiclock.NewBy(func() apiclock.Instant { return apiclock.Instant{Wall: f.now.Add(ahead), Run: f.now.Sub(began)} })
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", f.now.Format(http.TimeFormat))
		http.NotFound(w, r)
	})
	var err error
	f.Directory, err = New(Config{
		REST: &rest.Config{Host: f.server.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler),
		SnapshotFile: file, Now: func() time.Time { return f.now.Add(ahead) }, Clock: clock,
	})
	must(t, err)
	return f
}

// fillWith lists everything, with signing keys that were made at an instant.
func (f *fixture) fillWith(t *testing.T, made time.Time) {
	t.Helper()
	ring, err := keyring.New(made)
	must(t, err)
	data, err := registration.EncodeKeys(ring)
	f.list(t, resourceSecrets, "100", registrySecret(t, registration.KeysSecretName, registration.KeysSecretType, data, err))
	for _, resource := range resourcesWatched[1:] {
		f.list(t, resource, "100")
	}
}

func TestAReplicaThatStartsIsReadyWithAKeyThatSignsAndARightClock(t *testing.T) {
	for name, c := range map[string]struct {
		ahead time.Duration
		made  time.Duration // when the key was made
		away  bool
		want  string
	}{
		"its clock is right":                          {},
		"its clock is ahead by less than is allowed":  {ahead: maxSkew - time.Second},
		"its clock is behind by less than is allowed": {ahead: -maxSkew + time.Second, made: -time.Hour},
		"its clock is ahead":                          {ahead: time.Hour, want: "ahead of the API server's by 1h0m0s"},
		"its clock is behind":                         {ahead: -time.Hour, made: -2 * time.Hour, want: "ahead of the API server's by -1h0m0s"},
		"no key signs yet":                            {made: time.Minute, want: "no key signs"},
		"no key signs yet by its clock":               {ahead: -time.Hour, want: "no key signs"},
		"the API server has not answered":             {ahead: time.Hour, away: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := compared(t, "", c.ahead)
			if !c.away {
				_ = f.api.present(t.Context())
			}
			f.fillWith(t, noon.Add(c.made))
			if err := f.Ready(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("ready: %v, want %q", err, c.want)
			}
		})
	}
}

func TestAReplicaThatHasBeenReadyStaysReady(t *testing.T) {
	f := compared(t, "", 0)
	_ = f.api.present(t.Context())
	f.fillWith(t, noon)
	must(t, f.Ready())
	f.now = noon.Add(-31 * 24 * time.Hour) // no key signs by this clock
	if _, err := f.Ring().SigningKey(f.now); err == nil {
		t.Fatal("a key signs")
	}
	must(t, f.Ready())
}

// As long as the API server is away, a replica is ready that only verifies.
func TestAReplicaThatServesFromASnapshotIsReadyWithoutAKeyThatSigns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := compared(t, file, 0)
	before.fillWith(t, noon.Add(time.Hour))
	if _, err := before.snapshots.save(); err != nil {
		t.Fatal(err)
	}
	after := compared(t, file, 0)
	after.snapshots.read()
	after.snapshots.load()
	if err := after.Ready(); err != nil || !after.Bridging() {
		t.Errorf("bridging %t, ready: %v", after.Bridging(), err)
	}
}

// A clock that is set neither brings back what is revoked nor keeps it for ever.
func TestAStepOfTheClockForgetsNothing(t *testing.T) {
	expires := noon.Add(time.Hour)
	token, late := revocation.NewEntry(revocation.ID{7}, expires), revocation.NewEntry(revocation.ID{8}, expires)
	for name, heard := range map[string]bool{"compared with the API server's": true, "that no API server corrects": false} {
		t.Run(name, func(t *testing.T) {
			wall, run := noon, time.Duration(0)
			f := newFixture(t, "")
			f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", noon.Add(run).Format(http.TimeFormat))
				http.NotFound(w, r)
			})
			clock := apiclock.NewBy(func() apiclock.Instant { return apiclock.Instant{Wall: wall, Run: run} })
			d, err := New(Config{
				REST: &rest.Config{Host: f.server.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return wall }, Clock: clock,
			})
			must(t, err)
			if heard {
				_ = d.api.present(t.Context())
			}
			d.Revocations().Revoke(token, revocation.Client{}, noon)
			remembered := func(id revocation.ID) bool {
				d.memory.Sweep()
				for i := range revocation.Parts {
					if slices.ContainsFunc(d.Revocations().Part(i).Tokens, func(e revocation.Entry) bool { return e.ID == id }) {
						return true
					}
				}
				return false
			}
			wall = noon.Add(24 * time.Hour) // it is set ahead
			if !remembered(revocation.ID{7}) {
				t.Error("after a step ahead a revoked token is forgotten")
			}
			must(t, d.sources.revocations.Add(batchObject("late", "110", revocation.Batch{Tokens: []revocation.Entry{late}})))
			wall = noon
			if !remembered(revocation.ID{7}) || !remembered(revocation.ID{8}) {
				t.Error("what was revoked meanwhile is forgotten")
			}
			wall = noon.Add(-24 * time.Hour) // it is turned back
			if !remembered(revocation.ID{7}) {
				t.Error("after a step back a revoked token is forgotten")
			}
			run = time.Hour + forgetMargin - time.Second
			wall = noon.Add(run)
			if !remembered(revocation.ID{7}) {
				t.Error("it is forgotten within the margin")
			}
			run = time.Hour + forgetMargin
			wall = noon.Add(run)
			if remembered(revocation.ID{7}) || remembered(revocation.ID{8}) {
				t.Error("it is remembered beyond the margin")
			}
		})
	}
}

func batchObject(name, version string, batch revocation.Batch) *v1alpha1.TokenRevocation {
	object := v1alpha1.NewTokenRevocation("registry", name, v1alpha1.NewRevocationBatch(batch.Encode()))
	object.ResourceVersion = version
	return object
}

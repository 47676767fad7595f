// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/revocation"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fixture is a Directory whose clock and API server are the test's.
type fixture struct {
	*Directory
	server *httptest.Server
	now    time.Time
	file   string
}

func newFixture(t testing.TB, file string) *fixture {
	t.Helper()
	f := &fixture{now: noon, file: file}
	f.server = httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(f.server.Close)
	var err error
	f.Directory, err = New(Config{
		REST: &rest.Config{Host: f.server.URL}, RegistryNamespace: "registry", Log: slog.New(slog.DiscardHandler),
		SnapshotFile: file, MaxStaleness: 24 * time.Hour, Now: func() time.Time { return f.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// events is where a reflector brings what a watch sends.
type events interface {
	Add(object any) error
	Update(object any) error
	Delete(object any) error
	Replace(objects []any, version string) error
	Bookmark(version string) error
}

var resourcesWatched = []string{resourceSecrets, resourceClients, resourceRevocations, resourceTokens}

func (d *Directory) source(resource string) events { //nolint:ireturn // each source has a type of its own
	return map[string]events{
		resourceSecrets: d.sources.registry, resourceClients: d.sources.clients, resourceRevocations: d.sources.revocations, resourceTokens: d.sources.tokens,
	}[resource]
}

// list hands a source a list, as its watch does.
func (f *fixture) list(t testing.TB, resource, version string, objects ...any) {
	t.Helper()
	if err := f.source(resource).Replace(objects, version); err != nil {
		t.Fatal(err)
	}
}

// forgetMargin is how long what has expired is remembered.
const forgetMargin = 5 * time.Minute

// quarantineTime is how long tokens of a client stay in quarantine.
const quarantineTime = oauth2.MaxTokenLifetime + time.Hour + forgetMargin

// A token and an assertion that have expired.
var revoked, used = revocation.ID{1}, revocation.ID{2}

// The clients of the tests: one in the short form, one that has none.
var (
	reporting = oauth2.Client{
		ID: "shop.reporting", Namespace: "shop", Name: "reporting", UID: "4c7b9b4e-3c0f-4a1e-9d8b-0d8f6a3b2c11", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
		Scopes: []string{"read"}, Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: "k1", Digest: oauth2.Digest{1}, CreatedAt: noon}}},
	}
	pod = oauth2.Client{
		ID: "shop.pod", Namespace: "shop", Name: "pod", UID: "not a UUID", Tokens: oauth2.TokenForm{Lifetime: time.Minute},
		Credentials: oauth2.Credentials{ServiceAccount: &oauth2.ServiceAccount{Name: "pod", UID: "u"}},
	}
	printer = oauth2.Minted{
		UID: "t", Namespace: "shop", Name: "printer", ClientID: reporting.ID, ClientUID: reporting.UID, ClientName: reporting.Name, Opaque: true,
		Tokens: []oauth2.MintedToken{{
			ID: "jti", Digest: oauth2.Digest{2}, Audience: "https://hallpass.test/ns/shop", Scopes: []string{"read"}, IssuedAt: noon, ExpiresAt: noon.Add(time.Hour),
		}},
	}
	orders = oauth2.Resource{Identifier: "https://hallpass.test/resources/orders/api", Namespace: "orders", Name: "api", UID: "r", Scopes: []string{"orders.read"}}
)

func ownerObject(c oauth2.Client, version string) *v1alpha1.OAuth2Client {
	object := &v1alpha1.OAuth2Client{}
	object.Namespace, object.Name, object.UID, object.ResourceVersion = c.Namespace, c.Name, "uid", version
	return object
}

func registrySecret(t testing.TB, name string, kind corev1.SecretType, data map[string][]byte, err error) *corev1.Secret {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "7"}, Type: kind, Data: data}
}

// fill gives the Directory something of every kind.
func (f *fixture) fill(t testing.TB) {
	t.Helper()
	var secrets []any
	for _, c := range []oauth2.Client{reporting, pod} {
		data, err := registration.Encode(registration.Registration{Client: c})
		secrets = append(secrets, registrySecret(t, registration.SecretName(c.ID), registration.SecretType, data, err))
	}
	data, err := registration.EncodeResource(orders)
	secrets = append(secrets, registrySecret(t, registration.ResourceSecretName(orders.Identifier), registration.ResourceSecretType, data, err))
	data, err = registration.EncodeToken(printer)
	secrets = append(secrets, registrySecret(t, registration.TokenSecretName(printer.UID), registration.TokenSecretType, data, err))
	ring, err := keyring.New(f.now)
	if err != nil {
		t.Fatal(err)
	}
	data, err = registration.EncodeKeys(ring)
	secrets = append(secrets, registrySecret(t, registration.KeysSecretName, registration.KeysSecretType, data, err))
	trust, err := memory.ReadTrust([]byte(testDiscovery), []byte(testKeys))
	if err != nil {
		t.Fatal(err)
	}
	f.memory.SetTrust(trust)
	f.list(t, resourceSecrets, "100", secrets...)
	f.list(t, resourceClients, "101", ownerObject(reporting, "8"), ownerObject(pod, "9"))
	f.list(t, resourceRevocations, "102", &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "all", ResourceVersion: "10", CreationTimestamp: metav1.NewTime(f.now)},
		Spec: v1alpha1.TokenRevocationSpec{Selector: v1alpha1.RevocationSelector{
			IssuedBefore: new(metav1.NewTime(f.now.Add(-time.Hour))), Namespace: "shop",
		}},
	}, &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "batch", ResourceVersion: "11"},
		Spec: v1alpha1.TokenRevocationSpec{Batch: v1alpha1.RevocationBatch{
			Tokens:     v1alpha1.RevocationEntries(revocation.Encode([]revocation.Entry{revocation.NewEntry(revoked, noon.Add(2*time.Hour))})),
			ExpiresAt:  new(metav1.NewTime(noon.Add(2 * time.Hour))),
			Assertions: v1alpha1.RevocationEntries(revocation.Encode([]revocation.Entry{revocation.NewEntry(used, noon.Add(2*time.Hour))})),
		}},
	})
	f.list(t, resourceTokens, "102", &v1alpha1.OAuth2Token{
		ObjectMeta: metav1.ObjectMeta{Namespace: printer.Namespace, Name: printer.Name, UID: "t", ResourceVersion: "10"},
		Spec:       v1alpha1.OAuth2TokenSpec{ClientRef: v1alpha1.LocalClientReference{Name: reporting.Name}, Scopes: []v1alpha1.Scope{"read"}},
	})
}

// known is what callers get to see of a Directory.
func known(d *Directory) map[string]any {
	ring, _ := d.Ring().Encode()
	return map[string]any{
		"reporting": d.Record(reporting.ID), "pod": d.Record(pod.ID), "resource": d.ResourceByIdentifier(orders.Identifier),
		"token": d.Minted(oauth2.OpaqueID(printer.UID)),
		"keys":  string(ring), "cluster": d.Trust().Issuer, "cluster keys": len(d.Trust().Keys.Keys), "heard": d.Heard().Unix(), "ready": d.Ready() == nil,
		"revoked": d.Revocations().Revoked(oauth2.Claims{ID: revoked.String(), IssuedAt: noon}, "", noon), "used": d.Revocations().Used(used, noon),
		"revoked before": d.Revocations().RevokedBefore(reporting.ID, "shop").Unix(),
	}
}

func TestASnapshotHasAllThatMemoryHas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := newFixture(t, file)
	before.fill(t)
	before.now = noon.Add(10 * time.Minute)
	for _, resource := range resourcesWatched {
		must(t, before.source(resource).Bookmark("120"))
	}
	if _, err := before.snapshots.save(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o400 || info.Size() != before.Snapshot().Size {
		t.Errorf("the file: %v %v, %d bytes told of", info, err, before.Snapshot().Size)
	}

	after := newFixture(t, file)
	after.now = noon.Add(time.Hour)
	after.snapshots.read()
	if err := after.Ready(); err == nil {
		t.Error("it serves before anybody knows whether the API server is there")
	}
	after.snapshots.load()
	if diff := cmp.Diff(known(before.Directory), known(after.Directory)); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if got := after.Silence(); got != 50*time.Minute || !after.Bridging() {
		t.Errorf("silence of %s, bridging %t; a start must not make memory younger", got, after.Bridging())
	}
	if mark := after.watches.Marks()[resourceClients]; mark != 120 {
		t.Errorf("the watch had come to 120, the snapshot says %d", mark)
	}
}

func TestTheFirstListTakesThePlaceOfASnapshot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := newFixture(t, file)
	before.fill(t)
	if _, err := before.snapshots.save(); err != nil {
		t.Fatal(err)
	}
	after := newFixture(t, file)
	after.snapshots.read()
	found := after.snapshots.saved
	// the owner of reporting is gone since
	after.list(t, resourceClients, "150", ownerObject(pod, "9"))
	after.snapshots.load()
	if got := after.Record(reporting.ID).Denial(); got != oauth2.ReasonOwnerUnknown {
		t.Errorf("the snapshot brought an owner back that the list does not have: %q", got)
	}
	after.list(t, resourceSecrets, "151")
	after.list(t, resourceRevocations, "152")
	if after.Revocations().RevokedBefore(reporting.ID, "shop") != (time.Time{}) || !after.Revocations().Used(used, noon) {
		t.Error("a selector that the list does not have still holds, or what was used may be used again")
	}
	after.list(t, resourceTokens, "152")
	if after.Record(reporting.ID).Client != nil || after.ResourceByIdentifier(orders.Identifier) != nil ||
		after.Minted(oauth2.OpaqueID(printer.UID)).Minted != nil || after.Bridging() {
		t.Error("what the list does not have is still there")
	}
	if err := after.Ready(); err != nil {
		t.Errorf("the keys that the snapshot had go on: %v", err)
	}
	// Once everything was read, an old snapshot has no more effect.
	after.sources.save(found)
	after.snapshots.load()
	if after.Record(reporting.ID).Client != nil {
		t.Error("a snapshot was loaded after the list")
	}
}

func TestOnlyASoundSnapshotOfThePastIsUsed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, file string)
		at    time.Duration
		used  bool
	}{
		"a sound one": {at: time.Minute, used: true},
		// once the clock has reached it
		"one from the future":       {at: -time.Hour, used: true},
		"one that is not there":     {at: time.Minute, spoil: func(t *testing.T, file string) { must(t, os.Remove(file)) }},
		"one that was cut short":    {at: time.Minute, spoil: func(t *testing.T, file string) { must(t, os.Chmod(file, 0o600)); must(t, os.Truncate(file, 100)) }},
		"a directory in its place":  {at: time.Minute, spoil: func(t *testing.T, file string) { must(t, os.Remove(file)); must(t, os.Mkdir(file, 0o700)) }},
		"an empty file":             {at: time.Minute, spoil: func(t *testing.T, file string) { must(t, os.Remove(file)); must(t, os.WriteFile(file, nil, 0o600)) }},
		"something that is no file": {at: time.Minute, spoil: func(t *testing.T, file string) { must(t, os.Remove(file)); must(t, os.Symlink("/dev/null", file)) }},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "snapshot")
			before := newFixture(t, file)
			before.fill(t)
			if _, err := before.snapshots.save(); err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				c.spoil(t, file)
			}
			after := newFixture(t, file)
			after.now = noon.Add(c.at)
			after.snapshots.read()
			if used := after.snapshots.saved != nil; used != c.used {
				t.Errorf("used: %t", used)
			}
		})
	}
}

func TestAProcessThatWasKilledWhileWritingLeavesTheFileBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	f := newFixture(t, file)
	f.fill(t)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(file), ".snapshot.partial"), []byte("half a"), 0o400))
	for range 2 {
		if _, err := f.snapshots.save(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readSnapshot(file); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is something: %v %v", entries, err)
	}
	f.snapshots.file = filepath.Join(file, "nowhere")
	if _, err := f.snapshots.save(); !errors.Is(err, fs.ErrNotExist) && err == nil {
		t.Error("a failure to write was not told")
	}
}

// A start that finds the API server away serves at once; one that finds it there waits for it.
func TestTheSnapshotServesWhileTheAPIServerIsAway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	before := newFixture(t, file)
	before.fill(t)
	if _, err := before.snapshots.save(); err != nil {
		t.Fatal(err)
	}
	away := newFixture(t, file)
	away.server.Close()
	away.snapshots.read()
	away.snapshots.serve(t.Context(), away.api.present)
	if err := away.Ready(); err != nil || !away.Bridging() {
		t.Errorf("it does not serve: %v", err)
	}

	early := newFixture(t, file)
	early.now = noon.Add(-time.Second)
	early.server.Close()
	early.snapshots.read()
	tried, stop := context.WithCancel(t.Context())
	early.snapshots.serve(tried, func(context.Context) error {
		stop()
		return errors.New("away")
	})
	if early.Ready() == nil || early.snapshots.served.Load() {
		t.Error("it serves before the instant of the snapshot")
	}
	early.snapshots.read()
	attempts := 0
	early.snapshots.serve(t.Context(), func(context.Context) error {
		if attempts++; attempts == 2 { // the clock is set
			early.now = noon
		}
		return errors.New("away")
	})
	if err := early.Ready(); err != nil || attempts != 2 {
		t.Errorf("when the clock has reached it: %v, after %d attempts", err, attempts)
	}

	there := newFixture(t, file) // answers 404: there are no keys, but there is an API server
	there.snapshots.read()
	done := make(chan struct{})
	go func() {
		there.snapshots.serve(t.Context(), there.api.present)
		close(done)
	}()
	for _, resource := range resourcesWatched {
		there.list(t, resource, "1")
	}
	<-done
	if there.snapshots.served.Load() || there.Record(reporting.ID).Client != nil {
		t.Error("the snapshot was used although the API server is there")
	}
}

func TestChangesAreWrittenSoonAndNotTooOften(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	f := newFixture(t, file)
	f.fill(t)
	synctest.Test(t, func(t *testing.T) {
		f.snapshots.changed = make(chan struct{}, 1) // of this bubble
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		writes := 0
		go func() {
			f.snapshots.keep(ctx)
			close(done)
		}()
		last := f.snapshots.written.Load()
		for range 1000 { // a change every 10 ms, for 10 s
			f.snapshots.note()
			// of the bubble's clock, which takes no time
			pause(ctx, 10*time.Millisecond)
			if now := f.snapshots.written.Load(); now != last {
				last = now
				writes++
			}
		}
		if writes < 5 || writes > 10 {
			t.Errorf("%d files in ten seconds of changes", writes)
		}
		pause(ctx, 5*time.Second)
		last = f.snapshots.written.Load()
		pause(ctx, snapshotRefresh+time.Second)
		if f.snapshots.written.Load() == last {
			t.Error("without a change the file is not renewed")
		}
		last = f.snapshots.written.Load()
		f.snapshots.note()
		stop()
		<-done
		if f.snapshots.written.Load() == last {
			t.Error("the last change was not written when the process stopped")
		}
	})
}

func TestSilenceIsThatOfTheWatchWhichIsFurthestBehind(t *testing.T) {
	f := newFixture(t, "")
	if got := f.Silence(); got < 1000*time.Hour || !f.Stale() || f.Ready() == nil {
		t.Errorf("before anything was read: %s, stale %t", got, f.Stale())
	}
	f.fill(t)
	secrets, clients := f.source(resourceSecrets), f.source(resourceClients)
	// The others are kept fresh, so that only these two count.
	hearOthers := func() {
		must(t, f.source(resourceTokens).Bookmark("200"))
		must(t, f.source(resourceRevocations).Bookmark("200"))
	}
	for _, c := range []struct {
		name string
		at   time.Duration
		do   func() error
		want time.Duration
	}{
		{"after the lists", 0, nil, 0},
		{"while nothing comes", time.Hour, nil, time.Hour},
		{"when one watch has a bookmark", time.Hour, func() error { return secrets.Bookmark("200") }, time.Hour},
		{"when the other has an event", 2 * time.Hour, func() error { return clients.Update(ownerObject(pod, "201")) }, time.Hour},
		{"when an object is gone", 3 * time.Hour, func() error { return secrets.Delete(&corev1.Secret{}) }, time.Hour},
		{"at the limit", 26 * time.Hour, nil, 24 * time.Hour},
	} {
		f.now = noon.Add(c.at)
		hearOthers()
		if c.do != nil {
			must(t, c.do())
		}
		if got := f.Silence(); got != c.want || f.Stale() {
			t.Errorf("%s: silence %s, stale %t, want %s", c.name, got, f.Stale(), c.want)
		}
	}
	f.now = f.now.Add(time.Second)
	if err := f.Ready(); !f.Stale() || err == nil || !strings.Contains(err.Error(), "24h0m1s") {
		t.Errorf("beyond the limit: stale %t, ready: %v", f.Stale(), err)
	}
	f.now = f.now.Add(2 * time.Hour)
	hearOthers()
	f.list(t, resourceClients, "300")
	if f.Ready() == nil {
		t.Error("one watch alone makes it fresh")
	}
	must(t, secrets.Bookmark("301"))
	if f.Stale() || f.Ready() != nil {
		t.Errorf("when both were heard of again: stale %t, %v", f.Stale(), f.Ready())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

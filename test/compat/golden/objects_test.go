// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/reporter"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/test/kit/golden"
)

// patience is the timeout of everything that takes a moment.
const patience = time.Minute

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout: %s", what)
		}
	}
}

// inBackground runs a function until stop is called or the test ends.
func inBackground(t *testing.T, run func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		run(ctx)
		close(done)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// indented formats a JSON document with one member per line.
func indented(t *testing.T, document []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(document), "", "  "); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return append(out.Bytes(), '\n')
}

func newDirectory(t *testing.T, config directory.Config) *directory.Directory {
	t.Helper()
	config.RegistryNamespace, config.MaxStaleness = registry, 24*time.Hour
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	d, err := directory.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// writtenAt matches the timestamp that does not come from the injected clock.
var writtenAt = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

func TestATokenRevocationIsWrittenAsBefore(t *testing.T) {
	server := newAPIServer(t)
	d := newDirectory(t, directory.Config{REST: server.rest(), Now: func() time.Time { return noon }})
	batch := revocation.Batch{
		Tokens:     []revocation.Entry{revocation.NewEntry(revocation.IDOf("AAAAAAAAAAAAAAAAAAAAAA"), noon.Add(time.Hour))},
		Assertions: []revocation.Entry{revocation.NewEntry(revocation.AssertionIDOf("shop.reporting", "jti"), noon.Add(time.Hour))},
	}
	if err := d.RevocationStore().WriteRevocations(t.Context(), "batch-a", batch); err != nil {
		t.Fatal(err)
	}
	got := server.last("POST /apis/hallpass.dev/v1alpha1/namespaces/" + registry + "/tokenrevocations")
	if n := len(writtenAt.FindAll(got, -1)); n != 1 {
		t.Errorf("%d timestamps in milliseconds, want that of the write: %s", n, got)
	}
	golden.Compare(t, "stored/objects/token-revocation-batch.json", indented(t, writtenAt.ReplaceAll(got, []byte("2026-11-23T11:59:59.000Z"))))
}

func TestWhatTenantsMakeGrowIsWrittenWithItsClients(t *testing.T) {
	server := newAPIServer(t)
	store := newDirectory(t, directory.Config{REST: server.rest(), Now: func() time.Time { return noon }}).RevocationStore()
	revoked := revocation.EntryOf(&oauth2.Claims{ID: "AAAAAAAAAAAAAAAAAAAAAA", IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)})
	revoked.Client = 1
	batch := revocation.Batch{Tokens: []revocation.Entry{revoked}, Clients: []revocation.Client{{ID: "shop.reporting", Namespace: "shop"}}}
	if err := store.WriteRevocations(t.Context(), "batch-b", batch); err != nil {
		t.Fatal(err)
	}
	const revocations = "POST /apis/hallpass.dev/v1alpha1/namespaces/" + registry + "/tokenrevocations"
	golden.Compare(t, "stored/objects/token-revocation-batch-with-origins.json",
		indented(t, writtenAt.ReplaceAll(server.last(revocations), []byte("2026-11-23T11:59:59.000Z"))))
	used := revocation.NewEntry(revocation.AssertionIDOf("shop.reporting", "jti"), noon.Add(time.Hour))
	used.Client = 1
	batch = revocation.Batch{Assertions: []revocation.Entry{used}, Clients: []revocation.Client{{Namespace: "shop"}}}
	if err := store.WriteRevocations(t.Context(), "batch-c", batch); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "stored/objects/token-revocation-batch-with-namespaces.json",
		indented(t, writtenAt.ReplaceAll(server.last(revocations), []byte("2026-11-23T11:59:59.000Z"))))
	if err := store.WriteSelector(t.Context(), revocation.Selector{ClientID: "shop.reporting", IssuedBefore: noon, Collapses: true}); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "stored/objects/token-revocation-collapsed.json", indented(t, server.last(revocations)))
}

var replica = regexp.MustCompile(`host-1-[a-z2-7]{10}`)

func TestAUsageReportIsWrittenAsBefore(t *testing.T) {
	serving, stopped := reportsOf(t, nil)
	golden.Compare(t, "stored/objects/usage-report-serving.json", serving)
	golden.Compare(t, "stored/objects/usage-report-stopped.json", stopped)
	refusals := reporter.NewRefusals()
	refused := oauth2.Refused{Client: reportingUID, Namespace: "shop", At: noon, Reason: oauth2.ReasonScopeNotGranted, Subject: "orders.wrte", Source: "192.0.2.7"}
	refusals.Note(refused)
	refusals.Note(oauth2.Refused{Client: reportingUID, Namespace: "shop", At: noon.Add(-time.Hour), Reason: oauth2.ReasonWrongSecret})
	serving, _ = reportsOf(t, refusals)
	golden.Compare(t, "stored/objects/usage-report-with-refusals.json", serving)
}

// reportsOf are the reports of a replica that serves and has stopped.
func reportsOf(t *testing.T, refusals *reporter.Refusals) (serving, stopped []byte) {
	t.Helper()
	server := newAPIServer(t)
	uses := reporter.NewGatherer(usage.MinuteOf(noon.Add(-time.Hour)), reporter.MaxBytes)
	uses.Note(oauth2.Use{Subject: reportingUID, At: noon, Credential: "current", Issued: true, Source: "192.0.2.7"})
	r, err := reporter.New(reporter.Config{
		REST: server.rest(), Namespace: registry, Host: "host-1", Usage: uses, Refusals: refusals, MaxStaleness: time.Hour,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := inBackground(t, r.Run)
	const reports = " /apis/hallpass.dev/v1alpha1/namespaces/" + registry + "/usagereports"
	eventually(t, "the first report is written", func() bool { return server.last("POST"+reports) != nil && r.Reporting() })
	stop()
	r.Close(t.Context())
	serving = server.last("POST" + reports)
	name := replica.Find(serving)
	if name == nil {
		t.Fatalf("no replica is named in %s", serving)
	}
	stopped = server.last("PUT" + reports + "/" + string(name))
	plain := func(report []byte) []byte {
		return indented(t, bytes.ReplaceAll(report, name, []byte("host-1-aaaaaaaaaa")))
	}
	return plain(serving), plain(stopped)
}

// known is what the exported methods of a Directory return.
func known(d *directory.Directory) map[string]any {
	ring, _ := d.Ring().Encode()
	return map[string]any{
		"client": d.Record("shop.reporting"), "resource": d.ResourceByIdentifier("https://orders.example.com/api"),
		"token": d.Minted(oauth2.OpaqueID(printerUID)), "keys": string(ring), "cluster": d.Trust().Issuer, "cluster keys": len(d.Trust().Keys.Keys),
		"revoked":        d.Revocations().Revoked(oauth2.Claims{ID: "AAAAAAAAAAAAAAAAAAAAAA", IssuedAt: noon}, "", noon),
		"used":           d.Revocations().Used(revocation.AssertionIDOf("shop.reporting", "jti"), noon),
		"revoked before": d.Revocations().RevokedBefore("shop.reporting", "shop"),
		"client epochs":  slices.Collect(d.ClientEpochs()), "ready": d.Ready() == nil,
	}
}

// wanted is what they must return for the golden files.
func wanted(t *testing.T) map[string]any {
	t.Helper()
	client := registrations(t)["client-secret"].Client
	resource, err := registration.DecodeResource(golden.StoredData(t, "stored/resources/full"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := registration.DecodeToken(golden.StoredData(t, "stored/tokens/opaque"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"client":   oauth2.Record{Client: &client, Owner: &oauth2.Owner{UID: reportingUID}},
		"resource": &resource, "token": oauth2.MintedRecord{Minted: &token, Owner: &oauth2.MintedOwner{UID: printerUID, ClientName: "reporting"}},
		"keys": string(golden.Stored(t, pinnedKeys+"/ring.json")), "cluster": clusterIssuer, "cluster keys": 1,
		// an object is created within its second
		"revoked": true, "used": true, "revoked before": noon.Add(-10*time.Minute + time.Second),
		"client epochs": []revocation.Selector{{ClientUID: reportingUID, IssuedBefore: noon.Add(-time.Minute)}},
		"ready":         true,
	}
}

// started is a Directory that has read the golden files. Lists wait for the keys of the cluster, so
// that the first snapshot is complete.
func started(t *testing.T, file string) (d *directory.Directory, stop func()) {
	t.Helper()
	server := newAPIServer(t)
	d = newDirectory(t, directory.Config{REST: server.rest(), SnapshotFile: file, Now: func() time.Time { return noon }})
	stop = inBackground(t, d.Run)
	eventually(t, "the keys of the cluster are read", func() bool { return d.Trust().Issuer != "" })
	close(server.open)
	eventually(t, "the directory is ready", func() bool { return d.Ready() == nil })
	return d, stop
}

func TestWhatIsStoredIsReadByTheTokenServer(t *testing.T) {
	d, _ := started(t, "")
	if diff := cmp.Diff(wanted(t), known(d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASnapshotIsWrittenAsBefore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "snapshot")
	d, stop := started(t, file)
	eventually(t, "a snapshot is written", func() bool { return !d.Snapshot().At.IsZero() })
	stop()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "stored/snapshot.bin", content)
	// A snapshot must be readable by the build that wrote it, whatever its version.
	readsAgain(t, content)
}

// log is a buffer for concurrent writers.
type log struct {
	mu sync.Mutex
	strings.Builder
}

func (l *log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(line)
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// readsAgain starts a Directory from a snapshot while the API server is unavailable. It returns
// false if the snapshot is rejected because of its version; then no client may be known.
func readsAgain(t *testing.T, content []byte) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	away := newAPIServer(t)
	away.Close()
	lines := &log{}
	d := newDirectory(t, directory.Config{
		REST: away.rest(), SnapshotFile: file, Now: func() time.Time { return noon.Add(10 * time.Minute) }, Log: slog.New(slog.NewTextHandler(lines, nil)),
	})
	inBackground(t, d.Run)
	refused := func() bool { return strings.Contains(lines.text(), "version 6, this build reads") }
	eventually(t, "the snapshot is loaded, or rejected because of its version", func() bool { return d.Ready() == nil || refused() })
	if refused() {
		if d.Ready() == nil || d.Record("shop.reporting").Client != nil {
			t.Error("the snapshot is rejected and loaded")
		}
		return false
	}
	want, got := wanted(t), known(d)
	// of the feed alone; a snapshot of 37318f4 does not have them
	for _, all := range []map[string]any{want, got} {
		delete(all, "client epochs")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the snapshot is decoded to other values (-want +got):\n%s", diff)
	}
	if got := d.Silence(); got != 10*time.Minute {
		t.Errorf("silence of %s, want the age of the snapshot", got)
	}
	return true
}

// A snapshot never outlives its pod, so a build may reject one of another version.
func TestASnapshotOfBeforeIsReadOrRefused(t *testing.T) {
	if !readsAgain(t, golden.Stored(t, "stored/snapshot.bin")) {
		t.Log("the snapshot of 37318f4 is rejected because of its version")
	}
}

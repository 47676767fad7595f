// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evidence_test follows the uses of secrets from a replica of the token server through its
// reports to the verdict of the manager. Time is simulated.
package evidence_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/reporter"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// store is an API server that stores usage reports. It is a transport, as a simulated time passes
// only while no goroutine waits for a socket.
type store struct {
	mu      sync.Mutex
	version int64
	reports map[string]v1alpha1.UsageReport
}

func (s *store) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sent v1alpha1.UsageReport
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			return nil, fmt.Errorf("read the report: %w", err)
		}
	}
	stored, there := s.reports[cmp.Or(sent.Name, path.Base(r.URL.Path))]
	if r.Method == http.MethodPost == there || r.Method == http.MethodPut && stored.ResourceVersion != sent.ResourceVersion {
		return answer(http.StatusConflict, metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonConflict, Code: http.StatusConflict})
	}
	if r.Method != http.MethodGet {
		s.version++
		sent.UID, sent.Generation, sent.ResourceVersion = types.UID(sent.Name), stored.Generation+1, strconv.FormatInt(s.version, 10)
		if sent.CreationTimestamp = stored.CreationTimestamp; !there {
			sent.CreationTimestamp = metav1.Now()
		}
		s.reports[sent.Name], stored = sent, sent
	}
	return answer(http.StatusOK, stored)
}

func answer(status int, object any) (*http.Response, error) {
	body, err := json.Marshal(object)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, err
}

// all are the reports that are stored.
func (s *store) all() []v1alpha1.UsageReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.reports))
}

// history is a replica, what it has stored, and when each secret was used.
type history struct {
	*testing.T
	*rand.Rand

	gathered *reporter.Gatherer
	store    *store
	client   client.Client
	began    time.Time
	used     map[string]time.Time
	uids     int
}

const (
	unusedFor = time.Hour
	replaced  = "replaced1234"
)

// use has a client of a namespace use a secret.
func (h *history) use(namespace, uid, secret string) {
	h.gathered.Note(oauth2.Use{Subject: uid, Namespace: namespace, At: time.Now(), Credential: secret, Issued: true, Source: "192.0.2.7"})
	h.used[uid+secret] = time.Now()
}

// flood has clients of a namespace that were never used before use their secrets.
func (h *history) flood(namespace string, clients int) {
	for range clients {
		h.uids++
		h.use(namespace, fmt.Sprintf("%08x-0c1b-4a57-9d0a-0a1b2c%06x", h.Uint32(), h.uids), "abcdefghijkl")
	}
}

// verdict is what a manager that starts now finds of the replaced secrets of clients, by the
// namespaces of these.
func (h *history) verdict(clients map[string]string) map[string]usage.Finding {
	h.Helper()
	r := &usagereport.Reconciler{
		Client: h.client, Clock: clock.RealClock{}, Ledger: usagereport.NewLedger(clock.RealClock{}, time.Minute), RegistryNamespace: "hallpass-registry",
	}
	reports := h.store.all()
	for i := range reports {
		if _, err := r.Reconcile(h.Context(), &reports[i]); err != nil {
			h.Fatal(err)
		}
	}
	evidence := r.Ledger.Evidence(reports)
	if !evidence.Read {
		h.Fatal("a report was not read")
	}
	found := map[string]usage.Finding{}
	for namespace, uid := range clients {
		found[namespace] = usage.Judge(evidence.Replicas, usage.Question{
			Namespace: namespace, WatchedSince: h.began, LastUsed: r.Ledger.LastUsed(uid, replaced), UnusedFor: unusedFor, Now: time.Now(),
		}).Finding
		if used := time.Since(h.used[uid+replaced]); found[namespace] == usage.Unused && used < unusedFor {
			h.Fatalf("%s after the start: the secret of a client in %s is ended, which was used %s ago", time.Since(h.began), namespace, used)
		}
	}
	return found
}

// TestATenantThatFillsTheMemoryOfAReplicaEndsNoSecretAndKeepsNone: a namespace uses ever new
// clients, more than the replica has room for. The replaced secret of a client in another namespace
// ends by evidence all the same, and one of its own that is in use does not. The manager starts
// anew each time, so that it knows what the reports have and nothing else.
func TestATenantThatFillsTheMemoryOfAReplicaEndsNoSecretAndKeepsNone(t *testing.T) {
	const honest, hostile = "6f1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e5f", "0a1d3c1e-0c1b-4a57-9d0a-0a1b2c3d4e60"
	const room, flood = 64 << 10, 50 // the room for 400 clients, and new ones a minute
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	for seed := range 3 {
		t.Run(fmt.Sprint("history ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &history{
					T: t, Rand: rand.New(rand.NewPCG(uint64(seed), 0)), began: time.Now(), used: map[string]time.Time{}, //nolint:gosec // a history to repeat
					gathered: reporter.NewGatherer(usage.MinuteOf(time.Now()), room), store: &store{reports: map[string]v1alpha1.UsageReport{}},
					client: fake.NewClientBuilder().WithScheme(scheme).Build(),
				}
				r, err := reporter.New(reporter.Config{
					REST: &rest.Config{Host: "http://api", Transport: h.store}, Namespace: "hallpass-registry", Host: "replica", Usage: h.gathered,
					MaxStaleness: time.Hour, Log: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { r.Run(ctx) })
				defer running.Wait()
				defer stop()
				ended, lossy := time.Duration(0), false
				h.use("shop", honest, replaced)
				for minute := range 180 {
					if minute%50 == 0 {
						h.use("hostile", hostile, replaced)
					}
					h.use("shop", honest, "current12345")
					h.flood("hostile", flood)
					time.Sleep(time.Minute) // of the simulated time
					if minute%10 != seed {
						continue
					}
					found := h.verdict(map[string]string{"shop": honest, "hostile": hostile})
					if found["shop"] == usage.Unused && ended == 0 {
						ended = time.Since(h.began)
					}
					for _, report := range h.store.all() {
						lossy = lossy || report.Spec.MinReader == v1alpha1.UsageReportWithLosses
					}
				}
				if ended == 0 || ended > unusedFor+30*time.Minute {
					t.Errorf("the unused secret of the other namespace ended %s after its last use", ended)
				}
				if !lossy {
					t.Error("no use was lost: the flood is too small to prove anything")
				}
			})
		})
	}
}

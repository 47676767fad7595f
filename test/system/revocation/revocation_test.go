// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/faults"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	rate      = 300 // revocations a second
	maxMedian = 150 * time.Millisecond
	maxP99    = time.Second
	maxWrites = 40 // of TokenRevocations, a second
	// measured is how many revocations make a measurement, whose times are compared with these.
	measured = 10_000
	// patience is how long a poll lasts.
	patience = 3 * time.Minute
)

// TestEveryReplicaRefusesWhatAnyHasRevoked revokes tokens at three replicas in turn and asks all
// three until they refuse. Then it kills all of them and asks again. make bench-revoke is the
// measurement.
func TestEveryReplicaRefusesWhatAnyHasRevoked(t *testing.T) {
	n := world.Count(t, "HALLPASS_REVOCATIONS", 300)
	kubeconfig := kubeconfigOfServer(t)
	replicas := []*replica{newReplica(t, kubeconfig), newReplica(t, kubeconfig), newReplica(t, kubeconfig)}
	tokens := fetch(t, replicas[0], n)

	began := time.Now()
	lags := make([]time.Duration, n)
	var revoking sync.WaitGroup
	for i, token := range tokens {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / rate)))
		revoking.Go(func() { lags[i] = revokeAndWatch(t, replicas, i, token) })
	}
	revoking.Wait()
	took := time.Since(began)
	slices.Sort(lags)
	median, p99 := lags[n/2], lags[n*99/100]
	writes := float64(countWrites(t, began)) / took.Seconds()
	t.Logf("%d revocations at %.0f a second: refused by all of three replicas after %s (median), %s (p99), %s (the last); %.1f API writes a second",
		n, float64(n)/took.Seconds(), median.Round(time.Millisecond), p99.Round(time.Millisecond), lags[n-1].Round(time.Millisecond), writes)
	if writes > maxWrites {
		t.Errorf("%.1f writes a second, want at most %d", writes, maxWrites)
	}
	if n >= measured && (median >= maxMedian || p99 >= maxP99) {
		t.Errorf("median %s of %s, p99 %s of %s", median, maxMedian, p99, maxP99)
	}

	for _, r := range replicas {
		r.kill(t)
	}
	back := 0
	for _, r := range replicas {
		r.start(t)
		for _, token := range tokens {
			honoured, err := r.honours(token.token)
			must(t, err)
			if honoured {
				back++
			}
		}
	}
	t.Logf("after kill -9 of all replicas %d of %d tokens came back", back, n)
	if back > 0 {
		t.Errorf("%d tokens came back", back)
	}
}

// revokeAndWatch revokes a token at one replica and returns when the last one refused it.
func revokeAndWatch(t *testing.T, replicas []*replica, i int, token issued) time.Duration {
	began := time.Now()
	var asking sync.WaitGroup
	refused := make([]time.Duration, len(replicas))
	asking.Go(func() {
		for {
			status, body, err := replicas[i%len(replicas)].post(token.to, "/oauth2/revoke", url.Values{"token": {token.token}})
			// it asks to try again
			if status == http.StatusServiceUnavailable && time.Since(began) < patience {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			if err != nil || status != http.StatusOK {
				t.Errorf("revoke: %d %s %v", status, body, err)
			}
			return
		}
	})
	for j, r := range replicas {
		asking.Go(func() {
			for {
				honoured, err := r.honours(token.token)
				refused[j] = time.Since(began)
				if err != nil || !honoured {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if refused[j] > patience {
					t.Errorf("a replica honours a token %s after it was revoked", refused[j])
					return
				}
				time.Sleep(25 * time.Millisecond)
			}
		})
	}
	asking.Wait()
	return slices.Max(refused)
}

// countWrites counts what was asked of the API server about TokenRevocations since then.
func countWrites(t *testing.T, since time.Time) int {
	t.Helper()
	events, err := plane.AuditEvents()
	must(t, err)
	writes := 0
	for _, event := range events {
		if event.IsWrite() && event.Object.Resource == "tokenrevocations" && event.Time.After(since) {
			writes++
		}
	}
	return writes
}

// TestNoYesIsFalse has every other write fail before it reaches the API server or after, kills the
// replica in the middle of its work time and again, and looks for each token whose revocation was
// answered 200 in what the API server has.
func TestNoYesIsFalse(t *testing.T) {
	n := world.Count(t, "HALLPASS_FAULTY_REVOCATIONS", 200)
	config, err := plane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	proxy, err := faults.NewProxy(config)
	must(t, err)
	t.Cleanup(proxy.Close)
	kubeconfig, err := proxy.Kubeconfig(t.TempDir(), config)
	must(t, err)
	proxy.Judge(func(faults.Write) faults.Verdict {
		return []faults.Verdict{faults.CutBefore, faults.DropAnswer, faults.Refuse, faults.Forward, faults.Forward, faults.Forward}[rand.IntN(6)] //nolint:gosec // what fails is no secret
	}, func(faults.Write) {})
	kills := max(2, min(10, n/100))
	r := newReplica(t, kubeconfig)
	said, wrong, refused := 0, 0, 0
	for round := range kills {
		if round > 0 {
			r.start(t)
		}
		tokens := fetch(t, r, n/kills)
		yes, no := revokeUntilKilled(t, r, tokens)
		kept := keptRevocations(t)
		refused += no
		for i, token := range tokens {
			if yes[i] {
				said++
				if !kept[idOf(t, token.token)] {
					wrong++
				}
			}
		}
	}
	t.Logf("%d revocations answered 200 and %d times 503, with errors before and after the storage calls and %d times kill -9: %d falsely; %d writes tried",
		said, refused, kills, wrong, len(proxy.Writes()))
	if wrong > 0 || said < n/2 {
		t.Errorf("%d of %d times 200 falsely", wrong, said)
	}
}

// revokeUntilKilled revokes tokens, each until the answer is 200, and kills the replica when nine
// of ten are. It returns which were answered 200, and how often the answer was 503.
func revokeUntilKilled(t *testing.T, r *replica, tokens []issued) (yes []bool, refused int) {
	yes = make([]bool, len(tokens))
	var said, no atomic.Int64
	var revoking sync.WaitGroup
	const workers = 30
	for worker := range workers {
		revoking.Go(func() {
			for i := worker; i < len(tokens); i += workers {
				for !yes[i] {
					status, _, err := r.post(tokens[i].to, "/oauth2/revoke", url.Values{"token": {tokens[i].token}})
					if err != nil { // it was killed
						return
					}
					switch status {
					case http.StatusOK:
						yes[i] = true
						if said.Add(1) == int64(len(tokens)*9/10) {
							r.kill(t)
						}
					case http.StatusServiceUnavailable:
						no.Add(1)
						time.Sleep(20 * time.Millisecond)
					default:
						t.Errorf("revoke: %d", status)
						return
					}
				}
			}
		})
	}
	revoking.Wait()
	return yes, int(no.Load())
}

// keptRevocations is what the API server has.
func keptRevocations(t *testing.T) map[revocation.ID]bool {
	t.Helper()
	var all v1alpha1.TokenRevocationList
	must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
	kept := map[revocation.ID]bool{}
	for i := range all.Items {
		list, err := revocation.Decode(string(all.Items[i].Spec.Batch.Tokens))
		must(t, err)
		for _, revoked := range list {
			kept[revoked.ID] = true
		}
	}
	return kept
}

func idOf(t *testing.T, token string) revocation.ID {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims struct {
		ID string `json:"jti"`
	}
	must(t, json.Unmarshal(payload, &claims))
	return revocation.IDOf(claims.ID)
}

// TestManyLiveRevocationsAreSmall starts a replica without and with that many live revocations, and
// compares.
func TestManyLiveRevocationsAreSmall(t *testing.T) {
	n := world.Count(t, "HALLPASS_LIVE_REVOCATIONS", 100_000)
	kubeconfig := kubeconfigOfServer(t)
	without := settled(t, newReplica(t, kubeconfig))
	end := time.Now().Add(time.Hour)
	for first := 0; first < n; first += revocation.MaxBatch {
		list := make([]revocation.Entry, min(revocation.MaxBatch, n-first))
		for i := range list {
			var id revocation.ID
			for j := range id {
				id[j] = byte(rand.Uint32()) //nolint:gosec // these cannot be guessed
			}
			list[i] = revocation.NewEntry(id, end)
		}
		object := &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: fmt.Sprintf("many-%d", first)},
			Spec: v1alpha1.TokenRevocationSpec{Batch: v1alpha1.RevocationBatch{
				Tokens: v1alpha1.RevocationEntries(revocation.Encode(list)), ExpiresAt: new(metav1.NewTime(end)),
			}},
		}
		must(t, cluster.Create(t.Context(), object))
		t.Cleanup(func() { _ = cluster.Delete(t.Context(), object) })
	}
	r := newReplica(t, kubeconfig)
	var more int64
	must(t, installation.Wait(t.Context(), "what the start took is given back", func() (bool, error) {
		more = settled(t, r) - without
		return more <= 64<<20, nil
	}))
	t.Logf("%d live revocations: %.1f MiB more resident memory, ready after %s", n, float64(more)/(1<<20), r.ready.Round(time.Millisecond))
	if n >= manyLive && r.ready > 5*time.Second {
		t.Errorf("ready after %s", r.ready)
	}
}

// manyLive is how many live revocations make a measurement of the start.
const manyLive = 1_000_000

// settled is the memory of a replica once what it needed to start was given back, and it has worked
// for a while.
func settled(t *testing.T, r *replica) int64 {
	t.Helper()
	least := r.memory(t)
	for range 15 { // the list is given back after a second
		fetch(t, r, 20)
		time.Sleep(100 * time.Millisecond)
		least = min(least, r.memory(t))
	}
	return max(least, r.memory(t))
}

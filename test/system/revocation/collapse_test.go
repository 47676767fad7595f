// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestTooManyRevocationsOfAClientBecomeAnInstant revokes more tokens of one client, at two
// replicas, than a client may hold one by one, and kills both. No revocation is lost, etcd has less
// than was written, another client is not concerned, and the owner sees a condition.
func TestTooManyRevocationsOfAClientBecomeAnInstant(t *testing.T) {
	n := world.Count(t, "HALLPASS_COLLAPSED_REVOCATIONS", 10_500)
	kubeconfig := kubeconfigOfServer(t)
	replicas := []*replica{newReplica(t, kubeconfig), newReplica(t, kubeconfig)}
	busy, other := callers[0], callers[1]
	all := make([]issued, n)
	parallel(n, func(i int) { all[i] = issued{fetchAs(t, replicas[i%2], busy), busy} })
	young, others := fetchAs(t, replicas[0], busy), fetchAs(t, replicas[0], other)
	if t.Failed() {
		t.FailNow()
	}

	parallel(n, func(i int) { revokeAt(t, replicas[i%2], all[i]) })
	revoked := issued{fetchAs(t, replicas[1], other), other}
	revokeAt(t, replicas[1], revoked)
	var newest revocation.Selector
	must(t, installation.Wait(t.Context(), "one selector is left, and batches without what it includes", func() (bool, error) {
		selectors, entries := storedRevocations(t, busy.ID)
		if len(selectors) != 1 || entries > n*9/10 {
			return false, nil
		}
		newest = selectors[0]
		t.Logf("%d revocations: %d are stored one by one, and those of tokens from before %s as one object", n, entries, newest.IssuedBefore)
		return true, nil
	}))

	for _, r := range replicas {
		r.kill(t)
		r.start(t)
	}
	parallel(n, func(i int) {
		if honoured, err := replicas[i%2].honours(all[i].token); err != nil || honoured {
			t.Errorf("token %d is honoured again: %v", i, err)
		}
	})
	for token, want := range map[string]bool{young: true, others: true, revoked.token: false} {
		if honoured, err := replicas[0].honours(token); err != nil || honoured != want {
			t.Errorf("a token beside those that were collapsed is honoured: %t, %v; want %t", honoured, err, want)
		}
	}
	ownerIsTold(t, busy, other)
}

// parallel calls a function for each number, some at a time.
func parallel(n int, do func(i int)) {
	const workers = 32
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			for i := worker; i < n; i += workers {
				do(i)
			}
		})
	}
	working.Wait()
}

func fetchAs(t *testing.T, r *replica, to world.Caller) string {
	status, body, err := r.post(to, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
	var answer struct {
		Token string `json:"access_token"`
	}
	if err != nil || status != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		t.Errorf("fetch a token: %d %v", status, err)
	}
	return answer.Token
}

// revokeAt revokes a token until the answer is 200.
func revokeAt(t *testing.T, r *replica, token issued) {
	for deadline := time.Now().Add(patience); ; {
		status, body, err := r.post(token.to, "/oauth2/revoke", url.Values{"token": {token.token}})
		if err == nil && status == http.StatusOK {
			return
		}
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Errorf("revoke: %d %s %v", status, body, err)
			return
		}
		time.Sleep(100 * time.Millisecond) // as it asks to
	}
}

// storedRevocations returns the selectors that token servers wrote for a client, and how many
// tokens are stored one by one.
func storedRevocations(t *testing.T, clientID string) (selectors []revocation.Selector, entries int) {
	var all v1alpha1.TokenRevocationList
	must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
	for i := range all.Items {
		selector, batch, err := revocation.Read(&all.Items[i])
		must(t, err)
		if selector != nil && selector.Collapses && selector.ClientID == clientID {
			selectors = append(selectors, *selector)
		}
		for _, r := range batch.Tokens {
			if r.Client != 0 && batch.Clients[r.Client-1].ID == clientID {
				entries++
			}
		}
	}
	return selectors, entries
}

// ownerIsTold waits for the condition and the event of a client, and checks that another one has
// none.
func ownerIsTold(t *testing.T, busy, other world.Caller) {
	t.Helper()
	collapsed := func(of world.Caller) bool {
		var c v1alpha1.OAuth2Client
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: strings.TrimPrefix(of.ID, namespace+".")}, &c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionRevocationsCollapsed)
	}
	events := func(of world.Caller) (count int) {
		var list eventsv1.EventList
		must(t, cluster.List(t.Context(), &list, client.InNamespace(namespace)))
		for _, event := range list.Items {
			if event.Reason == v1alpha1.ConditionRevocationsCollapsed && namespace+"."+event.Regarding.Name == of.ID {
				count++
			}
		}
		return count
	}
	must(t, installation.Wait(t.Context(), "condition and event are there", func() (bool, error) { return collapsed(busy) && events(busy) == 1, nil }))
	if collapsed(other) || events(other) != 0 {
		t.Error("another client is said to have collapsed")
	}
}

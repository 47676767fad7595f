// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// restartLimit is how long a container that starts while the API server is away may take until it
// serves. make outage compares.
const restartLimit = 2 * time.Second

// TestTheAPIServerIsAway takes the API server away for a while, in which tokens are fetched and
// asked about at two replicas, one of them is killed, and the next signing key takes over. make
// outage is the real hour.
func TestTheAPIServerIsAway(t *testing.T) {
	outage := world.Duration(t, "HALLPASS_OUTAGE", 4*time.Second)
	full := outage > time.Minute
	must(t, hallpass.StopManager()) // it would write keys of its own
	t.Cleanup(func() { must(t, hallpass.StartManager(context.WithoutCancel(t.Context()))) })
	steady, killed := newReplica(t, "v1.0.0"), newReplica(t, "v1.0.0")
	replicas := []*replica{steady, killed}
	for _, r := range replicas {
		r.waitReady(t)
	}
	keys, due := rotateDuring(t, outage, replicas)

	away := takeAway(t)
	began := time.Now()
	pauseBetween := 2 * time.Millisecond
	if full {
		pauseBetween = 100 * time.Millisecond // an hour needs no more
	}
	load := startLoad(t, steady.address, manner{perWay: 1, uses: 1, pause: pauseBetween, roots: trusted(t)})

	killed.kill(t)
	down := time.Now()
	killed.start(t)
	caller := newCall(t, killed.address)
	eventually(t, "the container that was killed serves again", func() bool { _, err := caller.token(callers[0]); return err == nil })
	took := time.Since(down)
	if full && took > restartLimit {
		t.Errorf("a container that was killed serves after %s", took)
	}
	if page := killed.opsPage(t, "/readyz?verbose"); !strings.Contains(page, "serving from the snapshot") || !killed.ready(t.Context()) {
		t.Errorf("readiness after the start says %q", page)
	}
	// if the start took no longer
	if got := signedBy(t, killed); time.Now().Before(due) && got != keys.current {
		t.Errorf("after the start tokens are signed by %s", got)
	}
	second := startLoad(t, killed.address, manner{perWay: 1, uses: 1, pause: pauseBetween, roots: trusted(t)})

	for _, r := range replicas {
		cannotRevoke(t, r)
	}

	pause(t.Context(), time.Until(due)+time.Second)
	for name, r := range map[string]*replica{"the replica that went on": steady, "the one that was killed": killed} {
		if got := signedBy(t, r); got != keys.next {
			t.Errorf("%s signs by %s after the next key was due, want %s", name, got, keys.next)
		}
	}
	pause(t.Context(), time.Until(began.Add(outage)))
	load.stop(t)
	second.stop(t)
	for _, r := range replicas {
		gone := time.Since(began)
		if silence := time.Duration(r.metric(t, "hallpass_apiserver_silence_seconds") * float64(time.Second)); silence < gone-time.Second {
			t.Errorf("the API server has been away for %s; a replica says that it heard of it %s ago", gone, silence)
		}
	}
	t.Logf("the API server was away for %s; a container that was killed meanwhile served again after %s",
		time.Since(began).Round(time.Second), took.Round(time.Millisecond))

	away()
	for _, r := range replicas {
		eventually(t, "the replica hears from the API server again", func() bool {
			return r.metric(t, "hallpass_apiserver_silence_seconds") < time.Since(began).Seconds()-1 && r.metric(t, "hallpass_snapshot_serving") == 0
		})
	}
}

// rotateDuring writes keys of which the next one takes over in an outage that begins when it
// returns: every replica knows them and has written them into its snapshot. If that took too long,
// it is tried again with a later instant.
func rotateDuring(t *testing.T, outage time.Duration, replicas []*replica) (keys lives, due time.Time) {
	t.Helper()
	for until := 2*time.Second + outage/2; ; until *= 2 {
		due = time.Now().Add(until).Truncate(time.Second)
		keys = rotateAt(t, due)
		for _, r := range replicas {
			eventually(t, "the replica has the next key", func() bool { return slices.Contains(keyIDs(t, r.address), keys.next) })
		}
		// What is written after one more change has all that was known before it.
		known := float64(time.Now().UnixNano()) / float64(time.Second)
		caller := newCall(t, replicas[0].address)
		token, err := caller.token(callers[0])
		must(t, err)
		revoke(t, caller, callers[0], token)
		for _, r := range replicas {
			eventually(t, "there is a snapshot", func() bool { return r.metric(t, "hallpass_snapshot_written_timestamp_seconds") > known })
		}
		current := signedBy(t, replicas[0])
		if time.Until(due) > time.Second && current == keys.current {
			return keys, due
		}
	}
}

// cannotRevoke shows that a replica does not confirm a revocation that it cannot store for the
// others, and answers when to try again.
func cannotRevoke(t *testing.T, r *replica) {
	t.Helper()
	c := newCall(t, r.address)
	token, err := c.token(callers[0])
	must(t, err)
	status, header, err := c.answer(http.MethodPost, oauth2.RevocationPath, url.Values{
		"token": {token}, "client_id": {callers[0].ID}, "client_secret": {callers[0].Secret},
	})
	must(t, err)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("a token is revoked while the API server is away: %d, Retry-After %q", status, header.Get("Retry-After"))
	}
}

// takeAway ends the API server, as a crash does. It is back after the test, or before, when the
// returned function is called.
func takeAway(t *testing.T) (back func()) {
	t.Helper()
	must(t, plane.StopAPIServer())
	back = sync.OnceFunc(func() { must(t, plane.StartAPIServer(context.WithoutCancel(t.Context()))) })
	t.Cleanup(back)
	return back
}

// lives are the kids of two keys, of which the next takes over at an instant.
type lives struct{ current, next string }

// rotateAt writes a ring whose next key becomes active at that instant.
func rotateAt(t *testing.T, due time.Time) lives {
	t.Helper()
	policy := keyring.DefaultPolicy(oauth2.MaxTokenLifetime)
	ring, err := keyring.New(due.Add(-policy.Period))
	must(t, err)
	rotation, err := keyring.Rotate(ring, keyring.At(due.Add(-policy.Period).Add(time.Minute)), policy, keyring.Order{}, keyring.Generate)
	must(t, err)
	ring = rotation.Ring
	keys := ring.Keys()
	if len(keys) != 2 || !keys[1].ActiveAt.Equal(due) {
		t.Fatalf("the next key is not active at %s", due)
	}
	data, err := registration.EncodeKeys(ring)
	must(t, err)
	var secret corev1.Secret
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.KeysSecretName}, &secret))
	secret.Data = data
	must(t, cluster.Update(t.Context(), &secret))
	return lives{keys[0].ID(), keys[1].ID()}
}

// signedBy is the kid of the key that signs tokens at a replica.
func signedBy(t *testing.T, r *replica) string {
	t.Helper()
	token, err := newCall(t, r.address).token(callers[0])
	must(t, err)
	encoded, _, _ := strings.Cut(token, ".")
	document, err := base64.RawURLEncoding.DecodeString(encoded)
	must(t, err)
	var header struct {
		KID string `json:"kid"`
	}
	must(t, json.Unmarshal(document, &header))
	return header.KID
}

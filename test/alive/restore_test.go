// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package alive_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/restored"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/installation"
)

// TestARestoredClusterRevivesNoToken puts a backup of etcd in place that is older than a withdrawn key, a revoked token, and clients that
// were suspended and deleted. Replicas that ran meanwhile notice, and none of those tokens is good again.
func TestARestoredClusterRevivesNoToken(t *testing.T) {
	suspended, err := newCaller(t.Context(), "suspended")
	must(t, err)
	deleted, err := newCaller(t.Context(), "deleted")
	must(t, err)
	running, killed := newReplica(t, "v1.0.0"), newReplica(t, "v1.0.0")
	replicas := []*replica{running, killed}
	for _, r := range replicas {
		r.waitReady(t)
	}
	at := newCall(t, running.address)
	fetch := func(who credentials) string {
		t.Helper()
		var token string
		eventually(t, "there is a token", func() (ok bool) { token, err = at.token(who); return err == nil })
		return token
	}
	tokens := map[string]string{"of a key that is withdrawn": fetch(callers[0])}
	backup := filepath.Join(t.TempDir(), "backup")
	must(t, plane.Backup(t.Context(), backup))
	busy(t)

	taint(t, signedBy(t, running))
	eventually(t, "the key is withdrawn", func() bool { return !good(t, running, tokens["of a key that is withdrawn"]) })
	tokens["that is revoked"] = fetch(callers[1])
	tokens["of a client that is suspended"] = fetch(suspended)
	tokens["of a client that is deleted"] = fetch(deleted)
	unharmed := fetch(callers[2])
	revoke(t, at, callers[1], tokens["that is revoked"])
	var object v1alpha1.OAuth2Client
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "suspended"}, &object))
	object.Spec.State = v1alpha1.ClientSuspended
	must(t, cluster.Update(t.Context(), &object))
	must(t, cluster.Delete(t.Context(), &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "deleted"}}))
	for _, r := range replicas {
		for name, token := range tokens {
			eventually(t, "no replica honours a token "+name, func() bool { return !good(t, r, token) })
		}
	}
	must(t, plane.Restore(t.Context(), backup))
	killed.kill(t)
	killed.start(t)
	killed.waitReady(t)
	for _, r := range replicas {
		eventually(t, "the replica notices the restore", func() bool { return r.metric(t, "hallpass_registry_restored_total") > 0 })
		eventually(t, "the replica reads again", func() bool {
			return r.metric(t, "hallpass_snapshot_serving") == 0 && r.metric(t, "hallpass_apiserver_silence_seconds") < 60
		})
	}
	eventually(t, "the manager says so", func() bool { return told(t) })
	var again v1alpha1.OAuth2Client
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "deleted"}, &again)) // the backup has it
	for _, r := range replicas {
		for name, token := range tokens {
			if good(t, r, token) {
				t.Errorf("a token %s is good again", name)
			}
		}
		if !good(t, r, unharmed) {
			t.Error("a token that nobody took back is not good any more")
		}
	}
	// What the restored cluster allows gets new tokens.
	if token := fetch(suspended); !good(t, running, token) {
		t.Error("a new token of a client that the restored cluster knows is not good")
	}
}

// busy writes as often as the leases of a cluster do in some minutes, and leaves the manager the time to look.
func busy(t *testing.T) {
	t.Helper()
	lease := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lease"}}
	must(t, cluster.Create(t.Context(), lease))
	for i := range 300 {
		lease.Data = map[string]string{"renewed": strconv.Itoa(i)}
		must(t, cluster.Update(t.Context(), lease))
	}
	pause(t.Context(), 3*time.Second)
}

// good asks forward-auth whether a token is.
func good(t *testing.T, r *replica, token string) bool {
	t.Helper()
	return newCall(t, r.address).forward("audience="+url.QueryEscape(hallpassAudience()), token) == nil
}

// taint withdraws a key, as an administrator does.
func taint(t *testing.T, kid string) {
	t.Helper()
	eventually(t, "the key is annotated", func() bool {
		var secret corev1.Secret
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.KeysSecretName}, &secret))
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, v1alpha1.AnnotationTaint, kid)
		return cluster.Update(t.Context(), &secret) == nil
	})
}

func revoke(t *testing.T, c *call, who credentials, token string) {
	t.Helper()
	_, err := c.do(http.MethodPost, "/oauth2/revoke", url.Values{"token": {token}, "client_id": {who.id}, "client_secret": {who.secret}}, "")
	must(t, err)
}

// told reports whether there is the event of a restore.
func told(t *testing.T) bool {
	t.Helper()
	var list eventsv1.EventList
	must(t, cluster.List(t.Context(), &list, client.InNamespace(installation.RegistryNamespace)))
	for i := range list.Items {
		if event := &list.Items[i]; event.Reason == restored.Reason && strings.Contains(event.Note, "restored from a backup") {
			return true
		}
	}
	return false
}

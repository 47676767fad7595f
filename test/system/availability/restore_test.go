// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/restored"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestARestoredClusterRevivesNoToken puts a snapshot of etcd in place that is older than a
// withdrawn key, a revoked token, and clients that were suspended, deleted, and had their tokens
// revoked. Replicas that ran meanwhile notice, one that is killed afterwards too, and at no moment
// is one of those tokens good again.
func TestARestoredClusterRevivesNoToken(t *testing.T) {
	etcdutl := buildEtcdutl(t)
	raise := regexp.MustCompile(`--bump-revision \d+|--mark-compacted`).FindAllString(pageCommands(t).restore, -1)
	if len(raise) != 2 {
		t.Fatalf("the documentation advises %q", raise)
	}
	for name, flags := range map[string][]string{
		"as it was": nil,
		"with revisions that are raised, as the documentation advises": strings.Fields(strings.Join(raise, " ")),
	} {
		t.Run(name, func(t *testing.T) {
			d := denied{prefix: "restored-" + strings.ToLower(rand.Text()[:8])}
			d.prepare(t)
			backup := filepath.Join(t.TempDir(), "backup")
			must(t, plane.Backup(t.Context(), backup))
			d.deny(t)
			told := d.watch(t)
			must(t, plane.Restore(t.Context(), etcdutl, backup, flags...))
			d.killed.kill(t)
			d.killed.start(t)
			d.killed.waitReady(t)
			d.noticed(t)
			told(t)
		})
	}
}

// denied is what is refused after a backup, at replicas that know it.
type denied struct {
	prefix          string
	running, killed *replica
	clients         map[string]world.Caller
	tokens          map[string]string
	unharmed        string
	before          float64
}

func (d *denied) replicas() []*replica { return []*replica{d.running, d.killed} }

func (d *denied) fetch(t *testing.T, who world.Caller) (token string) {
	t.Helper()
	at := newCall(t, d.running.address)
	eventually(t, "there is a token", func() bool {
		var err error
		token, err = at.token(who)
		return err == nil
	})
	return token
}

// prepare makes what the backup has.
func (d *denied) prepare(t *testing.T) {
	t.Helper()
	d.clients, d.tokens = map[string]world.Caller{}, map[string]string{}
	for _, name := range []string{"suspended", "deleted", "recalled"} {
		who, err := shared.NewCaller(t.Context(), namespace, d.prefix+"-"+name)
		must(t, err)
		d.clients[name] = who
	}
	d.running, d.killed = newReplica(t, "v1.0.0"), newReplica(t, "v1.0.0")
	for _, r := range d.replicas() {
		r.waitReady(t)
	}
	d.tokens["of a key that is withdrawn"] = d.fetch(t, callers[0])
	d.before = restores(t)
}

// deny revokes and suspends after the backup, and returns when every replica knows and has it in
// its snapshot.
func (d *denied) deny(t *testing.T) {
	t.Helper()
	busy(t, d.prefix)
	taint(t, signedBy(t, d.running))
	eventually(t, "the key is withdrawn", func() bool { return !good(t, d.running, d.tokens["of a key that is withdrawn"]) })
	d.tokens["that is revoked"] = d.fetch(t, callers[1])
	for name, who := range d.clients {
		d.tokens["of a client that is "+name] = d.fetch(t, who)
	}
	d.unharmed = d.fetch(t, callers[2])
	revoke(t, newCall(t, d.running.address), callers[1], d.tokens["that is revoked"])
	d.change(t, "suspended", func(c *v1alpha1.OAuth2Client) { c.Spec.State = v1alpha1.ClientSuspended })
	d.change(t, "recalled", func(c *v1alpha1.OAuth2Client) {
		c.Spec.RevokeTokensIssuedBefore = new(metav1.NewTime(time.Now().Add(time.Second).Truncate(time.Second)))
	})
	must(t, cluster.Delete(t.Context(), &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.prefix + "-deleted"}}))
	for _, r := range d.replicas() {
		for name, token := range d.tokens {
			eventually(t, "no replica honours a token "+name, func() bool { return !good(t, r, token) })
		}
	}
	// What is written after one more change has all that was known before it.
	known := float64(time.Now().UnixNano()) / float64(time.Second)
	d.change(t, "suspended", func(c *v1alpha1.OAuth2Client) { c.Spec.Description = "one more change" })
	for _, r := range d.replicas() {
		eventually(t, "the snapshot has it", func() bool { return r.metric(t, "hallpass_snapshot_written_timestamp_seconds") > known })
	}
}

func (d *denied) change(t *testing.T, name string, change func(*v1alpha1.OAuth2Client)) {
	t.Helper()
	eventually(t, "the client is changed", func() bool {
		var object v1alpha1.OAuth2Client
		must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: d.prefix + "-" + name}, &object))
		change(&object)
		return cluster.Update(t.Context(), &object) == nil
	})
}

// watch asks both replicas all the time, from before the restore on, and fails the test if one of
// the tokens is good at any moment.
func (d *denied) watch(t *testing.T) (stop func(t *testing.T)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var mu sync.Mutex
	revived := map[string]int{}
	asked := 0
	for _, r := range d.replicas() {
		for name, token := range d.tokens {
			running.Go(func() {
				c := &call{address: r.address, roots: trusted(t)}
				defer c.close()
				for ; ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
					err := c.forward("audience="+url.QueryEscape(hallpassAudience()), token)
					mu.Lock()
					asked++
					if err == nil {
						revived[name]++
					}
					mu.Unlock()
				}
			})
		}
	}
	t.Cleanup(cancel)
	return func(t *testing.T) {
		t.Helper()
		cancel()
		running.Wait()
		for name, times := range revived {
			t.Errorf("a token %s was good again, %d times", name, times)
		}
		t.Logf("asked %d times", asked)
	}
}

// noticed waits until every process knows of the restore, and returns what is valid then.
func (d *denied) noticed(t *testing.T) {
	t.Helper()
	eventually(t, "the metric tells", func() bool { return d.running.metric(t, "hallpass_registry_restored_total") > 0 })
	for _, r := range d.replicas() {
		// The one that was killed may have noticed before, and have had the time to write a
		// snapshot that needs no correction.
		eventually(t, "the replica notices the restore", func() bool {
			log, err := os.ReadFile(r.log)
			must(t, err)
			return strings.Contains(string(log), "has an older revision than before")
		})
		eventually(t, "the replica reads again", func() bool {
			return r.metric(t, "hallpass_snapshot_serving") == 0 && r.metric(t, "hallpass_apiserver_silence_seconds") < 60
		})
	}
	eventually(t, "the manager counts it", func() bool { return restores(t) == d.before+1 })
	eventually(t, "there is an event", func() bool { return told(t) })
	if printed := enter(t, pageCommands(t).look); !strings.Contains(printed, restored.Reason) {
		t.Errorf("the documented command prints %q", printed)
	}
	var again v1alpha1.OAuth2Client
	// the backup has it
	must(t, cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: d.prefix + "-deleted"}, &again))
	for _, r := range d.replicas() {
		if !good(t, r, d.unharmed) {
			t.Error("a token that nobody took back is not good any more")
		}
		// What the restored cluster allows gets new tokens.
		for name, who := range d.clients {
			eventually(t, "a client that was "+name+" gets a token that is good", func() bool { return good(t, r, d.fetch(t, who)) })
		}
	}
}

// busy writes as often as the leases of a cluster do in some minutes, and returns when the manager
// has looked since.
func busy(t *testing.T, name string) {
	t.Helper()
	lease := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	must(t, cluster.Create(t.Context(), lease))
	for i := range 500 {
		lease.Data = map[string]string{"renewed": strconv.Itoa(i)}
		must(t, cluster.Update(t.Context(), lease))
	}
	written := time.Now()
	eventually(t, "the manager looks at the current revision", func() bool {
		events, err := plane.AuditEvents()
		must(t, err)
		return slices.ContainsFunc(events, func(e controlplane.AuditEvent) bool {
			return e.Time.After(written) && e.Verb == "list" && e.Object.Resource == "secrets" && e.Object.Namespace == installation.RegistryNamespace &&
				strings.Contains(e.URI, "limit=1") && e.Response.Code == http.StatusOK
		})
	})
}

// buildEtcdutl builds etcd's own tool for restores, once for this machine.
func buildEtcdutl(t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "make", "--silent", "etcdutl")
	command.Dir, command.Stderr = root, os.Stderr
	command.Env = append(os.Environ(), "MAKEFLAGS=")
	path, err := command.Output()
	must(t, err)
	return strings.TrimSpace(string(path))
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

func revoke(t *testing.T, c *call, who world.Caller, token string) {
	t.Helper()
	_, err := c.do(http.MethodPost, "/oauth2/revoke", url.Values{"token": {token}, "client_id": {who.ID}, "client_secret": {who.Secret}}, "")
	must(t, err)
}

// told reports whether there is the event of a restore. An event that is repeated within minutes
// reaches the cluster late.
func told(t *testing.T) bool {
	t.Helper()
	var list eventsv1.EventList
	must(t, cluster.List(t.Context(), &list, client.InNamespace(installation.RegistryNamespace)))
	return slices.ContainsFunc(list.Items, func(event eventsv1.Event) bool {
		return event.Reason == restored.Reason && strings.Contains(event.Note, "restored from a backup")
	})
}

// restores is how many restores managers of this process have counted.
func restores(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() == "hallpass_registry_restored_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("managers do not count restores")
	return 0
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// firstRelease is the commit of the release whose names of claims were compared by case.
const firstRelease = "37318f4"

// release is the directory with the programs and the configuration of a commit. They are built
// once, into the user's cache.
func release(t *testing.T, commit string) string {
	t.Helper()
	root := root
	if err := exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		t.Skipf("this tree does not have the commit %s, from which the release before is built", commit)
	}
	cache, err := os.UserCacheDir()
	must(t, err)
	place := filepath.Join(cache, "hallpass", "releases", commit+"-"+runtime.Version())
	if _, err := os.Stat(place); err == nil {
		return place
	}
	must(t, os.MkdirAll(filepath.Dir(place), 0o700))
	building, err := os.MkdirTemp(filepath.Dir(place), "building-") //nolint:usetesting // it is moved to its place beside it
	must(t, err)
	defer func() { _ = os.RemoveAll(building) }()
	for _, line := range []string{
		"git -C " + root + " archive " + commit + " | tar -x -C " + building,
		"cd " + building + " && go build -o . ./cmd/manager ./cmd/tokenserver",
	} {
		if output, err := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, output)
		}
	}
	if err := os.Rename(building, place); err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		t.Fatal(err)
	}
	return place
}

// forged are the claims of each client, as the release before accepts them: twins of our names,
// what readers act on, a plain name that no policy allows, and one that stays.
const forged = `[{"name":"Aud","value":"https://victim.test"},{"name":"Scope","value":"admin"},{"name":"Client_id","value":"victim.frontend"},` +
	`{"name":"scp","value":"admin"},{"name":"permissions","values":["system:masters"]},{"name":"tier","value":"gold"},` +
	`{"name":"https://example.com/team","value":"blue"}]`

// accepted are claims without a twin of our names: tokens with them stay good.
const accepted = `[{"name":"Email","value":"admin@example.com"},{"name":"role","value":"admin"},` +
	`{"name":"http://schemas.xmlsoap.org/claims/Group","value":"admin"},{"name":"sub:","value":"admin"},{"name":"https://example.com/team","value":"blue"}]`

// TestAnUpgradeLeavesOutClaimsAndRefusesNobody upgrades a cluster whose clients have claims that
// are not allowed any more, under load, by both orders of the two processes. No request for a token
// is refused, and of the tokens those alone that were issued before with a twin of one of our
// names.
func TestAnUpgradeLeavesOutClaimsAndRefusesNobody(t *testing.T) {
	old := release(t, firstRelease)
	for name, managerFirst := range map[string]bool{"the manager first": true, "the token server first": false} {
		t.Run(name, func(t *testing.T) { upgrade(t, old, managerFirst) })
	}
}

func upgrade(t *testing.T, old string, managerFirst bool) {
	const lag = 2 * time.Second
	must(t, hallpass.StopManager())
	must(t, installation.Apply(t.Context(), plane, old, "config/default"))
	t.Cleanup(func() {
		must(t, installation.Apply(unbounded(t), plane, root, "config/default"))
		if hallpass.StopManager() == nil {
			hallpass.AllowClaims = nil
			must(t, hallpass.StartManager(unbounded(t)))
		}
	})
	stopOldManager := startOldManager(t, old)
	where := "upgraded-server-first"
	if managerFirst {
		where = "upgraded-manager-first"
	}
	tenants := tenantsWithClaims(t, where)
	b := startBalancer(t, lag/2)
	start := func(program string) *replica {
		r := newReplica(t, "v1.0.0", func(r *replica) {
			if program != "" {
				r.program = program
			}
			r.lag = lag
		})
		b.follow(r)
		r.waitReady(t)
		eventually(t, "the balancer knows the replica", func() bool { return b.has(r) })
		return r
	}
	serving := start(filepath.Join(old, "tokenserver"))
	load := startTenants(t, b.address(), where, tenants)
	eventually(t, "tokens of the release before carry forged claims", func() bool { return load.forged.Load() > 20 })

	findBefore, findAfter := noteCommands(t)
	checkFound(t, where, enter(t, findBefore))
	must(t, installation.Apply(t.Context(), plane, root, "config/default"))
	var late world.Caller
	newManager := func() {
		stopOldManager()
		hallpass.AllowClaims = []oauth2.ClaimRule{{Name: "roles", Values: []string{"shop-*"}}}
		must(t, hallpass.StartManager(unbounded(t)))
		eventually(t, "every client says what is left out", func() bool { return sayWhatIsLeftOut(t, where) })
		late = newTenant(t, where, "late", `[{"name":"https://example.com/team","value":"blue"},{"name":"roles","values":["shop-a"]}]`)
		eventually(t, "a client with roles gets a token, whichever token server serves", func() bool {
			_, err := newCall(t, b.address()).token(late)
			return err == nil
		})
	}
	newServer := func() {
		replaced := serving
		serving = start("")
		replaced.stop(t)
	}
	steps := []func(){newServer, newManager}
	if managerFirst {
		steps = []func(){newManager, newServer}
	}
	for _, step := range steps {
		step()
		from := load.sent.Load()
		eventually(t, "the load goes on", func() bool { return load.sent.Load() > from+200 })
	}
	load.stop(t)
	changeAnotherField(t, where)
	if found := enter(t, findAfter); strings.Count(found, where+"/tenant-") != len(tenants) {
		t.Errorf("the command of the upgrade notes finds %s", found)
	}
	for _, who := range append(tenants, late) {
		c := newCall(t, b.address())
		token, err := c.token(who)
		must(t, err)
		payload := payloadOf(t, token)
		checkClaims(t, payload)
		must(t, c.introspect(who, token))
		if who == late && !strings.Contains(payload, `"roles":["shop-a"]`) {
			t.Errorf("a token lacks the roles that the installation allows: %s", payload)
		}
	}
	if log, err := os.ReadFile(serving.log); err != nil || !managerFirst && !strings.Contains(string(log), "a registration has claims that are not allowed") {
		t.Errorf("the token server does not log what it left out, %v", err)
	}
}

// changeAnotherField changes a client whose claims are refused by now: the API server validates
// what is changed.
func changeAnotherField(t *testing.T, where string) {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "hallpass.dev/v1alpha1", "kind": "OAuth2Client"}}
	object.SetNamespace(where)
	object.SetName("tenant-0")
	must(t, cluster.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"description":"changed"}}`))))
	added := []byte(`{"spec":{"claims":[{"name":"Sub","value":"victim.frontend"}]}}`)
	if err := cluster.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, added)); err == nil {
		t.Error("a claim with a reserved name is added to a client that has such claims")
	}
}

// noteCommands are those of the upgrade notes that find what will be and what is left out.
func noteCommands(t *testing.T) (before, after string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "upgrade-notes.md"))
	must(t, err)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks of commands; does this test still read it right?", len(blocks))
	}
	return blocks[0][1], blocks[1][1]
}

// checkFound looks for each claim of the first two tenants that will be left out, and for no other.
func checkFound(t *testing.T, where, found string) {
	t.Helper()
	for tenant, names := range map[string]string{
		"tenant-0": "Aud Scope Client_id scp permissions tier", "tenant-1": "Email role http://schemas.xmlsoap.org/claims/Group sub:",
	} {
		var got []string
		for line := range strings.Lines(found) {
			if name, mine := strings.CutPrefix(strings.TrimSpace(line), where+"/"+tenant+" "); mine {
				got = append(got, name)
			}
		}
		if list := strings.Join(got, " "); list != names {
			t.Errorf("the command of the upgrade notes finds %q of %s, want %q", list, tenant, names)
		}
	}
}

// checkClaims looks for the names that a token must not have, and for the one that it must.
func checkClaims(t *testing.T, payload string) {
	t.Helper()
	for _, name := range []string{"Aud", "Scope", "Client_id", "scp", "permissions", "tier", "Email", "role", "http://schemas.xmlsoap.org/claims/Group", "sub:"} {
		if strings.Contains(payload, `"`+name+`":`) {
			t.Errorf("a token has the claim %s: %s", name, payload)
		}
	}
	if !strings.Contains(payload, `"https://example.com/team":"blue"`) {
		t.Errorf("a token lacks the claim that is allowed: %s", payload)
	}
}

func startOldManager(t *testing.T, old string) (stop func()) {
	t.Helper()
	kubeconfig, err := plane.ServiceAccountKubeconfig(t.Context(), installation.SystemNamespace, installation.ManagerAccount)
	must(t, err)
	command := exec.Command(filepath.Join(old, "manager"), "--issuer="+hallpass.Issuer.String(), "--kubeconfig="+kubeconfig, //nolint:noctx // ended below
		"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0", "--serving-dns-names=localhost")
	log := &installation.Log{}
	command.Stdout, command.Stderr = log, log
	must(t, command.Start())
	stop = sync.OnceFunc(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			text := log.String()
			t.Logf("the end of the log of the manager:\n%s", text[max(0, len(text)-3000):])
		}
	})
	return stop
}

// tenantsWithClaims makes clients with claims that the release before accepts.
func tenantsWithClaims(t *testing.T, where string) []world.Caller {
	t.Helper()
	must(t, client.IgnoreAlreadyExists(cluster.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: where}})))
	var tenants []world.Caller
	for i := range 10 {
		claims := forged
		if i%2 == 1 {
			claims = accepted
		}
		tenants = append(tenants, newTenant(t, where, fmt.Sprintf("tenant-%d", i), claims))
	}
	return tenants
}

func newTenant(t *testing.T, where, name, claims string) world.Caller {
	t.Helper()
	object := &unstructured.Unstructured{}
	must(t, object.UnmarshalJSON([]byte(`{"apiVersion":"hallpass.dev/v1alpha1","kind":"OAuth2Client","metadata":{"namespace":"`+where+`","name":"`+name+`"},`+
		`"spec":{"scopes":["read"],"claims":`+claims+`}}`)))
	must(t, cluster.Create(t.Context(), object))
	var secret corev1.Secret
	eventually(t, "a tenant has its Secret", func() bool {
		return cluster.Get(t.Context(), client.ObjectKeyFromObject(object), &secret) == nil
	})
	return world.Caller{ID: string(secret.Data["client_id"]), Secret: string(secret.Data["client_secret"])}
}

// sayWhatIsLeftOut reports whether every client of the namespace has the condition, and is ready.
func sayWhatIsLeftOut(t *testing.T, where string) bool {
	t.Helper()
	var list v1alpha1.OAuth2ClientList
	must(t, cluster.List(t.Context(), &list, client.InNamespace(where)))
	for i := range list.Items {
		conditions := list.Items[i].Status.Conditions
		claims := meta.FindStatusCondition(conditions, v1alpha1.ConditionClaimsComplete)
		if claims == nil || claims.Reason != v1alpha1.ReasonClaimReserved || !meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
			return false
		}
	}
	return len(list.Items) > 0
}

// tenantLoad is tenants who fetch tokens and use them until they are stopped.
type tenantLoad struct {
	address, where string
	ctx            context.Context //nolint:containedctx // the life of the load
	cancel         context.CancelFunc
	running        sync.WaitGroup

	// sent are requests, forged tokens with a twin of one of our names.
	sent, forged atomic.Int64
	mu           sync.Mutex
	failures     []string
}

func startTenants(t *testing.T, address, where string, tenants []world.Caller) *tenantLoad {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	l := &tenantLoad{address: address, where: where, ctx: ctx, cancel: cancel}
	for _, who := range tenants {
		l.add(t, who)
	}
	return l
}

func (l *tenantLoad) add(t *testing.T, who world.Caller) {
	t.Helper()
	c := &call{address: l.address, way: connecting{anew: true}, roots: trusted(t)}
	audience := "audience=" + url.QueryEscape(hallpass.Issuer.String()+"/ns/"+l.where)
	l.running.Go(func() {
		defer c.close()
		for l.ctx.Err() == nil {
			token, err := c.token(who)
			l.note(err)
			if err != nil {
				continue
			}
			twin := strings.Contains(payloadText(token), `"Aud":`)
			if twin {
				l.forged.Add(1)
			}
			for _, use := range []func() error{func() error { return c.introspect(who, token) }, func() error { return c.forward(audience, token) }} {
				if err := use(); !twin {
					l.note(err)
				}
			}
			pause(l.ctx, 20*time.Millisecond)
		}
	})
}

func (l *tenantLoad) note(err error) {
	l.sent.Add(1)
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+err.Error())
}

func (l *tenantLoad) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.running.Wait()
	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests failed, among them:\n%s", len(l.failures), l.sent.Load(), strings.Join(l.failures[:min(len(l.failures), 20)], "\n"))
	}
	t.Logf("%d requests, %d tokens with a twin, %d failed", l.sent.Load(), l.forged.Load(), len(l.failures))
}

// payloadText is the payload of a token, or nothing of what is none.
func payloadText(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(payload)
}

func payloadOf(t *testing.T, token string) string {
	t.Helper()
	payload := payloadText(token)
	if payload == "" {
		t.Fatal("a token has no payload")
	}
	return payload
}

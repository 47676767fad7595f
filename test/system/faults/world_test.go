// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/faults"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	namespace = "faults"
	// silence is how long no write may happen for the manager to be at rest.
	silence = 150 * time.Millisecond
	limit   = 3 * time.Minute
)

// What all tests of this package share. They run one after the other: there is one manager at a
// time.
var (
	plane      *controlplane.ControlPlane
	cluster    client.Client
	proxy      *faults.Proxy
	kubeconfig string
	program    string
	number     int
	// settled is whether the last manager was killed when all was at rest: the next one has
	// nothing to write.
	settled bool

	must = world.Must
)

func TestMain(m *testing.M) {
	world.Main(world.Options{InstalledOnly: true}, func(ctx context.Context, w *world.World) (int, error) {
		plane, cluster = w.Plane, w.Cluster
		dir, err := os.MkdirTemp("", "hallpass-faults-")
		if err != nil {
			return 0, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if program, err = installation.Program(ctx, "../../..", "manager"); err != nil {
			return 0, err
		}
		if err := cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
			return 0, err
		}
		account, err := plane.ServiceAccountConfig(ctx, installation.SystemNamespace, installation.ManagerAccount)
		if err != nil {
			return 0, err
		}
		if proxy, err = faults.NewProxy(plane.AdminConfig()); err != nil {
			return 0, err
		}
		defer proxy.Close()
		if kubeconfig, err = proxy.Kubeconfig(dir, account); err != nil {
			return 0, err
		}
		return m.Run(), nil
	})
}

// process is a manager that can be killed.
type process struct {
	*controlplane.Process
	log string
}

// startManager starts a manager process whose only way to the API server is the proxy.
func startManager(t *testing.T, environment ...string) *process {
	t.Helper()
	m := &process{log: filepath.Join(t.TempDir(), "manager.log")}
	var err error
	m.Process, err = controlplane.StartProcess("manager", m.log, environment, program, "--kubeconfig="+kubeconfig, "--issuer=https://hallpass.test",
		"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0")
	must(t, err)
	t.Cleanup(func() {
		m.kill(t)
		if t.Failed() {
			t.Logf("the manager's log:\n%s", m.logged(t))
		}
	})
	return m
}

// kill is kill -9.
func (m *process) kill(t *testing.T) {
	if err := m.Kill(); err != nil {
		t.Error(err)
	}
}

func (m *process) logged(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(m.log)
	must(t, err)
	return string(content)
}

// settles waits until an operation has arrived, all that has to be true then is, and the manager is
// at rest.
func (m *process) settles(t *testing.T, op operation, c *v1alpha1.OAuth2Client, before held) {
	t.Helper()
	m.quiet(t, func() bool { return op.settled(t, c, before) && told(t, c) && len(problems(t, op, c, before)) == 0 },
		func() string { return fmt.Sprintf("%v", problems(t, op, c, before)) })
}

// quiet waits until something has come about and the manager has written nothing for a while.
func (m *process) quiet(t *testing.T, done func() bool, lacks func() string) {
	t.Helper()
	count, since := -1, time.Now()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if writes := len(proxy.Writes()); writes != count {
			count, since = writes, time.Now()
		}
		if time.Since(since) > silence && done() {
			return
		}
	}
	t.Fatalf("not at rest within %s: %s", limit, lacks())
}

// diesOrSettles waits until a manager has died, and reports false if it is at rest before.
func (m *process) diesOrSettles(t *testing.T, died <-chan struct{}, done func() bool) bool {
	t.Helper()
	count, since := -1, time.Now()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		select {
		case <-died:
			return true
		case <-time.After(20 * time.Millisecond):
		}
		if writes := len(proxy.Writes()); writes != count {
			count, since = writes, time.Now()
		}
		if time.Since(since) > 20*silence && done() {
			return false
		}
	}
	t.Fatalf("not at rest within %s, after %d writes", limit, count)
	return false
}

// startOnSettled starts a manager. If all was at rest before, it writes nothing.
func startOnSettled(t *testing.T, environment ...string) *process {
	t.Helper()
	proxy.Reset()
	m := startManager(t, environment...)
	m.synced(t)
	if writes := proxy.Writes(); settled && len(writes) > 0 {
		t.Errorf("a run on a settled world writes: %v", writes)
	}
	settled = false
	return m
}

// synced waits until a manager that was just started has reconciled everything.
func (m *process) synced(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if strings.Count(m.logged(t), `"msg":"Starting workers"`) >= controllers {
			time.Sleep(silence)
			return
		}
	}
	t.Fatalf("the manager did not start within %s", limit)
}

// controllers is how many controllers a manager starts at least.
const controllers = 9

// held is what the cluster holds of a client.
type held struct {
	// secret is the value in the user's Secret, "" if there is none.
	secret string
	// owned is whether the OAuth2Client exists, registered whether its registration does.
	owned, registered bool
	client            oauth2.Client
}

func read(t *testing.T, c *v1alpha1.OAuth2Client) held {
	t.Helper()
	var h held
	var owner v1alpha1.OAuth2Client
	err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &owner)
	h.owned = err == nil && owner.DeletionTimestamp.IsZero()
	name := c.Name
	if c.Spec.Secret.Name != "" {
		name = c.Spec.Secret.Name
	}
	var secret corev1.Secret
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: c.Namespace, Name: name}, &secret); err == nil {
		h.secret = string(secret.Data["client_secret"])
	} else if !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	var stored corev1.Secret
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: registrationMeta(c).Namespace, Name: registrationMeta(c).Name}, &stored); err == nil {
		registered, err := registration.Decode(stored.Data)
		must(t, err)
		h.registered, h.client = true, registered.Client
	}
	return h
}

// told reports whether the status of a client agrees with its registration: until then there is one
// more write.
func told(t *testing.T, c *v1alpha1.OAuth2Client) bool {
	t.Helper()
	var owner v1alpha1.OAuth2Client
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &owner); err != nil {
		return apierrors.IsNotFound(err)
	}
	registered := read(t, c).client
	status := owner.Status
	kept := slices.DeleteFunc(slices.Clone(registered.Credentials.Verifiers), func(v oauth2.Verifier) bool { return v.Pending })
	// the status has an order of its own
	slices.SortFunc(kept, func(a, b oauth2.Verifier) int { return strings.Compare(a.ID, b.ID) })
	listed := slices.SortedFunc(slices.Values(status.Credentials), func(a, b v1alpha1.CredentialStatus) int { return strings.Compare(a.ID, b.ID) })
	return status.ObservedGeneration == owner.Generation && slices.EqualFunc(kept, listed, func(v oauth2.Verifier, s v1alpha1.CredentialStatus) bool {
		return v.ID == s.ID && v.CreatedAt.Unix() == s.CreatedAt.Unix() && v.ExpiresAt.Unix() == s.ExpiresAt.Unix()
	})
}

// exists reports whether there is a Secret of that name.
func exists(t *testing.T, namespace, name string) bool {
	t.Helper()
	err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// accepted reports whether the value in the user's Secret is.
func (h held) accepted() bool { return h.registered && h.accepts(h.secret) }

// accepts asks what the token server asks, about the credential alone.
func (h held) accepts(secret string) bool {
	c := h.client
	c.Suspended = false
	record := oauth2.Record{Client: &c, Owner: &oauth2.Owner{UID: c.UID}}
	presented := oauth2.Presented{Method: oauth2.ClientSecretBasic, Readings: []oauth2.Reading{{ClientID: c.ID, Secret: oauth2.NewSecret(secret)}}}
	_, _, err := oauth2.Authenticate(presented, func(string) oauth2.Record { return record }, time.Now())
	return err == nil
}

// prepare starts a manager and brings a client of its own to the state in which an operation
// begins.
func prepare(t *testing.T, op operation, environment ...string) (*v1alpha1.OAuth2Client, held, *process) {
	t.Helper()
	number++
	c := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("client-%d", number)}}
	c.Spec.Rotation.Overlap = op.overlap
	m := startOnSettled(t, environment...)
	if op.fresh {
		m.quiet(t, func() bool { return true }, func() string { return "it goes on writing" })
		return c, held{}, m
	}
	create(t, c)
	m.quiet(t, func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) && told(t, c)
	}, func() string { return "a new client is not ready" })
	return c, read(t, c), m
}

func create(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	must(t, cluster.Create(t.Context(), c))
}

func edit(t *testing.T, c *v1alpha1.OAuth2Client, change func()) {
	t.Helper()
	must(t, installation.Wait(t.Context(), "the change is accepted", func() (bool, error) {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		change()
		err := cluster.Update(t.Context(), c)
		if apierrors.IsConflict(err) { // the manager wrote meanwhile
			return false, nil
		}
		return err == nil, err
	}))
}

func registrationMeta(c *v1alpha1.OAuth2Client) metav1.ObjectMeta {
	name := registration.SecretName(c.ClientID())
	return metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: name}
}

// kindOf names what a write was about, for the name of a test.
func kindOf(w faults.Write) string {
	switch {
	case strings.Contains(w.Path, installation.RegistryNamespace):
		return "registration"
	case strings.HasSuffix(w.Path, "/status"):
		return "status"
	}
	return "Secret"
}

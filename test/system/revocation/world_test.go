// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revocation_test measures how revocations reach every replica of the token server's own binary, and that none is lost.
package revocation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const namespace = "revoking"

// What the tests of this package share. They run one after the other.
var (
	plane    *controlplane.ControlPlane
	cluster  client.Client
	hallpass *installation.Running
	program  string
	callers  []credentials
	// caller speaks HTTP/1.1 with as many connections as it likes.
	caller = &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
)

// credentials are those of a client.
type credentials struct{ id, secret string }

// setting is a size of a measurement: small in every run of the tests, in full by make bench-revoke.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	if os.Getenv(name) == "" {
		return otherwise
	}
	n, err := strconv.Atoi(os.Getenv(name))
	must(t, err)
	return n
}

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (_ int, err error) {
	ctx := context.Background()
	if program, err = installation.Program(ctx, filepath.Join("..", "..", ".."), "tokenserver"); err != nil {
		return 0, err
	}
	if plane, err = controlplane.Start(ctx, controlplane.Options{}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	if hallpass, err = installation.Run(ctx, plane, filepath.Join("..", "..", ".."), installation.Options{}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, hallpass.Stop()) }()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return 0, err
	}
	if cluster, err = client.New(plane.AdminConfig(), client.Options{Scheme: scheme}); err != nil {
		return 0, err
	}
	if err := register(ctx, 4); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// register makes clients.
func register(ctx context.Context, clients int) error {
	if err := cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return err
	}
	for i := range clients {
		object := &v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("caller-%d", i)}}
		if err := cluster.Create(ctx, object); err != nil {
			return err
		}
		var secret corev1.Secret
		err := installation.Wait(ctx, "a client has its Secret", func() (bool, error) {
			err := cluster.Get(ctx, client.ObjectKeyFromObject(object), &secret)
			return err == nil, client.IgnoreNotFound(err)
		})
		if err != nil {
			return err
		}
		callers = append(callers, credentials{string(secret.Data["client_id"]), string(secret.Data["client_secret"])})
	}
	return nil
}

// replica is a token server process.
type replica struct {
	address, ops, kubeconfig, log string
	command                       *exec.Cmd
	// began is when the process was started, and ready how long it took to be ready.
	began time.Time
	ready time.Duration
}

// newReplica starts a token server that reaches the API server by that kubeconfig.
func newReplica(t *testing.T, kubeconfig string) *replica {
	t.Helper()
	r := &replica{address: freeAddress(t), ops: freeAddress(t), kubeconfig: kubeconfig, log: filepath.Join(t.TempDir(), "log")}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

func kubeconfigOfServer(t *testing.T) string {
	t.Helper()
	kubeconfig, err := plane.ServiceAccountKubeconfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	return kubeconfig
}

func (r *replica) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer func() { _ = log.Close() }()
	r.command = exec.Command(program, "--issuer="+hallpass.Issuer.String(), "--kubeconfig="+r.kubeconfig, "--listen="+r.address, "--ops-listen="+r.ops, //nolint:noctx // ended by kill
		"--require-https=false", "--client-rate=5000", "--shutdown-lag=0s")
	r.command.Env = append(os.Environ(), "GOMEMLIMIT=200MiB") // as config/tokenserver/deployment.yaml has it
	r.command.Stdout, r.command.Stderr = log, log
	r.began = time.Now()
	must(t, r.command.Start())
	for deadline := time.Now().Add(patience); !installation.Ready(t.Context(), "http://"+r.ops); {
		if time.Now().After(deadline) {
			t.Fatal("the replica does not get ready")
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.ready = time.Since(r.began)
}

// kill ends the process as kill -9 does.
func (r *replica) kill(t *testing.T) {
	t.Helper()
	_ = r.command.Process.Kill()
	_ = r.command.Wait()
}

// memory is what the process keeps resident, in bytes.
func (r *replica) memory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.command.Process.Pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	must(t, err)
	return kilobytes << 10
}

// post sends a form as a client.
func (r *replica) post(as credentials, path string, form url.Values) (int, []byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(as.id, as.secret)
	return send(request)
}

// honours asks as a proxy does whether a token is good.
func (r *replica) honours(token string) (bool, error) {
	audience := url.QueryEscape(hallpass.Issuer.NamespaceAudience(namespace))
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+r.address+"/forward-auth?audience="+audience, http.NoBody)
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	status, body, err := send(request)
	if err == nil && status != http.StatusOK && status != http.StatusUnauthorized {
		err = fmt.Errorf("forward-auth: %d %s", status, body)
	}
	return status == http.StatusOK, err
}

func send(request *http.Request) (int, []byte, error) {
	response, err := caller.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// issued is a token and whose it is.
type issued struct {
	token string
	to    credentials
}

// fetch gets tokens, some at a time.
func fetch(t *testing.T, r *replica, n int) []issued {
	t.Helper()
	tokens := make([]issued, n)
	var fetching sync.WaitGroup
	for worker := range 8 {
		fetching.Go(func() {
			for i := worker; i < n; i += 8 {
				to := callers[i%len(callers)]
				status, body, err := r.post(to, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
				var answer struct {
					Token string `json:"access_token"`
				}
				if err = errors.Join(err, json.NewDecoder(bytes.NewReader(body)).Decode(&answer)); err != nil || status != http.StatusOK {
					t.Errorf("fetch a token: %d %v", status, err)
					return
				}
				tokens[i] = issued{answer.Token, to}
			}
		})
	}
	fetching.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return tokens
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := installation.FreeAddress()
	must(t, err)
	return address
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

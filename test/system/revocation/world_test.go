// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package revocation_test measures how revocations reach every replica of the token server's own
// binary, and that none is lost.
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

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const namespace = "revoking"

// What the tests of this package share. They run one after the other.
var (
	plane    *controlplane.ControlPlane
	cluster  client.Client
	hallpass *installation.Running
	program  string
	callers  []world.Caller
	// caller speaks HTTP/1.1 with as many connections as it likes.
	caller = &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}

	must, freeAddress = world.Must, world.FreeAddress
)

func TestMain(m *testing.M) {
	world.Main(world.Options{Installation: installation.Options{LoginURL: loginURL}}, func(ctx context.Context, w *world.World) (_ int, err error) {
		plane, cluster, hallpass = w.Plane, w.Cluster, w.Hallpass
		if program, err = installation.Program(ctx, "../../..", "tokenserver"); err != nil {
			return 0, err
		}
		if callers, err = w.NewCallers(ctx, namespace, 4); err != nil {
			return 0, err
		}
		return m.Run(), nil
	})
}

// replica is a token server process.
type replica struct {
	address, ops, kubeconfig, log string
	// login is the address of the port for login; empty for none.
	login   string
	command *exec.Cmd
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
	var more []string
	if r.login != "" {
		more = []string{"--login-url=" + loginURL, "--login-listen=" + r.login}
	}
	r.command = exec.Command(program, append(more, "--issuer="+hallpass.Issuer.String(), "--kubeconfig="+r.kubeconfig, "--listen="+r.address, "--ops-listen="+r.ops, //nolint:noctx // ended by kill
		"--require-https=false", "--client-rate=5000", "--shutdown-lag=0s")...)
	limit, err := installation.MemoryLimit(filepath.Join("..", "..", ".."), "tokenserver")
	must(t, err)
	r.command.Env = append(os.Environ(), limit)
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
func (r *replica) post(as world.Caller, path string, form url.Values) (int, []byte, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(as.ID, as.Secret)
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
	to    world.Caller
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

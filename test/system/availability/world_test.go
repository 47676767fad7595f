// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package availability_test keeps real token server processes busy while what they stand on goes
// away, comes back, or is replaced.
package availability_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

const (
	root      = "../../.."
	namespace = "alive"
	clients   = 4
	limit     = 3 * time.Minute
)

// What the tests of this package share. They run one after the other.
var (
	shared   *world.World
	plane    *controlplane.ControlPlane
	cluster  client.Client
	hallpass *installation.Running
	// programs are the token server by the versions of its build.
	programs map[string]string
	callers  []world.Caller

	must, eventually, freeAddress = world.Must, world.Eventually, world.FreeAddress
)

func TestMain(m *testing.M) {
	world.Main(world.Options{}, func(ctx context.Context, w *world.World) (_ int, err error) {
		shared, plane, cluster, hallpass = w, w.Plane, w.Cluster, w.Hallpass
		programs = map[string]string{}
		for _, version := range []string{"v1.0.0", "v1.1.0"} {
			if programs[version], err = installation.Program(ctx, root, "tokenserver", version); err != nil {
				return 0, err
			}
		}
		if callers, err = w.NewCallers(ctx, namespace, clients); err != nil {
			return 0, err
		}
		return m.Run(), nil
	})
}

// replica is a token server process and the volumes of its pod.
type replica struct {
	program, kubeconfig string
	address, ops        string
	snapshot            string
	lag                 time.Duration
	// certificates is the directory that the serving certificate is mounted in.
	certificates string
	log          string
	command      *exec.Cmd
	ended        chan error
}

// newReplica starts a token server of that version with new volumes. It has stopped when the test
// has.
func newReplica(t *testing.T, version string, change ...func(*replica)) *replica {
	t.Helper()
	kubeconfig, err := plane.ServiceAccountKubeconfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	dir := t.TempDir()
	r := &replica{
		program: programs[version], kubeconfig: kubeconfig, address: freeAddress(t), ops: freeAddress(t),
		snapshot: filepath.Join(dir, "snapshot"), certificates: filepath.Dir(hallpass.CAFile), log: filepath.Join(dir, "log"),
	}
	for _, c := range change {
		c(r)
	}
	r.start(t)
	return r
}

// start starts the process, at first or after its end, as a kubelet starts a container: with the
// same volumes.
func (r *replica) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer func() { _ = log.Close() }()
	r.command = exec.Command(r.program, "--issuer="+hallpass.Issuer.String(), "--kubeconfig="+r.kubeconfig, //nolint:noctx // ended below
		"--listen="+r.address, "--ops-listen="+r.ops, "--client-rate=100000", "--snapshot-file="+r.snapshot, "--shutdown-lag="+r.lag.String(),
		"--tls-cert-file="+filepath.Join(r.certificates, "tls.crt"), "--tls-key-file="+filepath.Join(r.certificates, "tls.key"))
	r.command.Stdout, r.command.Stderr = log, log
	must(t, r.command.Start())
	command, ended := r.command, make(chan error, 1)
	r.ended = ended
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		select {
		case err := <-ended:
			ended <- err
		case <-time.After(limit):
		}
		if t.Failed() {
			content, _ := os.ReadFile(r.log)
			var refusals []byte
			for line := range bytes.Lines(content) {
				if bytes.Contains(line, []byte(`"outcome":"refused"`)) {
					refusals = append(refusals, line...)
				}
			}
			t.Logf("refused by %s:\n%s\nthe end of its log:\n%s", r.address, refusals[max(0, len(refusals)-6000):], content[max(0, len(content)-3000):])
		}
	})
}

// kill is kill -9; it returns when the process is gone.
func (r *replica) kill(t *testing.T) {
	t.Helper()
	if err := r.end(t, syscall.SIGKILL); err == nil {
		t.Error("a token server that was killed ended well")
	}
}

// stop asks the process to end and returns when it has, which must be a success.
func (r *replica) stop(t *testing.T) {
	t.Helper()
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("a token server that was asked to stop ended with %v", err)
	}
}

func (r *replica) end(t *testing.T, signal syscall.Signal) error {
	t.Helper()
	must(t, r.command.Process.Signal(signal))
	select {
	case err := <-r.ended:
		r.ended <- nil
		return err
	case <-time.After(limit):
		t.Fatalf("the process did not end after %s", signal)
		return nil
	}
}

// ready reports whether the readiness probe succeeds.
func (r *replica) ready(ctx context.Context) bool { return installation.Ready(ctx, "http://"+r.ops) }

func (r *replica) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, "a token server is ready", func() bool { return r.ready(t.Context()) })
}

// opsPage is a page of the ops port, or "" without an answer.
func (r *replica) opsPage(t *testing.T, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.ops+path, http.NoBody)
	must(t, err)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	return string(body)
}

// metric is the value of a metric without labels; it is not a number without an answer.
func (r *replica) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(r.opsPage(t, "/metrics")) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			must(t, err)
			return number
		}
	}
	return math.NaN()
}

// keyIDs are the kids of the JWK set of an address.
func keyIDs(t *testing.T, address string) []string {
	t.Helper()
	answer := newCall(t, address).get("/oauth2/jwks")
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
		} `json:"keys"`
	}
	must(t, json.Unmarshal([]byte(answer), &set))
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.KID)
	}
	return ids
}

// pause waits for a while.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

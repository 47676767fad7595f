// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInstalledEnvtest(t *testing.T) {
	platform := "-" + runtime.GOOS + "-" + runtime.GOARCH
	for name, test := range map[string]struct {
		installed []string // directories with all programs
		broken    []string // directories without kube-apiserver
		want      string
	}{
		"nothing is installed":                    {},
		"the newest patch version is taken":       {installed: []string{"1.37.0", "1.37.9", "1.37.10"}, want: "1.37.10"},
		"another minor version does not serve":    {installed: []string{"1.36.4", "1.3.7"}},
		"a directory that lacks a program is not": {installed: []string{"1.37.1"}, broken: []string{"1.37.2"}, want: "1.37.1"},
	} {
		t.Run(name, func(t *testing.T) {
			store := t.TempDir()
			for _, version := range append(test.installed, test.broken...) {
				writeProgram(t, filepath.Join(store, "k8s", version+platform, roleEtcd), "")
			}
			for _, version := range test.installed {
				writeProgram(t, filepath.Join(store, "k8s", version+platform, roleAPIServer), "")
			}
			want := test.want
			if want != "" {
				want = filepath.Join(store, "k8s", want+platform)
			}
			dir, found := installedEnvtest(store)
			if dir != want || found != (want != "") {
				t.Errorf("found %q (%t), want %q", dir, found, want)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	if reachable(t.Context(), server.URL) {
		t.Error("a server that does not have the page is reachable")
	}
	server.Close()
	if reachable(t.Context(), server.URL) {
		t.Error("a server that is down is reachable")
	}
}

func TestProgramsBesideNeedsEtcdAndTheAPIServer(t *testing.T) {
	dir := t.TempDir()
	b := builder{cache: t.TempDir(), progress: t.Output()}
	writeProgram(t, filepath.Join(b.cache, controllersProgram), "")
	writeProgram(t, filepath.Join(dir, roleEtcd), "")
	writeProgram(t, filepath.Join(dir, roleKubectl), "")
	if _, err := b.beside(t.Context(), dir); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "KUBEBUILDER_ASSETS") {
		t.Errorf("without an API server: %v, want a word about KUBEBUILDER_ASSETS", err)
	}
	writeProgram(t, filepath.Join(dir, roleAPIServer), "")
	assets, err := b.beside(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Assets{
		Etcd: filepath.Join(dir, roleEtcd), APIServer: filepath.Join(dir, roleAPIServer),
		Controllers: filepath.Join(b.cache, controllersProgram), Kubectl: filepath.Join(dir, roleKubectl),
	}
	if diff := cmp.Diff(want, assets); diff != "" {
		t.Errorf("programs (-want +got):\n%s", diff)
	}
}

func TestOneBuildsAndOthersWait(t *testing.T) {
	b := builder{cache: t.TempDir(), progress: t.Output()}
	first, err := b.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := b.lock(impatient); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want to wait until the deadline", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := b.lock(t.Context())
	if err != nil {
		t.Fatalf("after the first was released: %v", err)
	}
	_ = second.Close()
}

// TestBuild builds a small program in the place of the big one.
func TestBuild(t *testing.T) {
	b := builder{source: t.TempDir(), cache: t.TempDir(), progress: &bytes.Buffer{}}
	writeProgram(t, filepath.Join(b.source, "go.mod"), "module example\n\ngo 1.26.0\n")
	writeProgram(t, filepath.Join(b.source, "main.go"), "package main\n\nfunc main() { println(\"first\") }\n")
	if err := b.ensure(t.Context(), fusedProgram, "."); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), filepath.Join(b.cache, roleKubectl)).CombinedOutput()
	if err != nil || string(output) != "first\n" {
		t.Errorf("the program called kubectl prints %q: %v", output, err)
	}

	writeProgram(t, filepath.Join(b.source, "main.go"), "package main\n\nfunc main() { nonsense }\n")
	if err := b.ensure(t.Context(), fusedProgram, "."); err != nil {
		t.Errorf("what is built is built again: %v", err)
	}
	b.cache = t.TempDir()
	if err := b.ensure(t.Context(), fusedProgram, "."); err == nil || !strings.Contains(err.Error(), "undefined: nonsense") {
		t.Errorf("a build that fails: %v, want the compiler's reason", err)
	}
	if b.has(fusedProgram) {
		t.Error("a build that failed left a program")
	}
}

func TestCacheDirChangesWithWhatIsBuilt(t *testing.T) {
	source := t.TempDir()
	writeProgram(t, filepath.Join(source, "go.sum"), "one")
	one, err := cacheDir(source)
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, filepath.Join(source, "main.go~"), "an editor's copy")
	if same, err := cacheDir(source); err != nil || same != one {
		t.Errorf("with a file that is not built: %s, %v; want %s", same, err, one)
	}
	writeProgram(t, filepath.Join(source, "go.sum"), "two")
	if two, err := cacheDir(source); err != nil || two == one {
		t.Errorf("with other sums: %s, %v; want another", two, err)
	}
}

func TestEstimateLeft(t *testing.T) {
	const packages = 2400
	atFirst := estimateLeft(packages, 1, time.Minute)
	if whole := estimate(packages); atFirst < whole-20*time.Second || atFirst > whole+20*time.Second {
		t.Errorf("after one package that took long: %s, want about %s", atFirst, whole)
	}
	if late, want := estimateLeft(packages, packages-100, 2300*time.Second), 110*time.Second; late < want-10*time.Second || late > want+10*time.Second {
		t.Errorf("with a hundred packages left of a second each: %s, want about %s", late, want)
	}
}

func TestReservedPortsDiffer(t *testing.T) {
	seen := map[int]bool{}
	for range 20 {
		p, err := reservePort()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.release() })
		if seen[p.number] {
			t.Errorf("port %d was given twice", p.number)
		}
		seen[p.number] = true
	}
}

func TestKeepFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var renewals []time.Duration
		go keepFresh(ctx, 30*time.Minute, 5*time.Second, func(context.Context) error {
			if renewals = append(renewals, time.Since(began)); len(renewals) == 2 {
				return errors.New("the API server is away")
			}
			return nil
		})
		<-time.After(100 * time.Minute) // of the bubble's clock
		cancel()
		synctest.Wait()
		want := []time.Duration{30 * time.Minute, time.Hour, time.Hour + 5*time.Second, 90*time.Minute + 5*time.Second}
		if diff := cmp.Diff(want, renewals); diff != "" {
			t.Errorf("renewals (-want +got):\n%s", diff)
		}
	})
}

func TestAuditEvents(t *testing.T) {
	cp := &ControlPlane{dir: t.TempDir()}
	writeProgram(t, cp.AuditLog(), `{"verb":"patch","user":{"username":"anne"},"objectRef":{"resource":"secrets","name":"s"},"responseStatus":{"code":200}}
{"verb":"create","objectRef":{"apiGroup":"authorization.k8s.io","resource":"subjectaccessreviews"}}
{"verb":"get","objectRef":{"resource":"secrets"}}
{"verb":"upd`)
	events, err := cp.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var writes []string
	for _, event := range events {
		if event.IsWrite() {
			writes = append(writes, event.User.Name+" "+event.Verb+" "+event.Object.Resource+"/"+event.Object.Name)
		}
	}
	if diff := cmp.Diff([]string{"anne patch secrets/s"}, writes); diff != "" || len(events) != 3 {
		t.Errorf("%d events, want 3; writes (-want +got):\n%s", len(events), diff)
	}
}

func writeProgram(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

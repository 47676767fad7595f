// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// setup-envtest is run as it is released; go run checks it against the checksum database.
const (
	setupEnvtest    = "sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1"
	envtestVersions = "1.37.x"
	envtestIndex    = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"

	probeTimeout = 3 * time.Second
	// to compile setup-envtest and download about 100 MB; a build would take longer.
	envtestTimeout = 3 * time.Minute
)

// envtest finds a directory of finished programs that setup-envtest has installed or can download.
func (b builder) envtest(ctx context.Context) (dir string, found bool) {
	if dir, found = installedEnvtest(envtestStore()); found {
		return dir, true
	}
	if !reachable(ctx, envtestIndex) {
		b.say("setup-envtest has installed none of version %s and cannot reach its index", envtestVersions)
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, envtestTimeout)
	defer cancel()
	b.say("downloading finished programs with setup-envtest")
	command := exec.CommandContext(ctx, "go", "run", setupEnvtest, "use", envtestVersions, "-p", "path")
	command.Dir = os.TempDir() // outside of any module, whose versions are not for this tool
	output, err := command.Output()
	if dir = strings.TrimSpace(string(output)); err != nil || dir == "" {
		b.say("setup-envtest could not download any")
		return "", false
	}
	return dir, true
}

// envtestStore is where setup-envtest keeps what it has installed.
func envtestStore() string {
	home, _ := os.UserHomeDir() // without one nothing is installed
	if data := os.Getenv("XDG_DATA_HOME"); data != "" {
		return filepath.Join(data, "kubebuilder-envtest")
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "io.kubebuilder.envtest")
	}
	return filepath.Join(home, ".local", "share", "kubebuilder-envtest")
}

// installedEnvtest looks for the newest patch version with all that is needed. To look is faster
// than to compile setup-envtest and ask it.
func installedEnvtest(store string) (dir string, found bool) {
	pattern := strings.TrimSuffix(envtestVersions, "x") + "*-" + runtime.GOOS + "-" + runtime.GOARCH
	// fails only for a wrong pattern
	dirs, _ := filepath.Glob(filepath.Join(store, "k8s", pattern))
	slices.SortFunc(dirs, func(a, b string) int {
		if len(a) != len(b) { // 1.37.10 is newer than 1.37.9
			return len(b) - len(a)
		}
		return strings.Compare(b, a)
	})
	for _, dir := range dirs {
		_, etcdErr := os.Stat(filepath.Join(dir, "etcd"))
		_, serverErr := os.Stat(filepath.Join(dir, "kube-apiserver"))
		if etcdErr == nil && serverErr == nil {
			return dir, true
		}
	}
	return "", false
}

// reachable is whether something answers there well and soon. On a closed network that is the only
// request made.
func reachable(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

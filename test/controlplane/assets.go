// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// KubernetesVersion is the version of everything that is built here; envtest binaries of the same minor version serve too.
const KubernetesVersion = "1.37.2"

const (
	envtestTimeout   = 90 * time.Second // setup-envtest is compiled first, on a machine that has never seen it
	progressInterval = 10 * time.Second
)

// Assets are the programs of a control plane, each as the beginning of a command line.
type Assets struct {
	Etcd, APIServer, Controllers []string
	// Kubectl is one path, for people to type.
	Kubectl string
}

// FindAssets finds the programs in KUBEBUILDER_ASSETS, in the cache, or with setup-envtest, and else builds them.
func FindAssets(ctx context.Context, progress io.Writer) (Assets, error) {
	source, err := sourceDir(ctx)
	if err != nil {
		return Assets{}, err
	}
	cache, err := cacheDir(source)
	if err != nil {
		return Assets{}, err
	}
	build := builder{source: source, cache: cache, progress: progress}
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return build.beside(ctx, dir)
	}
	if build.has(fusedProgram) {
		return fused(cache), nil
	}
	unlock, err := build.lock()
	if err != nil {
		return Assets{}, err
	}
	defer unlock()
	if !build.has(fusedProgram) {
		if dir, found := build.envtest(ctx); found {
			return build.beside(ctx, dir)
		}
		if err := build.program(ctx, fusedProgram, "."); err != nil {
			return Assets{}, err
		}
	}
	return fused(cache), nil
}

// The programs that hack/controlplane builds into: all roles in one, and the controllers alone.
const (
	fusedProgram       = "controlplane"
	controllersProgram = "controllers"
)

func fused(dir string) Assets {
	program := filepath.Join(dir, fusedProgram)
	return Assets{
		Etcd: []string{program, "etcd"}, APIServer: []string{program, "kube-apiserver"},
		Controllers: []string{program, "controllers"}, Kubectl: filepath.Join(dir, "kubectl"),
	}
}

// builder builds from hack/controlplane into a directory that is named by what it is built from.
type builder struct {
	source, cache string
	progress      io.Writer
}

// beside completes the etcd and kube-apiserver of a directory, as envtest lays them out, with controllers of our own.
func (b builder) beside(ctx context.Context, dir string) (Assets, error) {
	assets := Assets{
		Etcd: []string{filepath.Join(dir, "etcd")}, APIServer: []string{filepath.Join(dir, "kube-apiserver")},
		Kubectl: filepath.Join(dir, "kubectl"), Controllers: []string{filepath.Join(b.cache, controllersProgram)},
	}
	for _, program := range []string{assets.Etcd[0], assets.APIServer[0], assets.Kubectl} {
		if _, err := os.Stat(program); err != nil {
			return Assets{}, fmt.Errorf("%s is not there; point KUBEBUILDER_ASSETS at a directory that has etcd, kube-apiserver and kubectl, or unset it: %w", program, err)
		}
	}
	if b.has(controllersProgram) {
		return assets, nil
	}
	unlock, err := b.lock()
	if err != nil {
		return Assets{}, err
	}
	defer unlock()
	if b.has(controllersProgram) {
		return assets, nil
	}
	return assets, b.program(ctx, controllersProgram, "./cmd/controllers")
}

func (b builder) has(program string) bool {
	_, err := os.Stat(filepath.Join(b.cache, program))
	return err == nil
}

// lock lets one process build while others that want the same wait.
func (b builder) lock() (unlock func(), err error) {
	if err := os.MkdirAll(b.cache, 0o750); err != nil {
		return nil, fmt.Errorf("make the cache directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(b.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the cache's lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the cache: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// envtest asks setup-envtest for a directory of finished programs, installed or downloaded. It gives up when that cannot be
// had; the build that follows can.
func (b builder) envtest(ctx context.Context) (dir string, found bool) {
	ctx, cancel := context.WithTimeout(ctx, envtestTimeout)
	defer cancel()
	root := filepath.Dir(filepath.Dir(b.source))
	b.say("looking for finished programs with setup-envtest")
	command := exec.CommandContext(ctx, "go", "tool", "-modfile="+filepath.Join(root, "hack", "tools", "go.mod"), "setup-envtest",
		"use", KubernetesVersion, "-p", "path")
	command.Dir = root
	output, err := command.Output()
	if dir = strings.TrimSpace(string(output)); err != nil || dir == "" {
		b.say("setup-envtest has none and cannot download any here")
		return "", false
	}
	return dir, true
}

// program builds one package of hack/controlplane and moves the result into the cache in one step. What go build has
// compiled stays in Go's own cache, so a build that was interrupted goes on where it was.
func (b builder) program(ctx context.Context, program, pkg string) error {
	b.say("building %s of Kubernetes %s from source; this is done once", program, KubernetesVersion)
	started := time.Now()
	stale, err := b.stalePackages(ctx, pkg)
	if err != nil {
		return err
	}
	b.say("%d packages to compile; allow about %s on two free cores", stale, estimate(stale))
	partial := filepath.Join(b.cache, program+".partial")
	command := b.goCommand(ctx, "build", append(buildFlags(), "-v", "-o", partial, pkg)...)
	compiled, err := command.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", program, err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("build %s: %w", program, err)
	}
	rest := b.follow(compiled, stale, started)
	if err := command.Wait(); err != nil {
		return fmt.Errorf("build %s: %w: %s", program, err, rest)
	}
	if program == fusedProgram {
		if err := symlink(program, filepath.Join(b.cache, "kubectl")); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, filepath.Join(b.cache, program)); err != nil {
		return fmt.Errorf("keep %s: %w", program, err)
	}
	b.say("built %s in %s", program, time.Since(started).Round(time.Second))
	return nil
}

// stalePackages counts what go build will have to compile; it downloads the modules on the way.
func (b builder) stalePackages(ctx context.Context, pkg string) (int, error) {
	command := b.goCommand(ctx, "list", append(buildFlags(), "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", pkg)...)
	command.Stderr = nil
	output, err := command.Output()
	if err != nil {
		return 0, fmt.Errorf("list the packages of the control plane: %w", err)
	}
	return len(strings.Fields(string(output))), nil
}

// follow prints how far the build is. It returns the last lines that are no package names: the errors, if any.
func (b builder) follow(compiled io.Reader, total int, started time.Time) string {
	var other []string
	count, said := 0, time.Now()
	for scanner := bufio.NewScanner(compiled); scanner.Scan(); {
		line := scanner.Text()
		if strings.ContainsAny(line, " \t") {
			other = append(other, line)
			continue
		}
		if count++; time.Since(said) >= progressInterval {
			said = time.Now()
			b.say("%d of %d packages compiled after %s", count, total, time.Since(started).Round(time.Second))
		}
		if count == total {
			b.say("linking")
		}
	}
	return strings.Join(other[max(0, len(other)-10):], "\n")
}

func (b builder) goCommand(ctx context.Context, verb string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", append([]string{verb}, args...)...) //nolint:gosec // arguments of our own
	command.Dir = b.source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	return command
}

func (b builder) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, "control plane: "+format+"\n", args...)
}

// buildFlags are how Kubernetes builds its releases; the version makes the API server report the right one.
func buildFlags() []string {
	version := "v" + KubernetesVersion
	var linker strings.Builder
	linker.WriteString("-s -w")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		fmt.Fprintf(&linker, " -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=37 -X %s.gitTreeState=clean", pkg, version, pkg, pkg, pkg)
	}
	return []string{"-mod=readonly", "-trimpath", "-tags=notest,grpcnotrace", "-ldflags=" + linker.String()}
}

// estimate is the time that a build from nothing took on two free cores, shared out by packages.
func estimate(packages int) time.Duration {
	return (10*time.Second + time.Duration(packages)*300*time.Millisecond).Round(10 * time.Second)
}

// sourceDir is hack/controlplane of the module that the caller works in.
func sourceDir(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the root of the module: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(output)), "hack", "controlplane"), nil
}

// cacheDir names the place of finished programs after everything that they are built from.
func cacheDir(source string) (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache directory: %w", err)
	}
	hash := sha256.New()
	_, _ = fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, buildFlags())
	err = filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		_, _ = fmt.Fprintln(hash, strings.TrimPrefix(path, source), len(content))
		_, _ = hash.Write(content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the sources of the control plane: %w", err)
	}
	return filepath.Join(user, "hallpass", "controlplane", hex.EncodeToString(hash.Sum(nil))[:16]), nil
}

func symlink(target, path string) error {
	if err := os.Symlink(target, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link %s: %w", path, err)
	}
	return nil
}

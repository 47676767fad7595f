// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
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

// KubernetesVersion is the version of everything that is built here; envtest binaries of the same
// minor version serve too.
const KubernetesVersion = "1.37.2"

// Assets are the paths of a control plane's programs.
type Assets struct{ Etcd, APIServer, Controllers, Kubectl string }

// FindAssets finds the programs in KUBEBUILDER_ASSETS, in the cache, or with setup-envtest, and
// else builds them, which takes minutes and is done once.
func FindAssets(ctx context.Context, progress io.Writer) (Assets, error) {
	source, err := sourceDir(ctx)
	if err != nil {
		return Assets{}, err
	}
	cache, err := cacheDir(source)
	if err != nil {
		return Assets{}, err
	}
	b := builder{source: source, cache: cache, progress: progress}
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return b.beside(ctx, dir)
	}
	if b.has(fusedProgram) {
		return fused(cache), nil
	}
	if dir, found := b.envtest(ctx); found {
		return b.beside(ctx, dir)
	}
	return fused(cache), b.ensure(ctx, fusedProgram, ".")
}

// The programs that hack/controlplane builds into: all roles in one, which are selected by the
// names of links to it, and the controllers alone.
const (
	fusedProgram       = "controlplane"
	controllersProgram = "controllers"
)

// The names of the roles, as envtest has them too, but for the controllers.
const (
	roleEtcd      = "etcd"
	roleAPIServer = "kube-apiserver"
	roleKubectl   = "kubectl"
)

func fused(dir string) Assets {
	return Assets{
		Etcd: filepath.Join(dir, roleEtcd), APIServer: filepath.Join(dir, roleAPIServer),
		Controllers: filepath.Join(dir, controllersProgram), Kubectl: filepath.Join(dir, roleKubectl),
	}
}

// beside completes the etcd and kube-apiserver of a directory, as envtest lays them out, with
// controllers of our own. Where that directory has no kubectl, the one in PATH will do.
func (b builder) beside(ctx context.Context, dir string) (Assets, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Assets{}, fmt.Errorf("find the programs of the control plane: %w", err)
	}
	assets := fused(dir)
	assets.Controllers = filepath.Join(b.cache, controllersProgram)
	for _, program := range []string{assets.Etcd, assets.APIServer} {
		if _, err := os.Stat(program); err != nil {
			return Assets{}, fmt.Errorf("%w: point KUBEBUILDER_ASSETS at a directory that has etcd and kube-apiserver, or unset it", err)
		}
	}
	if _, err := os.Stat(assets.Kubectl); err != nil {
		if assets.Kubectl, err = exec.LookPath(roleKubectl); err != nil {
			return Assets{}, fmt.Errorf("find kubectl, which is not in %s either: %w", dir, err)
		}
	}
	return assets, b.ensure(ctx, controllersProgram, "./cmd/controllers")
}

func (b builder) has(program string) bool {
	_, err := os.Stat(filepath.Join(b.cache, program))
	return err == nil
}

// ensure builds a program unless it is there. One process builds; others that want the same wait
// for it.
func (b builder) ensure(ctx context.Context, program, pkg string) error {
	if b.has(program) {
		return nil
	}
	lock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if b.has(program) {
		return nil
	}
	return b.build(ctx, program, pkg)
}

func (b builder) lock(ctx context.Context) (io.Closer, error) {
	if err := os.MkdirAll(b.cache, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache directory: %w", err)
	}
	for said := false; ; said = true {
		lock, err := lockFile(filepath.Join(b.cache, "lock"))
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return lock, err
		}
		if !said {
			b.say("another process is building it; waiting")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process to build the control plane: %w", ctx.Err())
		case <-time.After(lockInterval):
		}
	}
}

// sourceDir is hack/controlplane of the module that the caller works in.
func sourceDir(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "go", "env", "GOMOD")
	command.Env = append(os.Environ(), "GOWORK=off")
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("find the root of the module: %w", err)
	}
	source := filepath.Join(filepath.Dir(strings.TrimSpace(string(output))), "hack", "controlplane")
	if _, err := os.Stat(source); err != nil {
		return "", fmt.Errorf("find the sources of the control plane from inside the repository: %w", err)
	}
	return source, nil
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
		name := entry.Name()
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".go" && name != "go.mod" && name != "go.sum" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		_, _ = fmt.Fprintln(hash, strings.TrimPrefix(path, source), len(content))
		_, _ = hash.Write(content)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read the sources of the control plane: %w", err)
	}
	return filepath.Join(user, "hallpass", "controlplane", hex.EncodeToString(hash.Sum(nil))[:16]), nil
}

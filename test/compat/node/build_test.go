// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
)

const (
	root = "../../.."
	// version is the chart's appVersion, so that the chart finds the images by default.
	version  = "v0.1.0"
	appImage = "hallpass.test/app"
)

// program is something that is built from a module below hack/node.
type program struct {
	module, pkg, name string
	flags             []string
	// links are further names, by which the program is called.
	links []string
}

// small leaves out what only a debugger or the last tenth of speed needs, and with it much of the
// time of the compilation.
var small = []string{"-trimpath", "-gcflags=all=-dwarf=false -l", "-ldflags=-s -w"}

func programs() []program {
	var linker strings.Builder
	linker.WriteString("-ldflags=-s -w")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		fmt.Fprintf(&linker, " -X %s.gitVersion=v%s -X %s.gitMajor=1 -X %s.gitMinor=37 -X %s.gitTreeState=clean", pkg, controlplane.KubernetesVersion, pkg, pkg, pkg)
	}
	runtimeFlags := append([]string{"-tags=no_btrfs,no_devmapper,no_zfs,netgo,osusergo"}, small...)
	const containerd, plugins = "github.com/containerd/containerd/v2/cmd/", "github.com/containernetworking/plugins/plugins/"
	return []program{
		{
			module: "kubernetes", pkg: ".", name: "kubernetes", links: []string{"kubelet", "kube-proxy", "kube-scheduler", "node-controllers"},
			// As the control plane is built, so that both share what is compiled.
			flags: []string{"-trimpath", "-tags=notest,grpcnotrace", "-gcflags=all=-dwarf=false", "-gcflags=k8s.io/...=-dwarf=false -l", linker.String()},
		},
		{module: "coredns", pkg: ".", name: "coredns", flags: append([]string{"-tags=grpcnotrace"}, small...)},
		{module: "cni", pkg: plugins + "main/bridge", name: "bridge", flags: small},
		{module: "cni", pkg: plugins + "main/loopback", name: "loopback", flags: small},
		{module: "cni", pkg: plugins + "ipam/host-local", name: "host-local", flags: small},
		{module: "containerd", pkg: containerd + "containerd-shim-runc-v2", name: "containerd-shim-runc-v2", flags: runtimeFlags},
		{module: "containerd", pkg: containerd + "ctr", name: "ctr", flags: runtimeFlags},
		{module: "containerd", pkg: containerd + "containerd", name: "containerd", flags: runtimeFlags},
	}
}

// buildPrograms builds what the user's cache does not have yet, and links all of it into dir/bin.
func buildPrograms(ctx context.Context, dir string) error {
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for _, p := range programs() {
		built, err := p.ensure(ctx)
		if err != nil {
			return err
		}
		// Hard links and copies would do as well; what a container mounts must not be a
		// symbolic link to elsewhere.
		if err := copyFile(built, filepath.Join(bin, p.name)); err != nil {
			return err
		}
		for _, link := range p.links {
			if err := os.Symlink(p.name, filepath.Join(bin, link)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensure builds the program unless it is there, under a name made of what it is built from.
func (p program) ensure(ctx context.Context) (string, error) {
	key, err := p.key()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "hallpass", "node", key)
	file := filepath.Join(cache, p.name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	say("building %s of hack/node/%s, once for this machine; from nothing it takes minutes", p.name, p.module)
	started := time.Now()
	partial := fmt.Sprintf("%s.%d", file, os.Getpid())
	command := exec.CommandContext(ctx, "go", append(append([]string{"build", "-mod=readonly", "-o", partial}, p.flags...), p.pkg)...)
	command.Dir = filepath.Join(root, "hack", "node", p.module)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", p.name, err, output)
	}
	say("built %s in %s", p.name, time.Since(started).Round(time.Second))
	return file, os.Rename(partial, file)
}

func (p program) key() (string, error) {
	hash := sha256.New()
	_, _ = fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, p.flags)
	source := filepath.Join(root, "hack", "node", p.module)
	err := filepath.WalkDir(source, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", entry.Name(), len(content), content)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:16], err
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// buildImages builds the images that a release has, and that of the apps, and packs each for the
// container runtime.
func buildImages(ctx context.Context, dir string) error {
	images := filepath.Join(dir, "images")
	command := exec.CommandContext(ctx, "go", "run", "./hack/image", "-out", images, "-version", version, "-platforms", "linux/"+runtime.GOARCH,
		"-programs", "./cmd/manager,./cmd/tokenserver,./test/compat/node/app")
	command.Dir, command.Stderr, command.Stdout = root, os.Stderr, os.Stdout
	if err := command.Run(); err != nil {
		return fmt.Errorf("build the images: %w", err)
	}
	for _, name := range []string{"manager", "tokenserver", "app"} {
		command := exec.CommandContext(ctx, "tar", "-C", filepath.Join(images, name), "-cf", filepath.Join(images, name+".tar"), ".")
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("pack the image %s: %w: %s", name, err, output)
		}
	}
	return nil
}

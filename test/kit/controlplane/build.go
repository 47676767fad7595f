// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	progressInterval = 10 * time.Second
	lockInterval     = 500 * time.Millisecond

	// quotedLines is how much of the output of a failed go command an error quotes.
	quotedLines = 10
)

// builder builds from hack/controlplane into a directory that is named by what it is built from.
type builder struct {
	source, cache string
	progress      io.Writer
}

// build builds one package of hack/controlplane and moves the result into the cache in one step.
// What go build has compiled stays in Go's own cache, so a build that was interrupted continues
// where it was.
func (b builder) build(ctx context.Context, program, pkg string) error {
	b.say("building %s of Kubernetes %s from source; this is done once, and may be interrupted and resumed", program, KubernetesVersion)
	started := time.Now()
	packages, err := b.stalePackages(ctx, pkg)
	if err != nil {
		return err
	}
	b.say("%d packages to compile; allow about %s on two free cores", packages, estimate(packages))
	partial := filepath.Join(b.cache, program+".partial")
	count, compiling := 0, time.Now()
	command := b.command(ctx, "build", append(buildFlags(), "-v", "-o", partial, pkg)...)
	err = follow(command, func(due bool) {
		if count++; due {
			left := estimateLeft(packages, count, time.Since(compiling))
			b.say("%d of %d packages compiled after %s; about %s left", count, packages, time.Since(started).Round(time.Second), left)
		}
		if count == packages {
			b.say("linking")
		}
	})
	if ctx.Err() != nil {
		return fmt.Errorf("build %s: %w; what is compiled is kept, and the next start goes on from there", program, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("build %s: %w", program, err)
	}
	if program == fusedProgram {
		if err := b.linkRoles(); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, filepath.Join(b.cache, program)); err != nil {
		return fmt.Errorf("keep %s: %w", program, err)
	}
	b.say("built %s in %s", program, time.Since(started).Round(time.Second))
	return nil
}

// linkRoles gives the program the names that it is called by. It is there only after them.
func (b builder) linkRoles() error {
	for _, role := range []string{roleEtcd, roleAPIServer, roleKubectl, controllersProgram} {
		if err := os.Symlink(fusedProgram, filepath.Join(b.cache, role)); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("link %s: %w", role, err)
		}
	}
	return nil
}

// stalePackages counts what go build will have to compile; it downloads the modules on the way.
func (b builder) stalePackages(ctx context.Context, pkg string) (count int, err error) {
	downloads := 0
	var output bytes.Buffer
	command := b.command(ctx, "list", append(buildFlags(), "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", pkg)...)
	command.Stdout = &output
	err = follow(command, func(due bool) {
		if downloads++; due {
			b.say("%d modules downloaded", downloads)
		}
	})
	if err != nil {
		return 0, fmt.Errorf("list the packages of the control plane: %w", err)
	}
	return len(bytes.Fields(output.Bytes())), nil
}

func (b builder) command(ctx context.Context, verb string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", append([]string{verb}, args...)...)
	command.Dir = b.source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	// Interrupted, go build removes what it was writing; killed, it would leave it.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = stopTimeout
	return command
}

// follow runs a go command and calls step for each package or module that it names on standard
// error; due is true from time to time, when it is worth a word. The rest of the output is the
// reason of a failure.
func follow(command *exec.Cmd, step func(due bool)) error {
	lines, err := command.StderrPipe()
	if err != nil {
		return fmt.Errorf("listen to the go command: %w", err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start the go command: %w", err)
	}
	var other []string
	said := time.Now()
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		line := strings.TrimPrefix(scanner.Text(), "go: downloading ")
		if line == scanner.Text() && strings.ContainsAny(line, " \t") {
			other = append(other, line)
			continue
		}
		due := time.Since(said) >= progressInterval
		if due {
			said = time.Now()
		}
		step(due)
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.Join(other[max(0, len(other)-quotedLines):], "\n"))
	}
	return nil
}

func (b builder) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, "control plane: "+format+"\n", args...)
}

// buildFlags are how Kubernetes builds its releases, with the version that the API server is to
// report, but for two things that make the compilation a fifth shorter: these programs are not
// debugged, and what Kubernetes itself has, mostly generated code, is called as it is written, not
// inlined.
func buildFlags() []string {
	version := "v" + KubernetesVersion
	var linker strings.Builder
	linker.WriteString("-s -w")
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		fmt.Fprintf(&linker, " -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=37 -X %s.gitTreeState=clean", pkg, version, pkg, pkg, pkg)
	}
	return []string{
		"-mod=readonly", "-trimpath", "-tags=notest,grpcnotrace",
		"-gcflags=all=-dwarf=false", "-gcflags=k8s.io/...=-dwarf=false -l", "-ldflags=" + linker.String(),
	}
}

// What a build from nothing took on two free cores, shared out by packages.
const (
	linkTime    = 10 * time.Second
	packageTime = 130 * time.Millisecond
)

// estimate is how long a build should take.
func estimate(packages int) time.Duration {
	return (linkTime + time.Duration(packages)*packageTime).Round(10 * time.Second)
}

// estimateLeft trusts the estimate at first and what was measured more and more.
func estimateLeft(packages, done int, elapsed time.Duration) time.Duration {
	share := float64(done) / float64(packages)
	trust := share * share
	measured := elapsed.Seconds() / float64(done)
	perPackage := trust*measured + (1-trust)*packageTime.Seconds()
	left := linkTime + time.Duration(float64(packages-done)*perPackage*float64(time.Second))
	return max(left, linkTime).Round(10 * time.Second)
}

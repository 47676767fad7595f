// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Command image builds the images of Hallpass without a container engine, into an OCI image layout
// for each, and an SBOM in SPDX for each program. The same sources and Go give the same bytes
// wherever and whenever they are built: a test and make verify-image show it. An image has one
// layer with one static program; there is nothing else in it to keep up to date.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// order is what to build.
type order struct {
	// source is the module's root, and out where the layouts go, one folder a program.
	source, out string
	// programs are packages below source, such as ./cmd/manager. Their images have their last
	// names.
	programs []string
	// platforms are such as linux/amd64.
	platforms []string
	version   string
	// made is the time that stands in the images.
	made time.Time
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	var o order
	flags.StringVar(&o.source, "source", ".", "root of the module")
	flags.StringVar(&o.out, "out", "bin/images", "folder for the layouts")
	flags.StringVar(&o.version, "version", "devel", "version of the programs")
	programs := flags.String("programs", "./cmd/manager,./cmd/tokenserver,./cmd/login", "packages to build, separated by commas")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "platforms, separated by commas")
	epoch := flags.Int64("source-date-epoch", 0, "time that stands in the images, in seconds since 1970: that of the commit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.programs = strings.Split(*programs, ",")
	o.platforms, o.made = strings.Split(*platforms, ","), time.Unix(*epoch, 0).UTC()
	return build(ctx, o)
}

// build builds each program for each platform.
func build(ctx context.Context, o order) error {
	for _, program := range o.programs {
		name := filepath.Base(program)
		l, err := newLayout(filepath.Join(o.out, name))
		if err != nil {
			return err
		}
		var images []descriptor
		for _, platform := range o.platforms {
			image, err := buildFor(ctx, o, l, program, platform)
			if err != nil {
				return err
			}
			images = append(images, image)
		}
		digest, err := l.finish(images, o.version)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s\n", name, digest)
	}
	return nil
}

// buildFor compiles a program for a platform and puts its image and its SBOM into the layout.
func buildFor(ctx context.Context, o order, l *layout, program, platform string) (descriptor, error) {
	system, architecture, found := strings.Cut(platform, "/")
	if !found {
		return descriptor{}, fmt.Errorf("%q is no platform such as linux/amd64", platform)
	}
	name := filepath.Base(program)
	scratch, err := os.MkdirTemp("", "hallpass-image-")
	if err != nil {
		return descriptor{}, fmt.Errorf("make a folder to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	file := filepath.Join(scratch, name)
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid= -X main.version="+o.version, "-o", file, program)
	command.Dir = o.source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture,
		"GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return descriptor{}, fmt.Errorf("build %s for %s: %w: %s", program, platform, err, output)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return descriptor{}, fmt.Errorf("read what was built: %w", err)
	}
	bill, err := billOfMaterials(file, name, o)
	if err != nil {
		return descriptor{}, err
	}
	sbom := filepath.Join(o.out, fmt.Sprintf("%s-%s-%s.spdx.json", name, system, architecture))
	if err := os.WriteFile(sbom, bill, 0o600); err != nil {
		return descriptor{}, fmt.Errorf("write the SBOM: %w", err)
	}
	image, err := l.image(name, binary, system, architecture, o)
	return image, err
}

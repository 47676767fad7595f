// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keycloak sets up Keycloak, whose distribution Maven fetches, in production mode with an
// embedded database.
package keycloak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// The version, and the commands that build and start it.
const (
	Version = "26.7.3"
	Build   = "kc.sh build --db=dev-file"
	Start   = "kc.sh start --optimized --cache=local"

	unpack = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:unpack"
)

// Missing is why Keycloak cannot be set up on this machine, if it cannot.
func Missing() error {
	_, noMaven := exec.LookPath("mvn")
	_, noJava := exec.LookPath("java")
	return errors.Join(noMaven, noJava)
}

// Install makes an installation in a directory that is built for production, with the realms of a
// folder, and returns its program.
func Install(ctx context.Context, dir, realms string) (program string, err error) {
	run := func(name string, arguments ...string) error {
		command := exec.CommandContext(ctx, name, arguments...)
		// without a project, the plugin of Maven writes its marks into the working
		// directory
		command.Dir = dir
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("set up Keycloak: %s: %w: %s", name, err, output)
		}
		return nil
	}
	distribution := filepath.Join(dir, "keycloak-dist")
	err = run("mvn", "--batch-mode", "--quiet", unpack, "-Dartifact=org.keycloak:keycloak-quarkus-dist:"+Version+":zip", "-DoutputDirectory="+distribution)
	if err != nil {
		return "", err
	}
	home := filepath.Join(distribution, "keycloak-"+Version)
	if err := os.CopyFS(filepath.Join(home, "data", "import"), os.DirFS(realms)); err != nil {
		return "", fmt.Errorf("copy the realms: %w", err)
	}
	program = filepath.Join(home, "bin", "kc.sh")
	// the unpacked file may have lost its mode
	if err := os.Chmod(program, 0o700); err != nil {
		return "", fmt.Errorf("set up Keycloak: %w", err)
	}
	return program, run(program, "build", "--db=dev-file")
}

// Arguments start the program at an address, by plain HTTP. Origin is where callers reach it.
func Arguments(address, origin string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("start Keycloak: %w", err)
	}
	return []string{
		"start", "--optimized", "--cache=local", "--import-realm", "--http-enabled=true",
		"--http-host=" + host, "--http-port=" + port, "--hostname=" + origin,
	}, nil
}

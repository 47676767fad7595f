// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Backup writes a snapshot of etcd into a file, as etcdctl snapshot save does, while everything
// runs on.
func (cp *ControlPlane) Backup(ctx context.Context, file string) error {
	dialer := &net.Dialer{}
	socket := cp.path(strings.TrimPrefix(etcdSocket, "unix://"))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://etcd/v3/maintenance/snapshot", strings.NewReader("{}"))
	if err != nil {
		return fmt.Errorf("back up etcd: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("back up etcd: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("back up etcd: %w", err)
	}
	if err := errors.Join(copySnapshot(out, response.Body), out.Close()); err != nil {
		return fmt.Errorf("back up etcd: %w", err)
	}
	return nil
}

// copySnapshot reads etcd's stream of parts. A part that failed with a reason has no result.
func copySnapshot(out io.Writer, stream io.Reader) error {
	parts := json.NewDecoder(bufio.NewReader(stream))
	for size := 0; ; {
		var part struct {
			Result *struct {
				Blob []byte `json:"blob"`
			} `json:"result"`
		}
		switch err := parts.Decode(&part); {
		case errors.Is(err, io.EOF) && size > 0:
			return nil
		case err != nil:
			return fmt.Errorf("read a part: %w", err)
		case part.Result == nil:
			return errors.New("etcd ended the snapshot with an error")
		}
		n, err := out.Write(part.Result.Blob)
		if err != nil {
			return err
		}
		size += n
	}
}

// Restore puts a backup in the place of what etcd holds with etcdutl, which takes the flags
// besides, and starts the API server and the controllers anew, as Kubernetes advises.
func (cp *ControlPlane) Restore(ctx context.Context, etcdutl, file string, flags ...string) error {
	if err := errors.Join(cp.controllers.Kill(), cp.StopAPIServer(), cp.StopEtcd(), os.RemoveAll(cp.path("etcd"))); err != nil {
		return fmt.Errorf("make room for a backup: %w", err)
	}
	command := exec.CommandContext(ctx, etcdutl, append([]string{
		"snapshot", "restore", file, "--data-dir=" + cp.path("etcd"), "--name=embedded",
		"--initial-cluster=embedded=" + peerSocket, "--initial-advertise-peer-urls=" + peerSocket,
	}, flags...)...)
	command.Dir = filepath.Dir(file)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("restore etcd: %w: %s", err, output)
	}
	if err := cp.startEtcd(); err != nil {
		return err
	}
	if err := cp.StartAPIServer(ctx); err != nil {
		return err
	}
	return cp.startControllers()
}

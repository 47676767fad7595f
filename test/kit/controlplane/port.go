// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports are taken from below the range that Linux (from 32768) and macOS (from 49152) give to
// outgoing connections, so that no process gets the port of an API server that is away for a
// moment, and below the node ports (from 30000).
const (
	firstPort    = 20000
	portCount    = 10000
	portAttempts = 200
)

// port is a TCP port on loopback that no other control plane of this user takes before it is
// closed. The system releases it when the process dies.
type port struct {
	number int
	lock   io.Closer
}

// reservePort finds a port without a listener and reserves it, also while no process listens on it.
func reservePort() (port, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return port{}, fmt.Errorf("find the user's cache directory: %w", err)
	}
	dir := filepath.Join(cache, "hallpass", "ports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return port{}, fmt.Errorf("make the directory of reserved ports: %w", err)
	}
	for range portAttempts {
		number := firstPort + rand.IntN(portCount) //nolint:gosec // any port will do
		lock, err := lockFile(filepath.Join(dir, strconv.Itoa(number)))
		if err != nil {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(number)))
		if err != nil {
			_ = lock.Close()
			continue
		}
		_ = listener.Close()
		return port{number: number, lock: lock}, nil
	}
	return port{}, fmt.Errorf("found no free port on %s from %d to %d", loopback, firstPort, firstPort+portCount-1)
}

// release lets others have the port.
func (p port) release() error {
	if p.lock == nil {
		return nil
	}
	if err := p.lock.Close(); err != nil {
		return fmt.Errorf("release port %d: %w", p.number, err)
	}
	return nil
}

// lockFile locks a file, which it makes if need be, until the file is closed or the process dies.
// It fails at once with syscall.EWOULDBLOCK when another process has the lock.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return file, nil
}

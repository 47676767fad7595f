// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Addresses have ports below those that systems give to outgoing connections, of which some tests
// make thousands, and below those of the control planes of tests.
const (
	firstPort     = 10000
	ports         = 10000
	portsToTry    = 100
	loopbackByIP4 = "127.0.0.1"
)

// FreeAddress is an address on loopback without a listener.
func FreeAddress() (string, error) {
	var errs []error
	for range portsToTry {
		address := net.JoinHostPort(loopbackByIP4, strconv.Itoa(firstPort+rand.IntN(ports))) //nolint:gosec // any port will do
		listener, err := net.Listen("tcp", address)
		if err == nil {
			return address, listener.Close()
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// Listen opens the public port and the operations port of a process. listening, if it is not nil,
// is told the addresses.
func Listen(publicAddress, opsAddress string, listening func(public, ops string)) (public, ops net.Listener, err error) {
	if public, err = net.Listen("tcp", publicAddress); err != nil {
		return nil, nil, fmt.Errorf("open the public port: %w", err)
	}
	if ops, err = net.Listen("tcp", opsAddress); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the ops port: %w", err), public.Close())
	}
	if listening != nil {
		listening(public.Addr().String(), ops.Addr().String())
	}
	return public, ops, nil
}

// UntilStopped waits until the context has ended and balancers have had the time to notice, or
// until a port fails.
func UntilStopped(ctx context.Context, failed <-chan error, stopping *atomic.Bool, lag time.Duration) error {
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stopping.Store(true)
	}
	select {
	case err := <-failed:
		return err
	case <-time.After(lag):
		return nil
	}
}

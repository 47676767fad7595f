// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"flag"
	"time"
)

// Lease is the times of the lease that the working manager holds.
type Lease struct {
	// Duration is how long a manager that stands by waits for one that died without giving the
	// lease back.
	Duration time.Duration
	// RenewDeadline is how long the working manager continues, and tries again, while it cannot
	// renew the lease. Then it ends.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two attempts to get the lease, or to renew it.
	RetryPeriod time.Duration
}

// DefaultLease outlasts an API server that hangs for 30 seconds, as it does while etcd is
// defragmented: a request of the election ends after half of the renew deadline, and the next one
// is in time. The cost is that a manager which dies is replaced after a minute; one that ends in
// order is replaced at once.
func DefaultLease() Lease {
	return Lease{Duration: 60 * time.Second, RenewDeadline: 45 * time.Second, RetryPeriod: 2 * time.Second}
}

// leaseJitter is how much longer than the retry period a pause may be, in client-go.
const leaseJitter = 1.2

func (l *Lease) flags(flags *flag.FlagSet) {
	*l = DefaultLease()
	flags.DurationVar(&l.Duration, "leader-elect-lease-duration", l.Duration,
		"how long a manager that stands by waits for one that died; one that ends in order gives the lease back at once")
	flags.DurationVar(&l.RenewDeadline, "leader-elect-renew-deadline", l.RenewDeadline,
		"how long the working manager continues while the API server does not let it renew the lease; then it ends, and starts again")
	flags.DurationVar(&l.RetryPeriod, "leader-elect-retry-period", l.RetryPeriod,
		"the time between two attempts to get or to renew the lease")
}

func (l *Lease) check() error {
	switch {
	case l.RetryPeriod < time.Second:
		return errors.New("--leader-elect-retry-period must be a second or more")
	case l.RenewDeadline <= time.Duration(leaseJitter*float64(l.RetryPeriod)):
		return errors.New("--leader-elect-renew-deadline must be longer than 1.2 times --leader-elect-retry-period")
	case l.Duration <= l.RenewDeadline:
		return errors.New("--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, " +
			"or two managers work at the same time")
	case l.Duration%time.Second != 0:
		return errors.New("--leader-elect-lease-duration must be in whole seconds")
	}
	return nil
}

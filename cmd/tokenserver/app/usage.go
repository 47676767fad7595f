// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallpass-dev/hallpass/internal/directory"
	"github.com/hallpass-dev/hallpass/internal/reporter"
	"github.com/hallpass-dev/hallpass/internal/serve"
	"github.com/hallpass-dev/hallpass/internal/usage"
)

// minUsageInterval bounds how often the use of clients is written down.
const minUsageInterval = time.Second

// usageFlags are the flags about the use of clients, and about where requests come from.
func usageFlags(flags *flag.FlagSet, o *Options) {
	flags.DurationVar(&o.UsageInterval, "usage-interval", reporter.DefaultInterval,
		"how often to write down which clients were used; with many clients each is reported less often")
	flags.Func("trusted-proxy",
		"address, or range such as 10.0.0.0/8, of a proxy whose X-Forwarded-For is believed in audit lines, events and budgets; may be repeated",
		serve.Prefixes(&o.TrustedProxies))
	flags.Func("own-prefix",
		"range of this installation, such as that of its pods, in which each address is a source of its own; elsewhere a /64 of IPv6 is one, and networks share limits; may be repeated",
		serve.Prefixes(&o.OwnPrefixes))
	flags.Func("audit-person-key-file",
		"file with a random key of 32 bytes or more: audit lines and traces then have a keyed hash (HMAC-SHA256) in the place of the subject of a person; "+
			"the same key at each replica gives the same hash", func(file string) (err error) {
			o.PersonKey, err = readPersonKey(file)
			return err
		})
}

// minPersonKey is the shortest key of the hashes of persons, in bytes. Subjects can be guessed, and
// with a shorter key so can the hash of each.
const minPersonKey = 32

// readPersonKey reads the key of the hashes of persons.
func readPersonKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if len(key) < minPersonKey {
		return nil, fmt.Errorf("%s has %d bytes; write %d random bytes or more, such as by: head -c 32 /dev/urandom", file, len(key), minPersonKey)
	}
	return key, nil
}

// reporting writes down what the server saw of the use of clients.
type reporting struct {
	gathered *reporter.Gatherer
	refusals *reporter.Refusals
	reporter *reporter.Reporter
	stop     context.CancelFunc
	done     chan struct{}
}

func newReporting(o Options, registry prometheus.Registerer, log *slog.Logger) (*reporting, error) {
	host, err := os.Hostname()
	if err != nil {
		log.Debug("the host has no name; the reports are named otherwise", "error", err)
	}
	r := &reporting{gathered: reporter.NewGatherer(usage.MinuteOf(time.Now()), reporter.MaxBytes), refusals: reporter.NewRefusals(), done: make(chan struct{})}
	r.reporter, err = reporter.New(reporter.Config{
		REST: o.REST, Namespace: o.RegistryNamespace, Host: host, Usage: r.gathered, Refusals: r.refusals, Interval: o.UsageInterval, Log: log,
		MaxStaleness: max(o.MaxStaleness, usage.MaxSilence), Written: reporter.CountWrites(registry),
	})
	return r, err
}

func (r *reporting) start(ctx context.Context) {
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(r.done)
		r.reporter.Run(ctx)
	}()
}

// lastReports bounds how long the last reports may take.
const lastReports = 5 * time.Second

// finish reports the rest. It is called when the last request was answered.
func (r *reporting) finish(ctx context.Context) {
	r.stop()
	<-r.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReports)
	defer cancel()
	r.reporter.Close(ctx)
}

// leave removes the snapshot if the report is final: later uses by a process that starts from it
// would not be covered.
func (r *reporting) leave(dir *directory.Directory) error {
	if !r.reporter.Closed() {
		return nil
	}
	return dir.DropSnapshot()
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package alive_test

import (
	"strings"
	"testing"
	"time"
)

// TestNoRequestFailsWhileReplicasAreReplaced restarts three replicas one after the other, moves them to another version and back, under
// load by kept and new connections, while certificates and their authority are replaced all the time. The balancer between hears of
// readiness late. make upgrade is the million requests with the times of an installation.
func TestNoRequestFailsWhileReplicasAreReplaced(t *testing.T) {
	maxLag := setting(t, "HALLPASS_BALANCER_LAG", 500*time.Millisecond)
	shutdownLag := setting(t, "HALLPASS_SHUTDOWN_LAG", 1200*time.Millisecond)
	wanted := count(t, "HALLPASS_REQUESTS", 0)
	mounted := rotateCertificates(t)
	b := startBalancer(t, maxLag)
	start := func(version string) *replica {
		r := newReplica(t, version, func(r *replica) { r.lag, r.certificates = shutdownLag, mounted.dir })
		b.follow(r)
		r.waitReady(t)
		if info := r.opsPage(t, "/metrics"); !strings.Contains(info, `hallpass_build_info{version="`+version+`"} 1`) {
			t.Errorf("a build of %s does not say so", version)
		}
		return r
	}
	var replicas []*replica
	for range 3 {
		replicas = append(replicas, start("v1.0.0"))
	}
	for _, r := range replicas {
		eventually(t, "the balancer knows the replica", func() bool { return b.has(r) })
	}
	load := startLoad(t, b.address(), manner{perWay: 4, uses: 1, roots: mounted.roots})
	rolls := 0
	for {
		for _, version := range []string{"v1.0.0", "v1.1.0", "v1.0.0"} { // a restart, an upgrade, and back
			for i, old := range replicas {
				replicas[i] = start(version) // maxSurge 1, maxUnavailable 0
				old.stop(t)
			}
			rolls++
		}
		if load.sent.Load() >= wanted && mounted.authorities() >= 3 {
			break
		}
	}
	load.stop(t)
	t.Logf("%d times all replicas were replaced; there were %d authorities and %d certificates", rolls, mounted.authorities(), mounted.served())
}

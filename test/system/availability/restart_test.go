// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package availability_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hallpass-dev/hallpass/cmd/tokenserver/app"
	"github.com/hallpass-dev/hallpass/test/kit/world"
)

// TestNoRequestFailsWhileReplicasAreReplaced restarts three replicas one after the other, moves
// them to another version and back, under load by kept and new connections, while certificates and
// their authority are replaced all the time. The balancer between sees readiness late, and a
// replica that is to stop serves on for as long as in an installation. make upgrade is the million
// requests, with a balancer that is later.
func TestNoRequestFailsWhileReplicasAreReplaced(t *testing.T) {
	maxLag, between := 2*time.Second, 40*time.Millisecond
	wanted := int64(world.Count(t, "HALLPASS_REQUESTS", 5_000))
	if wanted >= 100_000 {
		maxLag, between = 5*time.Second, 0
	}
	mounted := rotateCertificates(t)
	b := startBalancer(t, maxLag)
	start := func(version string) *replica {
		r := newReplica(t, version, func(r *replica) { r.lag, r.certificates = app.DefaultShutdownLag, mounted.dir })
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
	load := startLoad(t, b.address(), manner{perWay: 4, uses: 1, pause: between, roots: mounted.roots})
	rolls := 0
	for {
		// a restart, an upgrade, and back
		for _, version := range []string{"v1.0.0", "v1.1.0", "v1.0.0"} {
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

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

const (
	// killedClients are used one after the other, usesPerReport of them before the replica
	// reports again, until it is killed.
	killedClients = 36
	usesPerReport = 6
	// atRisk is how many reports a use may miss: the one that is being written meanwhile, and
	// the one that was never written.
	atRisk = 2
)

// TestAKilledReplicaTakesItsLastIntervalAlone kills a replica with SIGKILL while it is in use and
// the manager is away, so that only its report has the use. What was used before the last report
// but one was begun is in the last one.
func TestAKilledReplicaTakesItsLastIntervalAlone(t *testing.T) {
	const namespace = "killed"
	secrets := createAll(t, namespace, killedClients)
	marker := apply(t, namespace, "marker")
	marking := shared.Credentials(t, marker)
	program, err := installation.Program(t.Context(), filepath.Join("..", "..", ".."), "tokenserver")
	must(t, err)
	must(t, hallpass.StopManager())
	managed := false
	defer func() {
		if !managed {
			must(t, hallpass.StartManager(t.Context()))
		}
	}()
	replica, address := startReplica(t, program)
	shared.Fetch(t, marking, address)
	own := ""
	eventually(t, "the replica reports", func() bool {
		own = reportOf(t, marker)
		return own != ""
	})
	// report is the number of the last report that the replica has written.
	report := func() int64 { return serving(t)[own] }
	first := report()
	used, after := map[string]time.Time{}, map[string]int64{}
	for i, secret := range secrets {
		eventually(t, "the replica reports again and again", func() bool { return report() >= first+int64(i/usesPerReport) })
		used[secret.Name] = time.Now()
		shared.Fetch(t, secret, address)
		after[secret.Name] = report()
	}
	must(t, replica.Kill())
	killed, last := time.Now(), report()

	var reports v1alpha1.UsageReportList
	must(t, cluster.List(t.Context(), &reports, client.InNamespace(installation.RegistryNamespace)))
	clients := map[string]*v1alpha1.OAuth2Client{}
	for name := range used {
		c := &v1alpha1.OAuth2Client{}
		c.Namespace, c.Name = namespace, name
		read(t, c)
		if !c.Status.LastUsedAt.IsZero() {
			t.Fatalf("%s is told of while the manager is away", name)
		}
		clients[name] = c
	}
	must(t, hallpass.StartManager(t.Context()))
	managed = true
	told := 0
	for name, c := range clients {
		safe := after[name]+atRisk <= last
		switch {
		case reported(t, reports, c):
			told++
			eventually(t, name+" is told of, as it was reported", func() bool {
				read(t, c)
				return !c.Status.LastUsedAt.IsZero()
			})
			if minute := used[name].Truncate(time.Minute); c.Status.LastUsedAt.Time.Before(minute) || c.Status.LastUsedAt.After(killed) {
				t.Errorf("%s was used at %s, and the status says %s", name, used[name], c.Status.LastUsedAt)
			}
		case safe:
			t.Errorf("%s was used after report %d, and report %d does not have it", name, after[name], last)
		}
	}
	if least := killedClients - (atRisk+1)*usesPerReport; told < least {
		t.Errorf("%d clients are told of, want at least %d", told, least)
	}
	t.Logf("%d of %d clients that were used one after the other, %d a report, are told of", told, len(clients), usesPerReport)
	goesOn(t, program, namespace, secrets[0], clients)
}

// serving are the numbers of the last reports of replicas that serve, by their names: each report
// changes the object's spec.
func serving(t *testing.T) map[string]int64 {
	t.Helper()
	var reports v1alpha1.UsageReportList
	must(t, cluster.List(t.Context(), &reports, client.InNamespace(installation.RegistryNamespace)))
	numbers := map[string]int64{}
	for i := range reports.Items {
		if reports.Items[i].Spec.State == v1alpha1.UsageServing {
			numbers[reports.Items[i].Name] = reports.Items[i].Generation
		}
	}
	return numbers
}

// reportOf is the name of the report of the one replica that served a client; "" while none has it.
func reportOf(t *testing.T, c *v1alpha1.OAuth2Client) string {
	t.Helper()
	var reports v1alpha1.UsageReportList
	must(t, cluster.List(t.Context(), &reports, client.InNamespace(installation.RegistryNamespace)))
	for i := range reports.Items {
		if one := (v1alpha1.UsageReportList{Items: reports.Items[i : i+1]}); reported(t, one, c) {
			return reports.Items[i].Name
		}
	}
	return ""
}

// goesOn starts another replica in the place of the killed one: what it reports is added to what
// was reported before, and removes nothing.
func goesOn(t *testing.T, program, namespace string, secret *corev1.Secret, clients map[string]*v1alpha1.OAuth2Client) {
	t.Helper()
	next, address := startReplica(t, program)
	later := apply(t, namespace, "later")
	shared.Fetch(t, shared.Credentials(t, later), address)
	shared.Fetch(t, secret, address)
	eventually(t, "what the next replica reports is told", func() bool {
		read(t, later)
		return !later.Status.LastUsedAt.IsZero()
	})
	must(t, next.Stop())
	for name, c := range clients {
		before := c.Status.LastUsedAt
		read(t, c)
		if c.Status.LastUsedAt.Time.Before(before.Time) {
			t.Errorf("the last use of %s went back from %s to %s", name, before, c.Status.LastUsedAt)
		}
	}
}

// startReplica starts a token server as a process of its own, and returns it with the URL of its
// token endpoint.
func startReplica(t *testing.T, program string) (*controlplane.Process, string) {
	t.Helper()
	kubeconfig, err := hallpass.ControlPlane.ServiceAccountKubeconfig(t.Context(), installation.SystemNamespace, installation.TokenServerAccount)
	must(t, err)
	public, ops := freeAddress(t), freeAddress(t)
	certificates := filepath.Dir(hallpass.CAFile)
	process, err := controlplane.StartProcess("tokenserver", filepath.Join(t.TempDir(), "log"), nil, program,
		"--issuer="+hallpass.Issuer.String(), "--kubeconfig="+kubeconfig, "--listen="+public, "--ops-listen="+ops, "--shutdown-lag=0s",
		fmt.Sprint("--usage-interval=", interval), "--client-rate=100000",
		"--tls-cert-file="+filepath.Join(certificates, "tls.crt"), "--tls-key-file="+filepath.Join(certificates, "tls.key"))
	must(t, err)
	t.Cleanup(func() { _ = process.Kill() })
	eventually(t, "another token server is ready", func() bool { return installation.Ready(t.Context(), "http://"+ops) })
	return process, "https://localhost" + public[strings.LastIndex(public, ":"):] + "/oauth2/token"
}

// reported reports whether one of the reports has a use of the client.
func reported(t *testing.T, reports v1alpha1.UsageReportList, c *v1alpha1.OAuth2Client) bool {
	t.Helper()
	for i := range reports.Items {
		entries, _, err := usage.Decode(reports.Items[i].Spec.Uses)
		must(t, err)
		for _, e := range entries {
			if e.Key == usage.KeyOf(string(c.UID)) && e.Seen.Last() != 0 {
				return true
			}
		}
	}
	return false
}

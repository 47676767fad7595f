// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// TestAnUnchangedClusterCausesNoWrites checks 20 clients three times without a reason to write:
// after changes that concern no client, with a manager that has just started, and while nothing
// happens at all.
func TestAnUnchangedClusterCausesNoWrites(t *testing.T) {
	const clients, quiet, window = 20, 2 * time.Second, 10 * time.Second
	var all []*v1alpha1.OAuth2Client
	for i := range clients {
		all = append(all, apply(t, "idle", newClient(fmt.Sprintf("client-%d", i))))
	}
	eventually(t, "the manager has finished what the tests before left", func() bool {
		return len(writesOfTheManager(t, time.Now().Add(-quiet))) == 0
	})
	begun := time.Now()
	for _, c := range all {
		update(t, c, func() { c.Labels = map[string]string{"team": "shop"} })
	}
	must(t, hallpass.StopManager())
	must(t, hallpass.StartManager(t.Context()))
	// that the manager works, so that its silence proves something
	apply(t, "idle-proof", newClient("proof"))
	time.Sleep(time.Until(begun.Add(window))) // silence takes time to notice
	proves := func(write controlplane.AuditEvent) bool {
		return write.Object.Namespace == "idle-proof" || write.Object.Name == registration.SecretName("idle-proof.proof")
	}
	eventually(t, "the audit log has the writes for a new client", func() bool { return slices.ContainsFunc(writesOfTheManager(t, begun), proves) })
	for _, write := range writesOfTheManager(t, begun) {
		if proves(write) {
			continue
		}
		// What the tests before this one used is reported, and what they revoked is merged
		// and deleted, some time later. The clients here are not used, and none of their
		// tokens is revoked.
		if write.Object.Resource == "tokenrevocations" {
			continue
		}
		if write.Object.Namespace != "idle" && (write.Object.Subresource == "status" || write.Object.Resource == "events") {
			continue
		}
		t.Errorf("%s %+v", write.Verb, write.Object)
	}
}

// writesOfTheManager is what the manager asked to be written since then.
func writesOfTheManager(t *testing.T, since time.Time) []controlplane.AuditEvent {
	t.Helper()
	events, err := hallpass.ControlPlane.AuditEvents()
	must(t, err)
	var writes []controlplane.AuditEvent
	for _, event := range events {
		if event.User.Name == "system:serviceaccount:"+installation.SystemNamespace+":"+installation.ManagerAccount &&
			event.IsWrite() && event.Time.After(since) {
			writes = append(writes, event)
		}
	}
	return writes
}

func TestANewNameForAnEntryIsNoNewSecret(t *testing.T) {
	c := apply(t, "rename-entry", newClient("caller"))
	before := string(credentials(t, c).Data["client_secret"])
	update(t, c, func() { c.Spec.Secret.Keys = v1alpha1.SecretKeys{ClientSecret: "CLIENT_SECRET", ClientID: "CLIENT_ID"} })
	var secret *corev1.Secret
	eventually(t, "the entries have their new names", func() bool {
		secret = credentials(t, c)
		return len(secret.Data["CLIENT_SECRET"]) > 0 && len(secret.Data["CLIENT_ID"]) > 0
	})
	if string(secret.Data["CLIENT_SECRET"]) != before {
		t.Error("the client secret is another one")
	}
	if len(secret.Data) != 8 {
		t.Errorf("%d entries, want 8: the old names are gone", len(secret.Data))
	}
	must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
	if len(c.Status.Credentials) != 1 {
		t.Errorf("%d secrets are accepted, want one", len(c.Status.Credentials))
	}
}

func TestARotateAnnotationOfAnyLengthIsHandled(t *testing.T) {
	c := apply(t, "request", newClient("caller"))
	before := string(credentials(t, c).Data["client_secret"])
	update(t, c, func() {
		c.Annotations = map[string]string{v1alpha1.AnnotationRotate: strings.Repeat("now ", 1000)}
	})
	eventually(t, "the request is handled", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return strings.HasPrefix(c.Status.Rotation.HandledRequest, "sha256:")
	})
	if string(credentials(t, c).Data["client_secret"]) == before {
		t.Error("the client secret is still the old one")
	}
	condition(t, c, metav1.ConditionTrue, v1alpha1.ReasonRegistered)
}

func TestKubectlShowsWhatUsersLookFor(t *testing.T) {
	c := apply(t, "columns", newClient("caller"))
	for name, want := range map[string]string{
		"": "NAME CLIENT ID READY REASON GRANTS AGE", "wide": "NAME CLIENT ID READY REASON GRANTS AGE DISPLAY NAME LAST USED NEXT ROTATION SECRET RESOURCE SCOPES",
	} {
		t.Run("-o "+name, func(t *testing.T) {
			args := []string{"--kubeconfig", hallpass.ControlPlane.Kubeconfig(), "get", "hpc", "-n", c.Namespace, "-o", name}
			output, err := command(t.Context(), hallpass.ControlPlane.Kubectl(), args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			header, row, _ := strings.Cut(string(output), "\n")
			if got := strings.Join(strings.Fields(header), " "); got != want {
				t.Errorf("columns %q, want %q", got, want)
			}
			fields := strings.Fields(row)
			if len(fields) < 5 || fields[0] != "caller" || fields[1] != "columns.caller" || fields[2] != "True" || fields[3] != "Registered" {
				t.Errorf("row %q", row)
			}
			if name == "wide" && (len(fields) < 7 || fields[len(fields)-2] != "caller" || fields[len(fields)-1] != `["read"]`) {
				t.Errorf("row %q, want the Secret and the scopes at its end", row)
			}
		})
	}
}

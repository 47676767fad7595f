// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package usage_test

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// rotateWatched gives a client another secret, and has the old one end once it was unused for an
// hour. It returns the old one.
func rotateWatched(t *testing.T, c *v1alpha1.OAuth2Client) (old *corev1.Secret, oldID string) {
	t.Helper()
	old, oldID = shared.Credentials(t, c), c.Status.Credentials[0].ID
	c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"}
	c.Spec.Rotation = v1alpha1.RotationSpec{Overlap: "48h", RetireWhenUnusedFor: "1h"}
	must(t, cluster.Update(t.Context(), c))
	eventually(t, "the old secret is watched", func() bool {
		read(t, c)
		return statusOf(c, oldID).KeptReason != ""
	})
	if got := statusOf(c, oldID); got.KeptReason != v1alpha1.KeptInUse || !strings.Contains(got.KeptMessage, "it has not been used for 1h") {
		t.Fatalf("a secret that was replaced just now is kept because of %s: %s", got.KeptReason, got.KeptMessage)
	}
	return old, oldID
}

// hoursPass changes the registration as if its secrets had been watched for three hours.
func hoursPass(t *testing.T, c *v1alpha1.OAuth2Client) {
	t.Helper()
	eventually(t, "the registration is changed", func() bool {
		key := client.ObjectKey{Namespace: installation.RegistryNamespace, Name: registration.SecretName(c.Status.ClientID)}
		var stored corev1.Secret
		must(t, cluster.Get(t.Context(), key, &stored))
		r, err := registration.Decode(stored.Data)
		must(t, err)
		for i := range r.Client.Credentials.Verifiers {
			if v := &r.Client.Credentials.Verifiers[i]; v.Watched() {
				v.WatchedSince = v.WatchedSince.Add(-3 * time.Hour)
			}
		}
		stored.Data, err = registration.Encode(r)
		must(t, err)
		return cluster.Update(t.Context(), &stored) == nil // or the manager was faster
	})
}

// lookAgain has the manager reconcile a client, which it would do by itself in five minutes.
func lookAgain(t *testing.T, c *v1alpha1.OAuth2Client, n int) {
	t.Helper()
	read(t, c)
	before := c.DeepCopy()
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, "example.com/look", strconv.Itoa(n))
	must(t, cluster.Patch(t.Context(), c, client.MergeFrom(before)))
}

func TestAReplacedSecretThatNobodyUsesEndsBeforeItsOverlap(t *testing.T) {
	c := apply(t, "retired", "unused")
	old, oldID := rotateWatched(t, c)
	hoursPass(t, c)
	eventually(t, "the old secret is gone", func() bool {
		read(t, c)
		return len(c.Status.Credentials) == 1
	})
	eventually(t, "it is refused", func() bool {
		status, _ := shared.Post(t, old, string(old.Data["token_url"]), url.Values{"grant_type": {"client_credentials"}})
		return status == http.StatusUnauthorized
	})
	fetch(t, shared.Credentials(t, c))
	eventually(t, "an event says so", func() bool {
		events := told(t, c, "CredentialRetired")
		return len(events) == 1 && strings.Contains(events[0].Note, oldID) && strings.Contains(events[0].Note, "it has not been used for 1h")
	})
}

func TestAReplacedSecretThatIsUsedLivesOn(t *testing.T) {
	c := apply(t, "retired", "used")
	old, oldID := rotateWatched(t, c)
	fetch(t, old)
	eventually(t, "its use is told", func() bool {
		read(t, c)
		return !statusOf(c, oldID).LastUsedAt.Time.IsZero()
	})
	hoursPass(t, c)
	for n := range 20 {
		lookAgain(t, c, n)
		fetch(t, old)
	}
	if read(t, c); statusOf(c, oldID).KeptReason != v1alpha1.KeptInUse {
		t.Errorf("credentials %+v", c.Status.Credentials)
	}
}

// TestAReplicaThatIsSilentKeepsSecretsAlive has a replica that began long ago and has not reported
// for two hours: it may have been killed, or be cut off and still run.
func TestAReplicaThatIsSilentKeepsSecretsAlive(t *testing.T) {
	began := time.Now().Add(-5 * time.Hour)
	silent := &v1alpha1.UsageReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: installation.RegistryNamespace, Name: "silent", Annotations: map[string]string{v1alpha1.AnnotationAllowDeletion: "true"},
		},
		Spec: v1alpha1.UsageReportSpec{
			Replica: "silent", Part: 1, Parts: 1, State: v1alpha1.UsageServing, StartedAt: metav1.NewTime(began), CoveredFrom: metav1.NewTime(began),
			CoveredUntil: metav1.NewTime(began.Add(3 * time.Hour)), MaxStalenessSeconds: 24 * 60 * 60, Uses: usage.Encode(nil),
		},
	}
	must(t, cluster.Create(t.Context(), silent))
	t.Cleanup(func() { must(t, cluster.Delete(context.Background(), silent)) })
	c := apply(t, "retired", "unheard-of")
	old, oldID := shared.Credentials(t, c), c.Status.Credentials[0].ID
	c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"}
	c.Spec.Rotation = v1alpha1.RotationSpec{Overlap: "48h", RetireWhenUnusedFor: "1h"}
	must(t, cluster.Update(t.Context(), c))
	eventually(t, "the status names the replica", func() bool {
		read(t, c)
		kept := statusOf(c, oldID)
		return kept.KeptReason == v1alpha1.KeptForWantOfProof && strings.Contains(kept.KeptMessage, "Replica silent")
	})
	hoursPass(t, c)
	for n := range 20 {
		lookAgain(t, c, n)
		fetch(t, old)
	}
	if read(t, c); statusOf(c, oldID).KeptReason != v1alpha1.KeptForWantOfProof {
		t.Errorf("credentials %+v", c.Status.Credentials)
	}
}

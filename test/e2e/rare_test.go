// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	xoauth2 "golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/tokenrevocation"
	"github.com/hallpass-dev/hallpass/internal/controller/usagereport"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/reporter"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/usage"
	"github.com/hallpass-dev/hallpass/test/kit/controlplane"
	"github.com/hallpass-dev/hallpass/test/kit/installation"
)

// What happens after days, or where two processes meet, is made to happen here with the rights of
// the account that it happens to.

func rightsOf(t *testing.T, account string) *rest.Config {
	t.Helper()
	config, err := hallpass.ControlPlane.ServiceAccountConfig(t.Context(), installation.SystemNamespace, account)
	must(t, err)
	return config
}

func asManager(t *testing.T) client.WithWatch {
	t.Helper()
	manager, err := client.NewWithWatch(rightsOf(t, installation.ManagerAccount), client.Options{Scheme: cluster.Scheme()})
	must(t, err)
	return manager
}

// withoutTheManager leaves what is done to the test.
func withoutTheManager(t *testing.T) {
	t.Helper()
	must(t, hallpass.StopManager())
	t.Cleanup(func() { must(t, hallpass.StartManager(context.WithoutCancel(t.Context()))) })
}

// TestTheReportOfAReplicaThatIsLongGoneGoes a season later, which is longer than any report is
// kept.
func TestTheReportOfAReplicaThatIsLongGoneGoes(t *testing.T) {
	report := &v1alpha1.UsageReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: "long-gone"},
		Spec: v1alpha1.UsageReportSpec{
			Replica: "long-gone", Part: 1, Parts: 1, State: v1alpha1.UsageServing, StartedAt: metav1.Now(), Uses: usage.Encode(nil),
		},
	}
	must(t, cluster.Create(t.Context(), report))
	later := testingclock.NewFakePassiveClock(time.Now().Add(90 * 24 * time.Hour))
	r := &usagereport.Reconciler{
		Client: asManager(t), Clock: later, Ledger: usagereport.NewLedger(later, time.Minute), RegistryNamespace: installation.RegistryNamespace,
	}
	_, err := r.Reconcile(t.Context(), report)
	must(t, err)
	if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(report), report); !apierrors.IsNotFound(err) {
		t.Errorf("the report: %v, want it gone", err)
	}
}

// TestAReportThatSomebodyTouchedIsWrittenAllTheSame reads it again and writes over it.
func TestAReportThatSomebodyTouchedIsWrittenAllTheSame(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	gathered := reporter.NewGatherer(usage.MinuteOf(time.Now()), reporter.MaxBytes)
	r, err := reporter.New(reporter.Config{
		REST: rightsOf(t, installation.TokenServerAccount), Namespace: installation.RegistryNamespace, Host: "touched", Usage: gathered,
		Interval: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	defer func() {
		stop()
		<-done
	}()
	var report v1alpha1.UsageReport
	eventually(t, "the report is there", func() bool {
		var all v1alpha1.UsageReportList
		must(t, cluster.List(t.Context(), &all, client.InNamespace(installation.RegistryNamespace)))
		for _, report = range all.Items {
			if strings.HasPrefix(report.Name, "touched-") {
				return true
			}
		}
		return false
	})
	report.Annotations = map[string]string{"example.com/touched": "yes"}
	must(t, cluster.Update(t.Context(), &report))
	gathered.Note(oauth2.Use{Subject: "0a1b2c3d-0000-4000-8000-000000000000", At: time.Now(), Credential: "abcdefghijkl", Issued: true})
	before := string(report.Spec.Uses)
	eventually(t, "the use is told", func() bool {
		must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(&report), &report))
		return string(report.Spec.Uses) != before
	})
}

func revoke(t *testing.T, name string, labels map[string]string, until time.Time) v1alpha1.TokenRevocation {
	t.Helper()
	var id revocation.ID
	_, err := rand.Read(id[:])
	must(t, err)
	object := v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: installation.RegistryNamespace, Name: name, Labels: labels},
		Spec: v1alpha1.TokenRevocationSpec{Batch: v1alpha1.RevocationBatch{
			Tokens:    v1alpha1.RevocationEntries(revocation.Encode([]revocation.Entry{revocation.NewEntry(id, until)})),
			ExpiresAt: new(metav1.NewTime(until)),
		}},
	}
	must(t, cluster.Create(t.Context(), &object))
	return object
}

// TestAnExpiredRevocationThatAPersonWroteGoes one by one: without the label of a batch many cannot
// be deleted at once.
func TestAnExpiredRevocationThatAPersonWroteGoes(t *testing.T) {
	object := revoke(t, "written-by-hand", nil, time.Now().Add(-time.Hour).Truncate(time.Second))
	eventually(t, "the expired revocation is gone", func() bool {
		return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKeyFromObject(&object), &object))
	})
}

// TestAMergeThatAnotherManagerBeganIsFinished by one whose cache does not have the bigger batch
// yet: it looks what is in it.
func TestAMergeThatAnotherManagerBeganIsFinished(t *testing.T) {
	withoutTheManager(t)
	var small v1alpha1.TokenRevocationList
	for i := range 16 {
		name := fmt.Sprintf("small-%d", i)
		small.Items = append(small.Items, revoke(t, name, map[string]string{v1alpha1.LabelRevocationBatch: name}, time.Now().Add(time.Hour).Truncate(time.Second)))
	}
	killed := true
	stale := interceptor.NewClient(asManager(t), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, _ ...client.ListOption) error {
			if all, ok := list.(*v1alpha1.TokenRevocationList); ok {
				small.DeepCopyInto(all)
			}
			return nil
		},
		DeleteAllOf: func(ctx context.Context, direct client.WithWatch, object client.Object, options ...client.DeleteAllOfOption) error {
			if killed {
				return errors.New("killed")
			}
			return direct.DeleteAllOf(ctx, object, options...)
		},
	})
	manager := func() *tokenrevocation.Reconciler {
		return &tokenrevocation.Reconciler{
			Client: stale, Live: asManager(t), Clock: testingclock.NewFakePassiveClock(time.Now()), RegistryNamespace: installation.RegistryNamespace,
			Time: func() apiclock.Time { return apiclock.At(time.Now()) }, Lifetime: oauth2.MaxTokenLifetime,
		}
	}
	if _, err := manager().Reconcile(t.Context(), ctrl.Request{}); err == nil {
		t.Fatal("the first manager was not killed")
	}
	killed = false
	_, err := manager().Reconcile(t.Context(), ctrl.Request{})
	must(t, err)
	for i := range small.Items {
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(&small.Items[i]), &v1alpha1.TokenRevocation{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: %v, want it gone", small.Items[i].Name, err)
		}
	}
}

// TestAnEventThatHappensAgainIsCounted in the one that is there, which takes the right to change
// it.
func TestAnEventThatHappensAgainIsCounted(t *testing.T) {
	c := apply(t, "again-and-again", newClient("caller"))
	manager, err := kubernetes.NewForConfig(rightsOf(t, installation.ManagerAccount))
	must(t, err)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: manager.EventsV1()})
	defer broadcaster.Shutdown()
	must(t, broadcaster.StartRecordingToSinkWithContext(t.Context()))
	recorder := broadcaster.NewRecorder(cluster.Scheme(), "hallpass-test")
	noted := func() (series *eventsv1.EventSeries, found bool) {
		var all eventsv1.EventList
		must(t, cluster.List(t.Context(), &all, client.InNamespace(c.Namespace)))
		for i := range all.Items {
			if all.Items[i].Reason == "Tried" {
				return all.Items[i].Series, true
			}
		}
		return nil, false
	}
	try := func() { recorder.Eventf(c, nil, corev1.EventTypeNormal, "Tried", "Try", "It is tried") }
	try()
	eventually(t, "the event is there", func() bool {
		_, found := noted()
		return found
	})
	try()
	eventually(t, "the second one is counted", func() bool {
		series, _ := noted()
		return series != nil && series.Count == 2
	})
}

// TestAnAPIServerThatCannotStreamWhatItHas is one before Kubernetes 1.34: both processes list, and
// watch from there on.
func TestAnAPIServerThatCannotStreamWhatItHas(t *testing.T) {
	older, err := controlplane.Start(t.Context(), controlplane.Options{APIServerFlags: []string{"--feature-gates=WatchList=false"}})
	must(t, err)
	defer func() { must(t, older.Stop()) }()
	running, err := installation.Run(t.Context(), older, root(), installation.Options{})
	must(t, err)
	defer func() { must(t, running.Stop()) }()
	admin, err := client.New(older.AdminConfig(), client.Options{Scheme: cluster.Scheme()})
	must(t, err)
	c := newClient("caller")
	c.Namespace = metav1.NamespaceDefault
	must(t, admin.Create(t.Context(), c))
	eventually(t, "the client is ready", func() bool {
		must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(c), c))
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	})
	var secret corev1.Secret
	must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(c), &secret))
	config := clientcredentials.Config{
		ClientID: string(secret.Data["client_id"]), ClientSecret: string(secret.Data["client_secret"]), TokenURL: string(secret.Data["token_url"]),
	}
	if _, err := config.Token(context.WithValue(t.Context(), xoauth2.HTTPClient, running.HTTP)); err != nil {
		t.Error(err)
	}
	asked, err := older.AuditEvents()
	must(t, err)
	listed := false
	for _, event := range asked {
		listed = listed || event.Verb == "list" && event.Object.Resource == "oauth2clients"
	}
	if !listed {
		t.Error("nobody listed the clients: this API server streams them after all")
	}
	olderEvents = append(olderEvents, asked...)
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package signingkeys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/keysecret"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// installation is an API server with nothing but the keys, and a count of what is written there.
type installation struct {
	testing.TB
	client.Client

	clock *clocktesting.FakePassiveClock
	// time is what is certain of the time when the clock shows it.
	time   func(shown time.Time) apiclock.Time
	writes int
	events *events.FakeRecorder
	// answer is the answer to writes, which are done; nil in most tests.
	answer error
}

func newInstallation(t testing.TB) *installation {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	i := &installation{TB: t, events: events.NewFakeRecorder(100), time: apiclock.At, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	i.Client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			i.writes++
			return errors.Join(c.Create(ctx, o, options...), i.answer)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			i.writes++
			return errors.Join(c.Update(ctx, o, options...), i.answer)
		},
	})
	return i
}

func (i *installation) manager() *Reconciler {
	return &Reconciler{
		Client: i.Client, Live: i.Client,
		Time: func() apiclock.Time { return i.time(i.clock.Now()) }, Policy: keyring.DefaultPolicy(time.Hour), RegistryNamespace: "registry", Generate: keyring.Generate,
		Audit: logr.Discard(), Recorder: i.events,
	}
}

func (i *installation) reconcile(r *Reconciler) time.Duration {
	i.Helper()
	result, err := r.Reconcile(i.Context(), ctrl.Request{})
	if err != nil {
		i.Fatal(err)
	}
	return result.RequeueAfter
}

func (i *installation) secret(name string) *corev1.Secret {
	i.Helper()
	var secret corev1.Secret
	if err := i.Get(i.Context(), types.NamespacedName{Namespace: "registry", Name: name}, &secret); err != nil {
		i.Fatal(err)
	}
	return &secret
}

func (i *installation) ring(name string) keyring.Ring {
	i.Helper()
	ring, err := registration.DecodeKeys(i.secret(name).Data)
	if err != nil {
		i.Fatal(err)
	}
	return ring
}

func (i *installation) signing() string {
	i.Helper()
	key, err := i.ring(registration.KeysSecretName).SigningKey(i.clock.Now())
	if err != nil {
		i.Fatal(err)
	}
	return key.ID()
}

// annotate does what kubectl annotate does.
func (i *installation) annotate(name, value string) {
	i.Helper()
	secret := i.secret(registration.KeysSecretName)
	secret.Annotations = map[string]string{name: value}
	if err := i.Update(i.Context(), secret); err != nil {
		i.Fatal(err)
	}
	i.writes = 0
}

func TestTheFirstManagerMakesTheKeysAndTheNextFindsThem(t *testing.T) {
	i := newInstallation(t)
	if pause := i.reconcile(i.manager()); pause <= 0 || pause > keysecret.LookAgain {
		t.Errorf("looks again after %s", pause)
	}
	if i.writes != 2 {
		t.Errorf("%d writes, want one for the keys and one for their copy", i.writes)
	}
	first := i.signing()
	i.reconcile(i.manager())
	if i.writes != 2 || i.signing() != first {
		t.Errorf("a second manager wrote %d times", i.writes-2)
	}
}

func TestAYearOfRotationsWritesTwiceAKeyAndCopy(t *testing.T) {
	days, want := 365, 13
	if testing.Short() {
		days, want = 95, 4
	}
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	i.writes = 0
	keys := map[string]bool{}
	for end := i.clock.Now().AddDate(0, 0, days); i.clock.Now().Before(end); {
		i.clock.SetTime(i.clock.Now().Add(i.reconcile(r)))
		keys[i.signing()] = true
	}
	if len(keys) != want || i.writes > 4*want {
		t.Errorf("%d keys and %d writes in %d days, want %d and at most %d", len(keys), i.writes, days, want, 4*want)
	}
}

func TestALookByAWrongClockEndsNoKey(t *testing.T) {
	for name, wrong := range map[string]func(time.Time) apiclock.Time{
		"ahead":  func(now time.Time) apiclock.Time { return apiclock.Time{Earliest: now, Latest: now.AddDate(1, 0, 0)} },
		"behind": func(now time.Time) apiclock.Time { return apiclock.Time{Earliest: now.AddDate(-1, 0, 0), Latest: now} },
		"ahead, and alone": func(now time.Time) apiclock.Time {
			return apiclock.Time{Earliest: now.AddDate(1, 0, 0), Latest: now.AddDate(1, 0, 0)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t)
			i.reconcile(i.manager())
			i.clock.SetTime(i.clock.Now().AddDate(0, 0, 15))
			i.reconcile(i.manager())
			signing := i.signing()
			i.time = wrong
			if pause := i.reconcile(i.manager()); pause > apiclock.Apart {
				t.Errorf("looks again after %s", pause)
			}
			if got := i.signing(); got != signing {
				t.Errorf("%s signs, want %s", got, signing)
			}
			i.time = apiclock.At
			i.reconcile(i.manager())
			if got := i.signing(); got != signing {
				t.Errorf("later %s signs, want %s", got, signing)
			}
		})
	}
}

func TestADeletedSecretComesBackWithTheSameKeys(t *testing.T) {
	for name, manager := range map[string]func(i *installation, r *Reconciler) *Reconciler{
		"from the manager's memory": func(i *installation, r *Reconciler) *Reconciler {
			if err := i.Delete(i.Context(), i.secret(copyName)); err != nil {
				i.Fatal(err)
			}
			return r
		},
		"from the copy": func(i *installation, _ *Reconciler) *Reconciler { return i.manager() },
	} {
		t.Run(name, func(t *testing.T) {
			i := newInstallation(t)
			r := i.manager()
			i.reconcile(r)
			before := i.secret(registration.KeysSecretName)
			if err := i.Delete(i.Context(), before); err != nil {
				t.Fatal(err)
			}
			i.reconcile(manager(i, r))
			if after := i.secret(registration.KeysSecretName); string(after.Data["ring.json"]) != string(before.Data["ring.json"]) {
				t.Error("other keys came back")
			}
		})
	}
}

func TestASecretRestoredFromABackupIsBroughtUpToDate(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	backup := i.secret(registration.KeysSecretName).Data
	tainted := i.signing()
	i.annotate(v1alpha1.AnnotationTaint, tainted)
	i.reconcile(r)
	signing := i.signing()
	secret := i.secret(registration.KeysSecretName)
	secret.Data, secret.Annotations = backup, nil
	if err := i.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	i.reconcile(i.manager())
	if i.signing() != signing {
		t.Error("the backup's key signs")
	}
	if _, err := i.ring(registration.KeysSecretName).VerificationKey(tainted, i.clock.Now()); err == nil {
		t.Error("the backup brought a withdrawn key back")
	}
}

func TestAnAnnotationTaintsAKeyOnce(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	tainted := i.signing()
	i.annotate(v1alpha1.AnnotationTaint, " "+tainted+", unknown")
	i.reconcile(r)
	i.reconcile(r)
	if i.writes != 2 || i.signing() == tainted {
		t.Errorf("%d writes, want 2, and another key than %s signs: %s", i.writes, tainted, i.signing())
	}
}

func TestAnAnnotationRotatesOnce(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	first := i.signing()
	i.clock.SetTime(i.clock.Now().Add(24 * time.Hour))
	i.annotate(v1alpha1.AnnotationRotate, "now")
	i.reconcile(r)
	second := i.signing()
	i.reconcile(r)
	if i.writes != 2 || second == first || i.signing() != second {
		t.Errorf("%d writes, want 2; %s, then %s, then %s sign", i.writes, first, second, i.signing())
	}
}

// The whole life of a key, and the end of another, a line each.
func TestTheLifeOfAKeyIsAudited(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	var log bytes.Buffer
	r.Audit = logr.FromSlogHandler(slog.NewJSONHandler(&log, nil))
	type line struct {
		Change, KID string
		At          time.Time
	}
	told := func() []line {
		t.Helper()
		var lines []line
		for text := range bytes.Lines(log.Bytes()) {
			fields := map[string]string{}
			if err := json.Unmarshal(text, &fields); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if names := slices.Sorted(maps.Keys(fields)); !slices.Equal(names, []string{"alg", "at", "change", "kid", "level", "msg", "time"}) {
				t.Errorf("fields %v", names)
			}
			at, err := time.Parse(time.RFC3339, fields["at"])
			if err != nil || fields["msg"] != "signing key" || fields["alg"] != "ES256" {
				t.Errorf("%s (%v)", text, err)
			}
			lines = append(lines, line{Change: fields["change"], KID: fields["kid"], At: at})
		}
		log.Reset()
		return lines
	}
	start := i.clock.Now()
	i.reconcile(r)
	first, second := i.ring(registration.KeysSecretName).Keys()[0].ID(), i.ring(registration.KeysSecretName).Keys()[1].ID()
	since := start.Add(-r.Policy.Skew)
	want := []line{{Change: "published", KID: first, At: since}, {Change: "activated", KID: first, At: since}, {Change: "published", KID: second, At: start}}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("at the start (-want +got):\n%s", diff)
	}

	rotated := since.Add(r.Policy.Period)
	i.clock.SetTime(rotated.Add(time.Minute)) // the manager was away for a minute
	i.reconcile(r)
	third := i.ring(registration.KeysSecretName).Keys()[2].ID()
	want = []line{
		{Change: "retired", KID: first, At: rotated}, {Change: "activated", KID: second, At: rotated},
		{Change: "published", KID: third, At: rotated.Add(time.Minute)},
	}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("at the rotation (-want +got):\n%s", diff)
	}

	i.clock.SetTime(rotated.Add(r.Policy.Retirement))
	i.reconcile(r)
	if diff := cmp.Diff([]line{{Change: "gone", KID: first, At: rotated.Add(r.Policy.Retirement)}}, told()); diff != "" {
		t.Errorf("after its retirement (-want +got):\n%s", diff)
	}

	i.annotate(v1alpha1.AnnotationTaint, second)
	i.reconcile(r)
	i.reconcile(r)
	now := i.clock.Now()
	fourth := i.ring(registration.KeysSecretName).Keys()[1].ID()
	want = []line{
		{Change: "tainted", KID: second, At: now}, {Change: "activated", KID: third, At: now.Add(-r.Policy.Skew)},
		{Change: "published", KID: fourth, At: now},
	}
	if diff := cmp.Diff(want, told()); diff != "" {
		t.Errorf("after the taint (-want +got):\n%s", diff)
	}
}

// TestAWriteThatIsNotAnsweredHasItsLinesAndEvents, once: by the next reconcile, if it was done.
func TestAWriteThatIsNotAnsweredHasItsLinesAndEvents(t *testing.T) {
	i := newInstallation(t)
	r, lines := i.manager(), 0
	r.Audit = funcr.New(func(string, string) { lines++ }, funcr.Options{})
	unanswered := func() {
		t.Helper()
		lines, i.answer = 0, context.DeadlineExceeded
		if _, err := r.Reconcile(t.Context(), ctrl.Request{}); !errors.Is(err, i.answer) || lines > 0 {
			t.Fatalf("%v, and %d lines before it is known that the write was done", err, lines)
		}
		i.answer = nil
		i.reconcile(r)
		i.reconcile(r)
	}
	unanswered()
	if lines != 3 {
		t.Errorf("%d lines about the first keys, want 3", lines)
	}
	i.clock.SetTime(i.clock.Now().Add(24 * time.Hour))
	i.annotate(v1alpha1.AnnotationRotate, "1")
	unanswered()
	if lines == 0 || len(i.events.Events) != 1 {
		t.Errorf("%d lines and %d events about the rotation", lines, len(i.events.Events))
	}
}

func TestASecretThatCannotBeReadIsLeftAlone(t *testing.T) {
	i := newInstallation(t)
	r := i.manager()
	i.reconcile(r)
	secret := i.secret(registration.KeysSecretName)
	secret.Data = map[string][]byte{"ring.json": []byte("broken")}
	if err := i.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	i.writes = 0
	i.reconcile(r)
	if i.writes != 0 {
		t.Errorf("%d writes", i.writes)
	}
}

// Three managers without an election, each seeing what another wrote between its reading and its
// writing: one key a period.
func TestOfSeveralManagersAtOnceOneRotates(t *testing.T) {
	i := newInstallation(t)
	i.reconcile(i.manager())
	i.clock.SetTime(i.clock.Now().Add(30 * 24 * time.Hour))
	late := i.manager()
	late.Live = staleReader{i.Client, map[string]*corev1.Secret{
		registration.KeysSecretName: i.secret(registration.KeysSecretName), copyName: i.secret(copyName),
	}}
	i.reconcile(i.manager())
	want := i.ring(registration.KeysSecretName)
	if _, err := late.Reconcile(t.Context(), ctrl.Request{}); !apierrors.IsConflict(err) {
		t.Errorf("%v, want a conflict", err)
	}
	i.reconcile(i.manager())
	if got := i.ring(registration.KeysSecretName); got.Revision() != want.Revision() || len(got.Keys()) != len(want.Keys()) {
		t.Errorf("%v at revision %d, want %v at %d", got, got.Revision(), want, want.Revision())
	}
}

// staleReader reads what was there before.
type staleReader struct {
	client.Reader

	secrets map[string]*corev1.Secret
}

func (r staleReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	secret, ok := o.(*corev1.Secret)
	if stale := r.secrets[key.Name]; ok && stale != nil {
		stale.DeepCopyInto(secret)
		return nil
	}
	return r.Reader.Get(ctx, key, o, options...)
}

func TestKeysOfANewerVersionStayAsTheyAre(t *testing.T) {
	for name, change := range map[string]func(data map[string][]byte){
		"that this version reads":   func(data map[string][]byte) { data["form.json"] = []byte(`{"version":7,"minReader":1}`) },
		"that only newer ones read": func(data map[string][]byte) { data["form.json"] = []byte(`{"version":7}`) },
		"in another form":           func(data map[string][]byte) { data["ring.json"] = []byte(`{"version":7,"sealed":"x"}`) },
		"with a member of its own": func(data map[string][]byte) {
			data["ring.json"] = bytes.Replace(data["ring.json"], []byte(`"keys"`), []byte(`"later":1,"keys"`), 1)
		},
		"with a member in one of them": func(data map[string][]byte) {
			data["ring.json"] = bytes.Replace(data["ring.json"], []byte(`"algorithm"`), []byte(`"later":1,"algorithm"`), 1)
		},
	} {
		for _, of := range []string{registration.KeysSecretName, copyName} {
			t.Run(name+" in "+of, func(t *testing.T) {
				i := newInstallation(t)
				i.reconcile(i.manager())
				newer := i.secret(of)
				change(newer.Data)
				if err := i.Update(t.Context(), newer); err != nil {
					t.Fatal(err)
				}
				i.annotate(v1alpha1.AnnotationRotate, "now")
				i.clock.SetTime(i.clock.Now().Add(60 * 24 * time.Hour))
				i.reconcile(i.manager())
				if i.writes != 0 || !maps.EqualFunc(newer.Data, i.secret(of).Data, bytes.Equal) {
					t.Errorf("%d writes", i.writes)
				}
			})
		}
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/internal/apiclock"
)

const host = "hallpass.example.com"

// issuer is the controller with a clock that is the test's, and a count of what it writes.
type issuer struct {
	*Reconciler

	clock *clocktesting.FakePassiveClock
	// time is what is certain of the time when the clock shows it.
	time   func(shown time.Time) apiclock.Time
	writes int
}

func newIssuer() *issuer {
	i := &issuer{time: apiclock.At, clock: clocktesting.NewFakePassiveClock(start)}
	written := fake.NewClientBuilder().Build()
	i.Reconciler = &Reconciler{
		Time: func() apiclock.Time { return i.time(i.clock.Now()) }, Random: rand.Reader, SystemNamespace: "system", Names: []string{host},
		Client: interceptor.NewClient(written, interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
				i.writes++
				return c.Create(ctx, o, options...)
			},
			Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
				i.writes++
				return c.Update(ctx, o, options...)
			},
		}),
	}
	return i
}

// step reconciles until nothing is left to do, and returns when it wants to be asked again.
func (i *issuer) step(t *testing.T) time.Duration {
	t.Helper()
	result, err := i.Reconcile(t.Context(), ctrl.Request{})
	if err != nil {
		t.Fatal(err)
	}
	before := i.writes
	if _, err := i.Reconcile(t.Context(), ctrl.Request{}); err != nil || i.writes != before {
		t.Fatalf("a second look wrote %d times (%v)", i.writes-before, err)
	}
	return result.RequeueAfter
}

func (i *issuer) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	var secret corev1.Secret
	if err := i.Client.Get(t.Context(), types.NamespacedName{Namespace: "system", Name: name}, &secret); err != nil {
		t.Fatal(err)
	}
	return &secret
}

// bundle is what callers are given to trust.
func (i *issuer) bundle(t *testing.T) string {
	t.Helper()
	var bundle corev1.ConfigMap
	if err := i.Client.Get(t.Context(), types.NamespacedName{Namespace: "system", Name: BundleConfigMapName}, &bundle); err != nil {
		t.Fatal(err)
	}
	return bundle.Data[BundleKey]
}

// trusts verifies the certificate that is being served as a caller with that bundle does.
func (i *issuer) trusts(t *testing.T, bundle string) error {
	t.Helper()
	serving, err := parsePair(i.secret(t, ServingSecretName).Data)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(bundle))
	_, err = serving.certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: i.clock.Now()})
	return err
}

// Forty years, week by week: callers who take the bundle up to four weeks late trust what is
// served, always.
func TestALateCallerTrustsEveryCertificate(t *testing.T) {
	i := newIssuer()
	var bundles []string // by week
	served, authoritiesSeen := map[string]bool{}, map[string]bool{}
	for week := range 40 * 52 {
		i.clock.SetTime(start.Add(time.Duration(week) * 7 * day))
		i.step(t)
		bundles = append(bundles, i.bundle(t))
		secret := i.secret(t, ServingSecretName)
		served[string(secret.Data[corev1.TLSCertKey])] = true
		authoritiesSeen[string(i.secret(t, AuthoritySecretName).Data[corev1.TLSCertKey])] = true
		for _, late := range []int{0, 4} {
			if err := i.trusts(t, bundles[max(0, week-late)]); err != nil {
				t.Fatalf("week %d: a caller whose bundle is %d weeks old does not trust what is served: %v", week, late, err)
			}
		}
		if n := len(authoritiesIn([]byte(bundles[week]))); n > 2 {
			t.Fatalf("week %d: %d authorities are published", week, n)
		}
	}
	if len(authoritiesSeen) < 5 || len(served) < 200 {
		t.Errorf("in forty years there were %d authorities and %d certificates", len(authoritiesSeen), len(served))
	}
}

func TestTheKeyOfAnAuthorityGoesWhenItIssuesNoMore(t *testing.T) {
	i := newIssuer()
	i.step(t)
	first := i.secret(t, AuthoritySecretName)
	i.clock.SetTime(start.Add(authorityLife * 2 / 3))
	if wait := i.step(t); wait <= 0 || wait > lookAgain {
		t.Errorf("it looks again in %s", wait)
	}
	overlap := i.secret(t, AuthoritySecretName)
	if string(overlap.Data[formerKeyKey]) != string(first.Data[corev1.TLSPrivateKeyKey]) {
		t.Error("the authority before has lost its key while it still issues")
	}
	i.clock.SetTime(i.clock.Now().Add(authorityLead))
	i.step(t)
	after := i.secret(t, AuthoritySecretName)
	if _, there := after.Data[formerKeyKey]; there || string(after.Data[formerCertKey]) != string(first.Data[corev1.TLSCertKey]) {
		t.Errorf("after the lead the Secret has %v", slices.Sorted(maps.Keys(after.Data)))
	}
	if serving, err := parsePair(i.secret(t, ServingSecretName).Data); err != nil || !serving.serves([]string{host}, mustPair(t, after)) {
		t.Errorf("after the lead the newest authority has not issued what is served: %v", err)
	}
}

func mustPair(t *testing.T, secret *corev1.Secret) pair {
	t.Helper()
	p, err := parsePair(secret.Data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestALostAuthorityFailsNobody(t *testing.T) {
	for name, lose := range map[string]func(*issuer, *corev1.Secret) error{
		"its Secret is deleted":     func(i *issuer, s *corev1.Secret) error { return i.Client.Delete(t.Context(), s) },
		"its Secret cannot be read": func(i *issuer, s *corev1.Secret) error { s.Data = nil; return i.Client.Update(t.Context(), s) },
		"another's key is in its own": func(i *issuer, s *corev1.Secret) error {
			s.Data[corev1.TLSPrivateKeyKey] = []byte("x")
			return i.Client.Update(t.Context(), s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer()
			i.step(t)
			before, served := i.bundle(t), i.secret(t, ServingSecretName).Data
			if err := lose(i, i.secret(t, AuthoritySecretName)); err != nil {
				t.Fatal(err)
			}
			i.step(t)
			if err := i.trusts(t, before); err != nil || !maps.EqualFunc(served, i.secret(t, ServingSecretName).Data, slices.Equal) {
				t.Errorf("callers of before do not trust what is served: %v", err)
			}
			i.clock.SetTime(start.Add(authorityLead - time.Hour))
			i.step(t)
			late := i.bundle(t)
			i.clock.SetTime(start.Add(authorityLead))
			i.step(t)
			if err := i.trusts(t, late); err != nil {
				t.Errorf("what the new authority issues is not trusted: %v", err)
			}
			if i.trusts(t, before) == nil {
				t.Error("the authority whose key is lost issues for ever")
			}
		})
	}
}

// Deleting everything is how to get rid of an authority whose key is out.
func TestAllIsMadeAnewWhenAllIsDeleted(t *testing.T) {
	i := newIssuer()
	i.step(t)
	before := i.bundle(t)
	for _, o := range []client.Object{i.secret(t, AuthoritySecretName), i.secret(t, ServingSecretName), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: i.SystemNamespace, Name: BundleConfigMapName}}} {
		if err := i.Client.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	i.step(t)
	if i.trusts(t, i.bundle(t)) != nil || i.trusts(t, before) == nil || len(authoritiesIn([]byte(i.bundle(t)))) != 1 {
		t.Error("the authority before is still trusted")
	}
}

func TestTheAuthorityOfACertificateOfOthersIsPublished(t *testing.T) {
	for named, in := range map[string]string{"": ServingSecretName, "from-cert-manager": "from-cert-manager"} {
		t.Run("in Secret "+in, func(t *testing.T) { publishesTheAuthorityOfOthers(t, named, in) })
	}
}

func publishesTheAuthorityOfOthers(t *testing.T, named, in string) {
	t.Helper()
	i := newIssuer()
	i.Foreign, i.ForeignSecret = true, named
	i.step(t)
	if i.writes != 0 { // the readers of the bundle wait for it
		t.Errorf("before there is a certificate, the manager wrote %d times", i.writes)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.SystemNamespace, Name: in}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey: []byte("of others"), corev1.TLSPrivateKeyKey: []byte("of others"), BundleKey: []byte("their authority"),
	}}
	if err := i.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	i.writes = 0
	i.step(t)
	if got := i.bundle(t); got != "their authority" || i.writes != 1 {
		t.Errorf("published %q in %d writes", got, i.writes)
	}
	// An administrator deletes the Secret to have another certificate, and the other tool takes
	// its time.
	if err := i.Client.Delete(t.Context(), i.secret(t, in)); err != nil {
		t.Fatal(err)
	}
	i.step(t)
	if got := i.bundle(t); got != "their authority" {
		t.Errorf("without the Secret %q is published", got)
	}
	secret.ResourceVersion = ""
	delete(secret.Data, BundleKey) // from now on from one that every machine trusts
	if err := i.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	i.step(t)
	if got := i.bundle(t); got != "" {
		t.Errorf("published %q", got)
	}
}

// TestTheOwnAuthorityIsPublishedUntilAnotherToolReplacesTheCertificate starts the manager for a
// certificate of others where it has made one itself.
func TestTheOwnAuthorityIsPublishedUntilAnotherToolReplacesTheCertificate(t *testing.T) {
	i := newIssuer()
	i.step(t)
	before := i.bundle(t)
	i.Foreign, i.writes = true, 0
	i.step(t)
	if got := i.bundle(t); got != before || i.writes != 0 {
		t.Errorf("callers no longer trust what is served: %q is published, in %d writes", got, i.writes)
	}
	secret, theirs := i.secret(t, ServingSecretName), authority(t, start)
	public := serving(t, theirs, start, host)
	secret.Data = map[string][]byte{corev1.TLSCertKey: public.certPEM, corev1.TLSPrivateKeyKey: public.keyPEM}
	if err := i.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	i.step(t)
	if got := i.bundle(t); got != "" {
		t.Errorf("with a certificate of others %q is published", got)
	}
}

// With an issuer that shows another certificate than the Service, callers have one bundle for both.
func TestTheAuthoritiesOfTheIssuersCertificateAreInTheBundle(t *testing.T) {
	i := newIssuer()
	further := "the first authority\n"
	i.IssuerCA = func() (string, error) { return further, nil }
	if again := i.step(t); again > lookAtFile {
		t.Errorf("the file is read again after %s", again)
	}
	for _, further = range []string{"the first authority\n", "the second authority\n"} {
		i.step(t)
		if bundle := i.bundle(t); !strings.HasSuffix(bundle, "-----END CERTIFICATE-----\n"+further) || i.trusts(t, bundle) != nil {
			t.Errorf("the bundle is %s", bundle)
		}
	}
	i.IssuerCA = func() (string, error) { return "", errors.New("gone") }
	if _, err := i.Reconcile(t.Context(), ctrl.Request{}); err == nil || !strings.HasSuffix(i.bundle(t), further) {
		t.Errorf("without the file the bundle is %s (%v)", i.bundle(t), err)
	}
}

// At a fresh start the cache may lack what was written a moment ago. That is no error, and nothing
// is written over.
func TestACacheThatIsBehindIsNoFailure(t *testing.T) {
	i := newIssuer()
	i.step(t)
	served := i.secret(t, ServingSecretName).Data
	actual, ok := i.Client.(client.WithWatch)
	if !ok {
		t.Fatalf("a client of type %T", i.Client)
	}
	i.Client = interceptor.NewClient(actual, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if key.Name == ServingSecretName {
				return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
			}
			return c.Get(ctx, key, o, options...)
		},
	})
	result, err := i.Reconcile(t.Context(), ctrl.Request{})
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("%v, look again after %s", err, result.RequeueAfter)
	}
	i.Client = actual
	if !maps.EqualFunc(served, i.secret(t, ServingSecretName).Data, slices.Equal) {
		t.Error("another certificate is served")
	}
}

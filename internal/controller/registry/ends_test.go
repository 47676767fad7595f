// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestAnEndThatWasNotAnsweredHasItsLine: each credential that ends with its owner has one audit
// line, also if the API server does what it is asked and does not answer.
func TestAnEndThatWasNotAnsweredHasItsLine(t *testing.T) {
	lost := &apierrors.StatusError{ErrStatus: apierrors.NewInternalError(context.DeadlineExceeded).ErrStatus}
	conflict := apierrors.NewConflict(corev1.Resource("secrets"), "client", nil)
	refused := apierrors.NewForbidden(corev1.Resource("secrets"), "client", nil)
	if lost.ErrStatus.Code != http.StatusInternalServerError {
		t.Fatal("the API server answers otherwise now")
	}
	for name, c := range map[string]struct {
		terminating bool
		// answers are those to the writes, each of which is done but for a refusal; nil
		// once there is none left.
		answers []error
		// early means that the watch shows the deletion before the write has failed, late
		// that the cache shows the first write after the second attempt.
		early, late bool
		want        int
	}{
		"a deletion that is answered":               {want: 1},
		"a deletion":                                {answers: []error{lost}, want: 1},
		"a deletion that the watch shows before":    {answers: []error{lost}, early: true, want: 1},
		"a deletion that is refused":                {answers: []error{refused}, want: 1},
		"a deletion, twice for a late cache":        {answers: []error{lost, conflict}, late: true, want: 1},
		"the emptying, answered":                    {terminating: true, want: 1},
		"the emptying":                              {terminating: true, answers: []error{lost}, want: 1},
		"the emptying, twice for a late cache":      {terminating: true, answers: []error{lost, conflict}, late: true, want: 1},
		"the emptying that is refused the 1st time": {terminating: true, answers: []error{refused}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := registration.Encode(registration.Registration{Client: oauth2.Client{
				ID: "shop.app", UID: "u", Namespace: "shop", Name: "app", Tokens: oauth2.TokenForm{Lifetime: time.Hour},
				Credentials: oauth2.Credentials{Verifiers: []oauth2.Verifier{{ID: "a", Digest: oauth2.Digest{1}, CreatedAt: noon}}},
			}})
			stored := record(t, "client", registration.SecretType, data, err)
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			building := fake.NewClientBuilder().WithScheme(scheme).WithObjects(stored)
			if c.terminating {
				building.WithObjects(&v1alpha1.OAuth2Client{ObjectMeta: ownerMeta("u", true)})
			}
			lines, answers := 0, c.answers
			r := &Reconciler{Policy: &policy.Source{}, RegistryNamespace: registryNamespace, Audit: funcr.New(func(string, string) { lines++ }, funcr.Options{})}
			answer := func(do func() error) error {
				var failure error
				if len(answers) > 0 {
					failure, answers = answers[0], answers[1:]
				}
				if failure == nil || errors.Is(failure, lost) {
					if err := do(); err != nil {
						return err
					}
				}
				if c.early {
					r.afterEnd(t.Context(), event.DeleteEvent{Object: stored}, nil)
				}
				return failure
			}
			cluster := building.WithInterceptorFuncs(interceptor.Funcs{
				Delete: func(ctx context.Context, w client.WithWatch, o client.Object, options ...client.DeleteOption) error {
					return answer(func() error { return w.Delete(ctx, o, options...) })
				},
				Update: func(ctx context.Context, w client.WithWatch, o client.Object, options ...client.UpdateOption) error {
					return answer(func() error { return w.Update(ctx, o, options...) })
				},
			}).Build()
			r.Client, r.Live = cluster, cluster
			cached := func(late bool) *corev1.Secret {
				var now corev1.Secret
				err := cluster.Get(t.Context(), client.ObjectKeyFromObject(stored), &now)
				switch {
				case late:
					return stored.DeepCopy()
				case client.IgnoreNotFound(err) != nil:
					t.Fatal(err)
				case err != nil:
					return nil
				}
				return &now
			}
			stored = cached(false)
			for attempt := range 4 {
				if shown := cached(c.late && attempt == 1); shown != nil {
					_, _ = r.Reconcile(t.Context(), shown)
				}
			}
			if shown := cached(false); shown == nil && !c.early {
				r.afterEnd(t.Context(), event.DeleteEvent{Object: stored}, nil)
			}
			if lines != c.want || len(r.ends.of) > 0 {
				t.Errorf("%d audit lines, want %d; %d writes are remembered", lines, c.want, len(r.ends.of))
			}
		})
	}
}

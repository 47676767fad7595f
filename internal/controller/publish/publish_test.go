// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/publish"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
	"github.com/hallpass-dev/hallpass/internal/wire"
)

const recordType corev1.SecretType = "hallpass.dev/record"

var key = types.NamespacedName{Namespace: "hallpass-registry", Name: "client-x"}

func record() publish.Record {
	return publish.Record{
		NamespacedName: key, Of: "client shop.app", Type: recordType,
		Annotations: map[string]string{v1alpha1.AnnotationClient: "app"}, Data: map[string][]byte{"client": []byte("{}")},
	}
}

func asStored(change func(*corev1.Secret)) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name,
			Labels:      map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			Annotations: map[string]string{v1alpha1.AnnotationClient: "app"},
		},
		Type: recordType, Data: map[string][]byte{"client": []byte("{}")},
	}
	change(secret)
	return secret
}

func TestWhatOthersPutOnARecordStays(t *testing.T) {
	stored := asStored(func(s *corev1.Secret) {
		s.Annotations["by"], s.Finalizers, s.Data["client"] = "a backup tool", []string{"backup.example.com/hold"}, []byte(`{"old":1}`)
	})
	cluster := fake.NewClientBuilder().WithObjects(stored).Build()
	current, err := publish.Read(t.Context(), cluster, key)
	if err != nil {
		t.Fatal(err)
	}
	written, err := publish.Write(t.Context(), cluster, current, record())
	if err != nil {
		t.Fatal(err)
	}
	if written.Annotations["by"] != "a backup tool" || len(written.Finalizers) != 1 || string(written.Data["client"]) != "{}" {
		t.Errorf("%+v", written)
	}
}

func TestARecordIsWrittenOnceAndOnTheVersionOnWhichItWasDecided(t *testing.T) {
	for name, c := range map[string]struct {
		stored *corev1.Secret
		want   []string
	}{
		"a record that does not exist is created":      {nil, []string{"create"}},
		"a record that is the same causes no write":    {asStored(func(*corev1.Secret) {}), nil},
		"an annotation of another client causes none":  {asStored(func(s *corev1.Secret) { s.Annotations["by"] = "a backup tool" }), nil},
		"other data are updated":                       {asStored(func(s *corev1.Secret) { s.Data["client"] = []byte(`{"old":1}`) }), []string{"update"}},
		"a further entry is removed":                   {asStored(func(s *corev1.Secret) { s.Data["more"] = []byte("1") }), []string{"update"}},
		"a missing label is written again":             {asStored(func(s *corev1.Secret) { s.Labels = nil }), []string{"update"}},
		"another owner in the annotations is replaced": {asStored(func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationClient] = "b" }), []string{"update"}},
		"a Secret of another type is replaced":         {asStored(func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }), []string{"delete", "create"}},
	} {
		t.Run(name, func(t *testing.T) {
			var writes []string
			registry := counted(&writes, c.stored)
			before, err := publish.Read(t.Context(), registry, key)
			if err != nil || (before == nil) != (c.stored == nil) {
				t.Fatalf("read %v, %v", before, err)
			}
			returned, err := publish.Write(t.Context(), registry, before, record())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			after, err := publish.Read(t.Context(), registry, key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(after, returned); diff != "" {
				t.Errorf("returned instead of what is stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(record().Data, after.Data); diff != "" || after.Type != recordType {
				t.Errorf("stored type %s, data (-want +got):\n%s", after.Type, diff)
			}
			writes = nil
			if _, err := publish.Write(t.Context(), registry, returned, record()); err != nil || len(writes) > 0 {
				t.Errorf("a second run: %v, %v", writes, err)
			}
		})
	}
}

func TestARecordOfANewerVersionIsNotWrittenOver(t *testing.T) {
	c := oauth2.Client{ID: "shop.app", UID: "u", Namespace: "shop", Name: "app", Tokens: oauth2.TokenForm{Lifetime: time.Hour}}
	own, err := registration.Encode(registration.Registration{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	c.Scopes = []string{"read"}
	changed, err := registration.Encode(registration.Registration{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	document := string(own["client.json"])
	for name, test := range map[string]struct {
		stored string
		wanted map[string][]byte
		newer  bool
		writes []string
	}{
		"one that it can read and that says the same is left alone": {
			stored: strings.Replace(document, `"version":1`, `"version":7,"minReader":1,"later":true`, 1), wanted: own,
		},
		"one that it can read is not changed": {
			stored: strings.Replace(document, `"version":1`, `"version":7,"minReader":1,"later":true`, 1), wanted: changed, newer: true,
		},
		"one that it cannot read is not changed": {stored: strings.Replace(document, `"version":1`, `"version":7`, 1), wanted: own, newer: true},
		"one of this version is changed":         {stored: document, wanted: changed, writes: []string{"update"}},
		"one of an older version is changed": {
			stored: strings.Replace(document, `"version":1`, `"version":0`, 1), wanted: own, writes: []string{"update"},
		},
		"one that is damaged is written again": {stored: `{"version":`, wanted: own, writes: []string{"update"}},
	} {
		t.Run(name, func(t *testing.T) {
			var writes []string
			registry := counted(&writes, asStored(func(s *corev1.Secret) { s.Data = map[string][]byte{"client.json": []byte(test.stored)} }))
			stored, err := publish.Read(t.Context(), registry, key)
			if err != nil {
				t.Fatal(err)
			}
			r := record()
			r.Data = test.wanted
			returned, err := publish.Write(t.Context(), registry, stored, r)
			if errors.Is(err, wire.ErrNewer) != test.newer || (err != nil) != test.newer || returned == nil {
				t.Errorf("%v, %v", returned, err)
			}
			if diff := cmp.Diff(test.writes, writes); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOfTwoManagersOneGetsAConflict(t *testing.T) {
	for name, change := range map[string]func(*corev1.Secret){
		"of the type of records": func(s *corev1.Secret) { s.Data["client"] = []byte("old") },
		"of another type":        func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque },
	} {
		t.Run("a Secret "+name, func(t *testing.T) {
			var writes []string
			registry := counted(&writes, asStored(change))
			stale, err := publish.Read(t.Context(), registry, key)
			if err != nil {
				t.Fatal(err)
			}
			other := stale.DeepCopy()
			other.Annotations["written"] = "meanwhile"
			if err := registry.Update(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			returned, err := publish.Write(t.Context(), registry, stale, record())
			if !apierrors.IsConflict(err) || returned != stale {
				t.Errorf("%v, %v; want a conflict and what was read", returned, err)
			}
		})
	}
}

func TestDataThatTheAPIServerAltersAreAnError(t *testing.T) {
	registry := interceptor.NewClient(counted(new([]string), nil), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if secret, ok := o.(*corev1.Secret); ok {
				secret.Data["injected"] = []byte("by a webhook")
			}
			return c.Create(ctx, o, options...)
		},
	})
	returned, err := publish.Write(t.Context(), registry, nil, record())
	if !errors.Is(err, output.ErrAltered) {
		t.Errorf("%v, want ErrAltered", err)
	}
	if returned == nil || returned.ResourceVersion == "" || len(returned.Data) != 2 {
		t.Errorf("returned %v, want what is stored", returned)
	}
}

// counted is a registry that has a Secret or none, and notes the writes.
func counted(writes *[]string, stored *corev1.Secret) client.WithWatch {
	registry := fake.NewClientBuilder()
	if stored != nil {
		registry.WithObjects(stored)
	}
	return interceptor.NewClient(registry.Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			*writes = append(*writes, "create")
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			*writes = append(*writes, "update")
			return c.Update(ctx, o, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			*writes = append(*writes, "delete")
			return c.Delete(ctx, o, options...)
		},
	})
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

func schemeOfOurs(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func metaOf(namespace, name string, seconds int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(noon.Add(time.Duration(seconds) * time.Second))}
}

func TestOlderObjectsComeFirst(t *testing.T) {
	held := metaOf("shop", "b-held", 1)
	held.Finalizers, held.DeletionTimestamp = []string{"evil.example.com/hold"}, new(metav1.NewTime(noon))
	others := func(of func(metav1.ObjectMeta) client.Object) []client.Object {
		return []client.Object{of(metaOf("shop", "a", 0)), of(held), of(metaOf("shop", "c", 1)), of(metaOf("shop", "d", 2)), of(metaOf("other", "e", 0))}
	}
	for kind, object := range map[string]func(metav1.ObjectMeta) client.Object{
		"OAuth2Client":   func(m metav1.ObjectMeta) client.Object { return &v1alpha1.OAuth2Client{ObjectMeta: m} },
		"OAuth2Token":    func(m metav1.ObjectMeta) client.Object { return &v1alpha1.OAuth2Token{ObjectMeta: m} },
		"OAuth2Resource": func(m metav1.ObjectMeta) client.Object { return &v1alpha1.OAuth2Resource{ObjectMeta: m} },
	} {
		for name, c := range map[string]struct {
			meta   metav1.ObjectMeta
			limit  *int
			beyond bool
		}{
			"without a limit":       {metaOf("shop", "d", 2), nil, false},
			"where none is allowed": {metaOf("shop", "a", 0), new(0), true},
			"the first":             {metaOf("shop", "a", 0), new(1), false},
			"the fourth of four":    {metaOf("shop", "d", 2), new(4), false},
			"the fourth of three, one of them terminating": {metaOf("shop", "d", 2), new(3), true},
			"of one second by name":                        {metaOf("shop", "c", 1), new(2), true},
			"of another namespace":                         {metaOf("other", "e", 0), new(1), false},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				source := &Source{Client: fake.NewClientBuilder().WithScheme(schemeOfOurs(t)).WithObjects(others(object)...).Build()}
				beyond, err := source.Beyond(t.Context(), object(c.meta), c.limit)
				if err != nil || beyond != c.beyond {
					t.Errorf("%v, %v", beyond, err)
				}
			})
		}
	}
}

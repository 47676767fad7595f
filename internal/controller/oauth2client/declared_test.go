// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hallpass-dev/hallpass/internal/controller/attempt"
)

// reducing is a cache that has the names of Secrets alone.
type reducing struct{ client.Reader }

func (r reducing) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	var secret corev1.Secret
	if err := r.Reader.Get(ctx, key, &secret, options...); err != nil {
		return err
	}
	trimmed, err := trimDeclared(func(types.NamespacedName) bool { return false }).Transform(&secret)
	if kept, ok := trimmed.(*corev1.Secret); ok {
		kept.DeepCopyInto(o.(*corev1.Secret)) //nolint:forcetypeassert,errcheck // it is read as nothing else
	}
	return err
}

// TestASecretThatIsOlderThanItsClientIsReadOnce from the API server, and again when it changes.
func TestASecretThatIsOlderThanItsClientIsReadOnce(t *testing.T) {
	server := fake.NewClientBuilder().WithObjects(declaredSecret("app", "u2Fv9Qk1ZpX7mB4nT0sJcA")).Build()
	counted := countingReader{server, map[string]int{}}
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC))
	reader := declaredReader{reducing{server}, counted, &attempt.Proposals[*corev1.Secret]{}, clock}
	read := func() *corev1.Secret {
		t.Helper()
		var secret corev1.Secret
		if err := reader.Get(t.Context(), client.ObjectKeyFromObject(declaredSecret("app", "")), &secret); err != nil {
			t.Fatal(err)
		}
		return &secret
	}
	for _, value := range []string{"u2Fv9Qk1ZpX7mB4nT0sJcA", "Zx9cV8bN7mA6sD5fG4hJ3k"} {
		var stored corev1.Secret
		if err := server.Get(t.Context(), client.ObjectKeyFromObject(declaredSecret("app", "")), &stored); err != nil {
			t.Fatal(err)
		}
		stored.Data[keyClientSecret] = []byte(value)
		if err := server.Update(t.Context(), &stored); err != nil {
			t.Fatal(err)
		}
		clear(counted.read)
		for range 3 {
			if got := read(); string(got.Data[keyClientSecret]) != value || got.ResourceVersion != stored.ResourceVersion || len(got.Labels) == 0 {
				t.Errorf("read %s of version %s", got.Data, got.ResourceVersion)
			}
		}
		if n := counted.read["read *v1.Secret"]; n != 1 {
			t.Errorf("the API server was asked %d times", n)
		}
	}
	clock.SetTime(clock.Now().Add(declaredFor))
	clear(counted.read)
	if read(); counted.read["read *v1.Secret"] != 1 {
		t.Error("it is remembered for ever")
	}
}

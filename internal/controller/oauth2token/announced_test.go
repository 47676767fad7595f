// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2token

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/controller/output"
	"github.com/hallpass-dev/hallpass/internal/controller/policy"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// TestEachTokenIsAnAuditLine: also one whose write was not answered, and that is found by the same
// manager or by the next one. Another manager takes it for announced once it is in the status.
func TestEachTokenIsAnAuditLine(t *testing.T) {
	lost := errors.New("context deadline exceeded")
	for name, c := range map[string]struct {
		// first is there before: without it a first token is made, with it the Secret was
		// edited.
		first bool
		// secret is the answer to the write of the Secret, which is done.
		secret error
		// refused is whether the status cannot be written then.
		refused, restart bool
		want             []string
	}{
		"all is answered":                                  {false, nil, false, false, []string{reasonCreated}},
		"the answer is lost":                               {false, lost, false, false, []string{reasonCreated}},
		"the answer is lost, and the manager ends":         {false, lost, false, true, []string{reasonCreated}},
		"the status is not written":                        {false, nil, true, false, []string{reasonCreated}},
		"the status is not written, and the manager ends":  {false, nil, true, true, []string{reasonCreated, reasonCreated}},
		"the answer to a repair is lost, and it ends then": {true, lost, false, true, []string{reasonRepaired}},
	} {
		t.Run(name, func(t *testing.T) {
			var causes []string
			b := newBench(t, func(line string) {
				if found := regexp.MustCompile(`"cause"="(\w+)"`).FindStringSubmatch(line); found != nil {
					causes = append(causes, found[1])
				}
			})
			if c.first {
				b.look(nil)
				b.scribble()
				causes = nil
			}
			b.secret, b.refused = c.secret, c.refused
			b.look(c.secret)
			b.secret = nil
			if c.restart {
				b.start()
			}
			b.look(nil)
			b.refused = false
			b.look(nil)
			b.start()
			b.look(nil)
			if diff := cmp.Diff(c.want, causes); diff != "" {
				t.Errorf("causes in the audit log (-want +got):\n%s", diff)
			}
		})
	}
}

// TestATokenThatEndsByAWriteThatIsNotAnsweredIsAnAuditLine: the token was edited in its Secret, and
// the write of the record that ends it is done and not answered.
func TestATokenThatEndsByAWriteThatIsNotAnsweredIsAnAuditLine(t *testing.T) {
	for name, done := range map[string]bool{"the write is done": true, "the write is not done": false} {
		t.Run(name, func(t *testing.T) {
			ended := 0
			b := newBench(t, func(line string) {
				if strings.Contains(line, `"change"="ended"`) {
					ended++
				}
			})
			b.look(nil)
			b.scribble()
			b.confirmed, b.done = context.DeadlineExceeded, done
			b.look(b.confirmed)
			if ended != 0 {
				t.Errorf("%d lines before it is known whether the write was done", ended)
			}
			b.confirmed = nil
			b.look(nil)
			b.look(nil)
			if ended != 1 {
				t.Errorf("%d lines", ended)
			}
		})
	}
}

// bench is an API server that loses answers, and a manager.
type bench struct {
	t      *testing.T
	server client.Client
	config Config
	r      *Reconciler
	object *v1alpha1.OAuth2Token
	// secret is the answer to the next write of the Secret, confirmed that to the write of the
	// record after it.
	secret, confirmed error
	// done is whether the write of the record is done that is answered with an error.
	written, done bool
	// refused is whether the status cannot be written.
	refused bool
}

func newBench(t *testing.T, audit func(line string)) *bench {
	t.Helper()
	kinds := runtime.NewScheme()
	ring, err := keyring.Rotate(keyring.Ring{}, keyring.At(noon), keyring.DefaultPolicy(time.Hour), keyring.Order{}, keyring.Generate)
	keys, undone := registration.EncodeKeys(ring.Ring)
	if err := errors.Join(err, undone, v1alpha1.AddToScheme(kinds), scheme.AddToScheme(kinds)); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, object: &v1alpha1.OAuth2Token{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "legacy", UID: "t"}}}
	b.object.Spec.Mode, b.object.Spec.ExpirationTime = v1alpha1.TokenFixed, &metav1.Time{Time: noon.Add(time.Hour)}
	indexed := func(o client.Object) []string { return []string{output.NameOfOwner(o, v1alpha1.AnnotationToken)} }
	b.server = fake.NewClientBuilder().WithScheme(kinds).WithIndex(&corev1.Secret{}, v1alpha1.AnnotationToken, indexed).WithObjects(b.object, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hallpass-registry", Name: registration.KeysSecretName}, Data: keys,
	}).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			return b.write(o, func() error { return c.Create(ctx, o, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			return b.write(o, func() error { return c.Update(ctx, o, options...) })
		},
	}).Build()
	b.config = Config{
		Client: b.server, Live: b.server, Secrets: readCache{from: b.server}, Recorder: events.NewFakeRecorder(10),
		Clock: clocktesting.NewFakeClock(noon), Random: rand.Reader, RegistryNamespace: "hallpass-registry", Policy: &policy.Source{},
		Audit: funcr.New(func(_, line string) { audit(line) }, funcr.Options{}),
	}
	b.start()
	return b
}

// write does a write and returns the answer that is due.
func (b *bench) write(o client.Object, do func() error) error {
	switch {
	case o.GetNamespace() == b.object.Namespace:
		b.written = true
		return errors.Join(do(), b.secret)
	case b.written && b.confirmed != nil && b.done:
		return errors.Join(do(), b.confirmed)
	case b.written && b.confirmed != nil:
		return b.confirmed
	}
	return do()
}

// start replaces the manager by one that remembers nothing.
func (b *bench) start() { b.r = New(b.config) }

// scribble edits the token in the Secret.
func (b *bench) scribble() {
	b.t.Helper()
	var secret corev1.Secret
	if err := b.server.Get(b.t.Context(), client.ObjectKeyFromObject(b.object), &secret); err != nil {
		b.t.Fatal(err)
	}
	secret.Data[keyToken] = []byte("scribble")
	if err := b.server.Update(b.t.Context(), &secret); err != nil {
		b.t.Fatal(err)
	}
}

// look makes a token of a client that is granted one.
func (b *bench) look(want error) {
	b.t.Helper()
	b.written = false
	s := &state{client: oauth2.Client{ID: "shop.app", UID: "c", Name: "app"}, grant: oauth2.Grant{Audience: "a", TokenUID: "t"}, end: noon.Add(time.Hour)}
	var err error
	for _, step := range []func(context.Context, *v1alpha1.OAuth2Token, *state) error{
		b.r.findRecord,
		func(context.Context, *v1alpha1.OAuth2Token, *state) error {
			s.record.ClientID, s.record.ClientUID, s.record.ClientName = s.client.ID, s.client.UID, s.client.Name
			return nil
		},
		b.r.delivery.findSecret, b.r.ensureToken,
	} {
		if err == nil {
			err = step(b.t.Context(), b.object, s)
		}
	}
	if (err == nil) != (want == nil) {
		b.t.Fatalf("%v, want %v", err, want)
	}
	if err == nil && !b.refused {
		b.object.Status.TokenID = s.current.ID
	}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/test/kit/faults"
)

// operation is something that happens to a client, and what has to be true of it whatever the
// manager died of.
type operation struct {
	// overlap is the client's rotation.overlap.
	overlap v1alpha1.Duration
	// fresh operations start without a client; all others with one that is Ready and settled.
	fresh bool
	do    func(t *testing.T, c *v1alpha1.OAuth2Client)
	// keeps is whether the credential that an app held before is still accepted after it.
	keeps bool
	// settled reports whether the operation has arrived.
	settled func(t *testing.T, c *v1alpha1.OAuth2Client, before held) bool
}

// declaredSecret is what the user of the last operation brought along.
const declaredSecret = "u2Fv9Qk1ZpX7mB4nT0sJcA"

func operations() map[string]operation {
	changed := func(t *testing.T, c *v1alpha1.OAuth2Client, before held) bool {
		now := read(t, c).secret
		// a manager that has not begun yet has settled nothing
		return now != "" && now != before.secret
	}
	return map[string]operation{
		"create": {fresh: true, do: create, settled: func(t *testing.T, c *v1alpha1.OAuth2Client, _ held) bool { return read(t, c).secret != "" }},
		"rotate": {
			overlap: "1h", keeps: true, settled: changed,
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				edit(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"} })
			},
		},
		"rotate without overlap": {
			overlap: "0s", settled: changed,
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				edit(t, c, func() { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"} })
			},
		},
		"repair a deleted Secret": {
			overlap: "1h", keeps: true, settled: changed,
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				must(t, cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}}))
			},
		},
		"repair a changed Secret": {
			overlap: "1h", keeps: true, settled: func(t *testing.T, c *v1alpha1.OAuth2Client, before held) bool {
				now := read(t, c).secret
				return now != before.secret && now != "scribble"
			},
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				var secret corev1.Secret
				must(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(c), &secret))
				secret.Data["client_secret"] = []byte("scribble")
				must(t, cluster.Update(t.Context(), &secret))
			},
		},
		"lose the registration": {
			overlap: "1h", keeps: true, settled: func(t *testing.T, c *v1alpha1.OAuth2Client, _ held) bool { return read(t, c).accepted() },
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				// The new registration has a time of its own, in seconds, and only
				// where that differs is there a status to write.
				time.Sleep(time.Until(read(t, c).client.Credentials.Verifiers[0].CreatedAt.Add(1100 * time.Millisecond)))
				must(t, cluster.Delete(t.Context(), &corev1.Secret{ObjectMeta: registrationMeta(c)}))
			},
		},
		"rename the Secret": {
			overlap: "1h", keeps: true,
			settled: func(t *testing.T, c *v1alpha1.OAuth2Client, before held) bool {
				return c.Spec.Secret.Name == "renamed-"+c.Name && read(t, c).secret == before.secret && !exists(t, c.Namespace, c.Name)
			},
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				edit(t, c, func() { c.Spec.Secret.Name = "renamed-" + c.Name })
			},
		},
		"switch to an Existing Secret": {
			overlap: "1h", keeps: true,
			settled: func(t *testing.T, c *v1alpha1.OAuth2Client, _ held) bool {
				return read(t, c).secret == declaredSecret && read(t, c).accepted() && !exists(t, c.Namespace, c.Name)
			},
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				must(t, cluster.Create(t.Context(), &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{
						Namespace: c.Namespace, Name: "declared-" + c.Name, Labels: map[string]string{v1alpha1.LabelCredentials: "true"},
					},
					StringData: map[string]string{"client_secret": declaredSecret},
				}))
				edit(t, c, func() {
					c.Spec.Secret = v1alpha1.SecretSpec{Name: "declared-" + c.Name, Source: v1alpha1.SecretExisting}
				})
			},
		},
		"suspend": {
			overlap: "1h", keeps: true, settled: func(t *testing.T, c *v1alpha1.OAuth2Client, _ held) bool { return read(t, c).client.Suspended },
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) {
				edit(t, c, func() { c.Spec.State = v1alpha1.ClientSuspended })
			},
		},
		"delete": {
			overlap: "1h",
			settled: func(t *testing.T, c *v1alpha1.OAuth2Client, _ held) bool {
				return apierrors.IsNotFound(cluster.Get(t.Context(), client.ObjectKey{Namespace: registrationMeta(c).Namespace, Name: registrationMeta(c).Name}, &corev1.Secret{}))
			},
			do: func(t *testing.T, c *v1alpha1.OAuth2Client) { must(t, cluster.Delete(t.Context(), c)) },
		},
	}
}

// TestNoKillPointLosesACredential kills the manager right before and right after each write of each
// operation. First a run that nothing disturbs counts the writes; then each is a kill point. What
// is there right before a write is what was there right after the one before, so that in every run
// of the tests only the first one has a kill point before it.
func TestNoKillPointLosesACredential(t *testing.T) {
	for name, op := range operations() {
		t.Run(name, func(t *testing.T) {
			writes := undisturbed(t, op)
			if len(writes) == 0 {
				t.Fatal("the operation made no write")
			}
			for n := range writes {
				for _, moment := range []faults.Verdict{faults.CutBefore, faults.DropAnswer} {
					if testing.Short() && moment == faults.CutBefore && n > 0 {
						continue
					}
					when := map[faults.Verdict]string{faults.CutBefore: "before", faults.DropAnswer: "after"}[moment]
					t.Run(fmt.Sprintf("killed %s write %d of %d (%s %s)", when, n+1, len(writes), writes[n].Method, kindOf(writes[n])), func(t *testing.T) {
						killed(t, op, n+1, moment)
					})
				}
			}
		})
	}
	startOnSettled(t).kill(t)
}

// undisturbed runs an operation once and returns its writes.
func undisturbed(t *testing.T, op operation) []faults.Write {
	t.Helper()
	c, before, m := prepare(t, op)
	defer m.kill(t)
	proxy.Reset()
	op.do(t, c)
	m.settles(t, op, c, before)
	return proxy.Writes()
}

// killed runs an operation with the manager killed at its n-th write, and then to its end.
func killed(t *testing.T, op operation, n int, moment faults.Verdict) {
	t.Helper()
	c, before, m := prepare(t, op)
	died := make(chan struct{})
	die := func(faults.Write) {
		m.kill(t)
		close(died)
	}
	proxy.Judge(func(w faults.Write) faults.Verdict {
		switch {
		case w.N < n:
			return faults.Forward
		case w.N > n: // what a dying process still asks for on other connections
			return faults.CutBefore
		case moment == faults.CutBefore:
			die(w)
		}
		return moment
	}, die)
	op.do(t, c)
	if !m.diesOrSettles(t, died, func() bool { return op.settled(t, c, before) }) {
		if n == 1 {
			t.Fatal("the operation made no write")
		}
		// because it was slow, and saw two changes at once
		t.Logf("the manager needed only %d writes", len(proxy.Writes()))
		m.kill(t)
		return
	}

	// What apps hold is accepted although nothing has been tidied up.
	now := read(t, c)
	// it is not promised yet to be accepted
	byUser := now.secret == "scribble" || now.secret == declaredSecret
	if now.secret != "" && !byUser && now.registered && now.owned && !now.accepted() {
		t.Error("right after the kill the value in the user's Secret is not accepted")
	}
	if op.keeps && now.registered && !now.accepts(before.secret) {
		t.Error("right after the kill the credential that the app holds is not accepted")
	}

	proxy.Reset()
	m = startManager(t)
	m.synced(t)
	m.settles(t, op, c, before)
	m.kill(t)

	settled = true
}

// problems are what must not be once everything has come to rest.
func problems(t *testing.T, op operation, c *v1alpha1.OAuth2Client, before held) (found []string) {
	t.Helper()
	now := read(t, c)
	if !now.owned { // deleted
		if now.registered {
			found = append(found, "the registration of a deleted client is still there")
		}
		return found
	}
	if !now.accepted() {
		found = append(found, "the value in the user's Secret is not accepted")
	}
	if op.keeps && !now.accepts(before.secret) {
		found = append(found, "the credential that the app held before is not accepted any more")
	}
	if op.overlap == "0s" && now.accepts(before.secret) {
		found = append(found, "the replaced secret is accepted although the overlap is 0s")
	}
	current := 0
	for _, v := range now.client.Credentials.Verifiers {
		if v.ExpiresAt.IsZero() {
			current++
		}
	}
	if current != 1 {
		found = append(found, fmt.Sprintf("%d current verifiers, want 1: %+v", current, now.client.Credentials.Verifiers))
	}
	return found
}

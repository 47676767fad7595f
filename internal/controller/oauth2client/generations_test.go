// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth2client

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// rotated is a fixture with a client whose secret was rotated, and the registration of before.
func rotated(t *testing.T) (w *world, before *corev1.Secret) {
	t.Helper()
	w = newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	_, before = w.registered("shop.app")
	w.rotate("1")
	return w, before
}

func (w *world) rotate(request string) {
	w.t.Helper()
	w.askToRotate("app", request)
	w.rest("app")
}

// putBack restores the registration as a backup has it.
func (w *world) putBack(backup *corev1.Secret) {
	w.t.Helper()
	_, now := w.registered("shop.app")
	now.Data, now.Annotations = backup.Data, backup.Annotations
	w.must(w.server.Update(w.t.Context(), now))
}

func keysOf(r *Reconciler) generationKeys {
	return generationKeys{r.Client, r.Live, r.RegistryNamespace, r.Random, &r.memory.generationKey}
}

func (w *world) generationKey() *corev1.Secret {
	w.t.Helper()
	var found corev1.Secret
	w.must(w.server.Get(w.t.Context(), types.NamespacedName{Namespace: registryOfWorld, Name: registration.GenerationKeySecretName}, &found))
	return &found
}

func TestAFirstSecretTakesNoKeyAndNoProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.create(clientOfWorld("app"))
	w.rest("app")
	if _, there := w.secret("app").Annotations[v1alpha1.AnnotationGeneration]; there || len(w.writes) != 3 {
		t.Errorf("a proof: %t; writes %q", there, w.writes)
	}
}

func TestARotationProvesItsGenerationWithoutAnotherWrite(t *testing.T) {
	t.Parallel()
	w, _ := rotated(t)
	if proof := w.secret("app").Annotations[v1alpha1.AnnotationGeneration]; !strings.HasPrefix(proof, "1.") {
		t.Errorf("the Secret proves %q", proof)
	}
	before := len(w.writes)
	w.rotate("2")
	wants := []string{"update Secret hallpass-registry/", "update Secret shop/app", "update Secret hallpass-registry/", "status OAuth2Client shop/app"}
	if !slices.EqualFunc(w.writes[before:], wants, strings.HasPrefix) {
		t.Errorf("writes of a rotation: %q", w.writes[before:])
	}
}

// TestWhatApplicationsHoldOutlivesABackupOfTheRegistry: their secret is still accepted, and what
// was rotated out ends when it was to end.
func TestWhatApplicationsHoldOutlivesABackupOfTheRegistry(t *testing.T) {
	t.Parallel()
	w, backup := rotated(t)
	w.rotate("2")
	held := w.value("app")
	w.pass(23 * time.Hour)
	w.putBack(backup)
	w.start() // no manager has to remember anything
	before := len(w.writes)
	w.rest("app")
	if w.value("app") != held || !w.accepts("shop.app", held) {
		t.Error("what applications hold is replaced or refused")
	}
	if secret := "Secret shop/"; slices.ContainsFunc(w.writes[before:], func(line string) bool { return strings.Contains(line, secret) }) {
		t.Errorf("the Secret was written: %q", w.writes[before:])
	}
	r, _ := w.registered("shop.app")
	if r.Rotation.Generation != 2 || len(r.Client.Credentials.Verifiers) != 2 || w.get("app").Status.Rotation.HandledRequest != "2" {
		t.Errorf("registered is %+v", r)
	}
	w.pass(70 * time.Minute)
	w.rest("app")
	if r, _ := w.registered("shop.app"); len(r.Client.Credentials.Verifiers) != 1 {
		t.Errorf("what was rotated out is accepted after its overlap: %+v", r.Client.Credentials.Verifiers)
	}
	if adopted := strings.Count(strings.Join(w.audit, "\n"), `"change"="adopted"`); adopted != 1 {
		t.Errorf("%d audit lines tell of it: %q", adopted, w.audit)
	}
}

// TestAProofOfTheTenantsOwnMakingCountsForNothing: of another client, of another value, of a
// made-up number.
func TestAProofOfTheTenantsOwnMakingCountsForNothing(t *testing.T) {
	t.Parallel()
	w, _ := rotated(t)
	old, oldProof := w.value("app"), w.secret("app").Annotations[v1alpha1.AnnotationGeneration]
	c := w.get("app")
	c.Spec.Rotation.Overlap = "0s"
	w.must(w.server.Update(t.Context(), c))
	w.rotate("2")
	now := w.secret("app").Annotations[v1alpha1.AnnotationGeneration]
	for name, proof := range map[string]string{
		"its own, which is lower": oldProof, "that of the value of now": now, "a higher number": "9" + oldProof, "none": "",
	} {
		s := w.secret("app")
		s.Data[keyClientSecret], s.Annotations[v1alpha1.AnnotationGeneration] = []byte(old), proof
		w.must(w.server.Update(t.Context(), s))
		w.pass(time.Hour)
		w.rest("app")
		if w.accepts("shop.app", old) || w.value("app") == old {
			t.Errorf("%s: what was rotated out is accepted", name)
		}
	}
}

func TestAManagerWhoseCacheIsLateReadsTheGenerationKey(t *testing.T) {
	t.Parallel()
	w, _ := rotated(t)
	key := w.generationKey()
	delete(w.cached, w.key(key))
	got, err := keysOf(w.manager()).read(t.Context())
	if err != nil || string(got.Reveal()) != string(key.Data["key"]) || w.generationKey().ResourceVersion != key.ResourceVersion {
		t.Errorf("%v, or another key", err)
	}
}

func TestOfTwoManagersOneMakesTheGenerationKey(t *testing.T) {
	t.Parallel()
	w, _ := rotated(t)
	theirs := w.generationKey()
	theirs.ResourceVersion = ""
	other := newWorld(t)
	other.refuse = func(string, client.Object) error {
		other.refuse = nil
		return other.server.Create(t.Context(), theirs) // a moment before
	}
	got, err := keysOf(other.manager()).ensure(t.Context())
	if err != nil || string(got.Reveal()) != string(theirs.Data["key"]) {
		t.Errorf("%v, or another key", err)
	}
}

func TestALostGenerationKeyIsStoredAgainByAManagerThatRemembersIt(t *testing.T) {
	t.Parallel()
	w, backup := rotated(t)
	key, held := w.generationKey(), w.value("app")
	w.must(w.server.Delete(t.Context(), key))
	w.putBack(backup)
	w.rest("app")
	if again := w.generationKey(); string(again.Data["key"]) != string(key.Data["key"]) || w.value("app") != held {
		t.Error("it is another key, or a value was replaced")
	}
}

// TestAnotherGenerationKeyRotatesNothing: no process remembers the one that was lost.
func TestAnotherGenerationKeyRotatesNothing(t *testing.T) {
	t.Parallel()
	w, backup := rotated(t)
	proof, held := w.secret("app").Annotations[v1alpha1.AnnotationGeneration], w.value("app")
	w.must(w.server.Delete(t.Context(), w.generationKey()))
	w.start()
	w.rest("app")
	if again := w.secret("app").Annotations[v1alpha1.AnnotationGeneration]; again == proof || !strings.HasPrefix(again, "1.") || w.value("app") != held {
		t.Errorf("the Secret proves %q, or its value was replaced", again)
	}
	w.putBack(backup)
	w.rest("app")
	if w.value("app") != held {
		t.Error("the new key proves nothing")
	}
}

// TestADamagedGenerationKeyHoldsUpNoRegistration: it is not written over, and what Secrets prove by
// it stays until it is put back.
func TestADamagedGenerationKeyHoldsUpNoRegistration(t *testing.T) {
	t.Parallel()
	w, _ := rotated(t)
	proof, held := w.secret("app").Annotations[v1alpha1.AnnotationGeneration], w.value("app")
	damaged := w.generationKey()
	damaged.Data["key"] = append(damaged.Data["key"], '\n')
	w.must(w.server.Update(t.Context(), damaged))
	w.sync()
	for _, restarted := range []bool{false, true} {
		if restarted {
			w.start()
		}
		scope := v1alpha1.Scope(fmt.Sprint("scope-", restarted))
		w.edit("app", func(c *v1alpha1.OAuth2Client) {
			c.Spec.Scopes = []v1alpha1.Scope{scope}
			// the Secret is written
			c.Spec.Secret.Labels = v1alpha1.SecretLabels{"restarted": v1alpha1.LabelValue(fmt.Sprint(restarted))}
		})
		w.rest("app")
		if r, _ := w.registered("shop.app"); !slices.Equal(r.Client.Scopes, []string{string(scope)}) {
			t.Errorf("restarted %t: the scopes %v are registered", restarted, r.Client.Scopes)
		}
		if got := w.secret("app"); got.Annotations[v1alpha1.AnnotationGeneration] != proof || w.value("app") != held || got.Labels["restarted"] != fmt.Sprint(restarted) {
			t.Errorf("restarted %t: the Secret is %v, or its value was replaced", restarted, got.ObjectMeta)
		}
	}
	if w.generationKey().ResourceVersion != damaged.ResourceVersion {
		t.Error("the key was written over")
	}
	w.rotate("2")
	if w.value("app") == held {
		t.Error("no secret can be rotated")
	}
}

// TestALostRegistrationIsCountedFromTheStatus: the Secret proves nothing, its registration is lost
// and made again, and then a backup of it comes.
func TestALostRegistrationIsCountedFromTheStatus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// reported makes the generation in the status another one, deleted is whether the
		// Secret is lost, too.
		reported func(int64) int64
		deleted  bool
		// number is the generation of the registration that is made again.
		number  int64
		outlive bool
	}{
		"the status is as it was":                   {func(n int64) int64 { return n }, false, 2, true},
		"the Secret is lost, too":                   {func(n int64) int64 { return n }, true, 3, true},
		"the status of a backup, which is older":    {func(int64) int64 { return 1 }, false, 1, false},
		"a status without it":                       {func(int64) int64 { return 0 }, false, 0, false},
		"a number that a tenant made up":            {func(int64) int64 { return 1000 }, false, 1000, true},
		"the highest number there is":               {func(int64) int64 { return math.MaxInt64 }, false, 1 << 52, true},
		"the highest number there is, and a Secret": {func(int64) int64 { return math.MaxInt64 }, true, 1<<52 + 1, true},
		"a negative one":                            {func(int64) int64 { return math.MinInt64 }, false, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := rotated(t)
			_, backup := w.registered("shop.app")
			w.rotate("2")
			if got := w.get("app").Status.Rotation.Generation; got != 2 {
				t.Fatalf("the status has generation %d", got)
			}
			o := w.get("app")
			o.Status.Rotation.Generation = c.reported(2)
			w.must(w.server.Status().Update(t.Context(), o))
			s := w.secret("app")
			if c.deleted {
				w.must(w.server.Delete(t.Context(), s))
			} else {
				s.Annotations = nil
				w.must(w.server.Update(t.Context(), s))
			}
			_, lost := w.registered("shop.app")
			w.must(w.server.Delete(t.Context(), lost))
			w.rest("app")
			held := w.value("app")
			if r, _ := w.registered("shop.app"); r.Rotation.Generation != c.number || !w.accepts("shop.app", held) {
				t.Errorf("registered is %+v", r)
			}
			w.pass(25 * time.Hour)
			w.putBack(backup)
			w.rest("app")
			r, _ := w.registered("shop.app")
			if outlives := w.value("app") == held; outlives != c.outlive || !w.accepts("shop.app", w.value("app")) {
				t.Errorf("what applications hold outlives the backup: %t", outlives)
			}
			if accepted := len(r.Client.Credentials.Verifiers); c.outlive && accepted != 1 {
				t.Errorf("%d secrets are accepted: %+v", accepted, r.Client.Credentials.Verifiers)
			}
			before := r.Rotation.Generation
			w.rotate("3")
			if r, _ := w.registered("shop.app"); w.value("app") == held || r.Rotation.Generation != before+1 || w.get("app").Status.Rotation.Generation != before+1 {
				t.Errorf("after a rotation of generation %d: %+v", before, r.Rotation)
			}
		})
	}
}

// TestAStatusDoesNotCountWhileThereIsARegistration: a number that a tenant made up gives a replaced
// secret nothing.
func TestAStatusDoesNotCountWhileThereIsARegistration(t *testing.T) {
	t.Parallel()
	w, _ := rotated(t)
	old := w.value("app")
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Rotation.Overlap = "0s" })
	w.rotate("2")
	o := w.get("app")
	o.Status.Rotation.Generation = 1000
	w.must(w.server.Status().Update(t.Context(), o))
	s := w.secret("app")
	s.Data[keyClientSecret], s.Annotations = []byte(old), nil
	w.must(w.server.Update(t.Context(), s))
	w.rest("app")
	if r, _ := w.registered("shop.app"); w.accepts("shop.app", old) || w.value("app") == old || r.Rotation.Generation != 3 || w.get("app").Status.Rotation.Generation != 3 {
		t.Errorf("what was rotated out is accepted, or the number counts: %+v", r.Rotation)
	}
}

// TestASecretThatIsRenamedKeepsItsValueWhenTheRegistryIsPutBack: both at once.
func TestASecretThatIsRenamedKeepsItsValueWhenTheRegistryIsPutBack(t *testing.T) {
	t.Parallel()
	w, backup := rotated(t)
	held := w.value("app")
	w.putBack(backup)
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "other" })
	w.rest("app")
	if w.value("other") != held || !w.accepts("shop.app", held) {
		t.Error("what applications hold is replaced or refused")
	}
}

// TestALookMakesNoGenerationKey: the registry was put back without the key, and its writes are
// refused. What is in the Secret is refused then, and the client is not Ready.
func TestALookMakesNoGenerationKey(t *testing.T) {
	t.Parallel()
	w, backup := rotated(t)
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Rotation.Overlap = "0s" })
	w.rest("app")
	w.must(w.server.Delete(t.Context(), w.generationKey()))
	w.putBack(backup)
	w.start()
	w.refuse = func(_ string, o client.Object) error {
		if o.GetNamespace() == registryOfWorld {
			return errForbidden
		}
		return nil
	}
	before := len(w.writes)
	w.tries("app", time.Minute, time.Second)
	ready := w.condition("app", v1alpha1.ConditionReady)
	if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(ready.Message, "register the client") {
		t.Errorf("Ready is %+v", ready)
	}
	if made := "create Secret hallpass-registry/generation-key refused"; slices.Contains(w.writes[before:], made) {
		t.Errorf("a look has tried to make the key: %q", w.writes[before:])
	}
}

// TestARestoredNamespaceRotatesNothingThoughItsFirstLookIsRefused: the request to rotate came with
// the client, and the status that reports the refusal must not make it a new one.
func TestARestoredNamespaceRotatesNothingThoughItsFirstLookIsRefused(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(w *world){
		"the registration is refused": func(w *world) {
			w.refuse = func(_ string, o client.Object) error {
				if o.GetNamespace() == registryOfWorld {
					return errForbidden
				}
				return nil
			}
		},
		"the Secret has a name that is not the client's": func(w *world) {
			w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "taken" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.create(clientOfWorld("app"))
			w.rotate("1")
			held, before := w.value("app"), w.get("app")
			_, lost := w.registered("shop.app")
			w.must(w.server.Delete(t.Context(), lost))
			w.must(w.server.Delete(t.Context(), before))
			w.create(&v1alpha1.OAuth2Client{ObjectMeta: metav1.ObjectMeta{Name: "app", Annotations: before.Annotations}, Spec: before.Spec})
			refuse(w)
			w.tries("app", time.Minute, 10*time.Second)
			if ready := w.condition("app", v1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse {
				t.Fatalf("nothing is refused: %+v", ready)
			}
			w.refuse = nil
			w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "" })
			w.rest("app")
			if w.value("app") != held {
				t.Errorf("rotated: %q", w.writes)
			}
			w.askToRotate("app", "2")
			w.rest("app")
			if w.value("app") == held {
				t.Error("not rotated by a request that came later")
			}
		})
	}
}

// TestABackupRotatesNothingAfterALookThatWasStopped: a request that the status reports as handled
// stays handled, whatever is in the registration that was put back.
func TestABackupRotatesNothingAfterALookThatWasStopped(t *testing.T) {
	t.Parallel()
	w, backup := rotated(t)
	held := w.value("app")
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "taken" })
	w.tries("app", time.Minute, 10*time.Second)
	w.putBack(backup)
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Scopes = []v1alpha1.Scope{"read"} })
	w.tries("app", time.Minute, 10*time.Second)
	w.edit("app", func(c *v1alpha1.OAuth2Client) { c.Spec.Secret.Name = "" })
	w.rest("app")
	if w.value("app") != held {
		t.Errorf("rotated again: %q", w.writes)
	}
}

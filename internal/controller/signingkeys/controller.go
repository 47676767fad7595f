// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package signingkeys moves the keys that tokens are signed with through their lives, and keeps
// them in the registry namespace: in one Secret that the token servers read, and a copy of it that
// only managers read.
package signingkeys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/apiclock"
	"github.com/hallpass-dev/hallpass/internal/controller/keysecret"
	"github.com/hallpass-dev/hallpass/internal/jws"
	"github.com/hallpass-dev/hallpass/internal/keyring"
	"github.com/hallpass-dev/hallpass/internal/registration"
)

// copyName is the name of the copy. Token servers read no keys under this name.
const copyName = registration.KeysSecretName + "-copy"

// Reconciler keeps the key ring.
type Reconciler struct {
	// Client writes, and its cache wakes the controller.
	Client client.Client
	// Live reads from the API server itself: what a ring becomes is random, so it is decided on
	// what is there now.
	Live client.Reader
	// Time is the present time, as the responses to what was read let it be known.
	Time              func() apiclock.Time
	Policy            keyring.Policy
	RegistryNamespace string
	// Generate makes private keys; keyring.Generate outside of tests.
	Generate func(jws.Algorithm) (crypto.Signer, error)

	// Audit gets a line for each state that a key comes into.
	Audit    logr.Logger
	Recorder events.EventRecorder

	// held is the last ring that was read or written here. There is one worker.
	held keyring.Ring
	// unanswered is the last write of the ring of the token servers.
	unanswered keysecret.Unanswered
	// reported is what events have reported about annotations: no event is repeated while an
	// annotation stays.
	reported map[string]string
}

// Reconcile moves the ring on to now and keeps both Secrets at it. A ring that cannot be read is
// left alone: token servers hold the last good one, and writing over it would lose keys in use. So
// is one that a newer version wrote: its key keeps signing.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	kept, err := r.read(ctx, registration.KeysSecretName)
	if errors.Is(err, keyring.ErrUnreadable) {
		ctrl.LoggerFrom(ctx).Error(err, "cannot read the signing keys; token servers continue with those they hold. "+
			"Restore the Secret, or annotate it with "+v1alpha1.AnnotationAllowDeletion+"=true and delete it to have it made again from the manager's copy",
			"secret", registration.KeysSecretName)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	spare, err := r.read(ctx, copyName)
	// a copy that cannot be read is written again
	if err != nil && !errors.Is(err, keyring.ErrUnreadable) {
		return ctrl.Result{}, err
	}
	for _, s := range []stored{kept, spare} {
		if err := registration.CheckWrite(s.secret.Data); err != nil {
			ctrl.LoggerFrom(ctx).Info("a newer version wrote the signing keys: no key is rotated or tainted until a manager of that version runs",
				"secret", s.secret.Name, "reason", err.Error())
			return ctrl.Result{}, nil
		}
	}
	r.unanswered.Read(kept.secret)
	now := r.Time()
	ring := r.latest(kept.ring, spare.ring, now.Earliest)
	order := r.order(kept.secret, ring, now.Earliest)
	rotation, err := keyring.Rotate(ring, keyring.Time(now), r.Policy, order, r.Generate)
	if err != nil {
		return ctrl.Result{}, err
	}
	data, err := registration.EncodeKeys(rotation.Ring)
	if err != nil {
		return ctrl.Result{}, err
	}
	// in this order: a key counts as published once token servers can read it
	err = r.store().Write(ctx, kept.secret, data)
	r.unanswered.Written(data, err, func() {
		r.audit(rotation.Changes)
		r.reportRotation(kept.secret, rotation, now.Earliest)
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	r.held = rotation.Ring
	if err := r.store().Write(ctx, spare.secret, data); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: keysecret.Pause(rotation.Next, now)}, nil
}

// changeWords are what the audit lines call that a key came into a state.
var changeWords = map[keyring.State]string{ //nolint:gochecknoglobals // a constant table
	keyring.Published: "published", keyring.Active: "activated", keyring.Retired: "retired", keyring.Gone: "gone", keyring.Tainted: "tainted",
}

// audit writes the changes of keys, right after the write that made it true. Token servers act on
// an instant, such as that at which a key becomes active, by themselves: at is when it was.
func (r *Reconciler) audit(changes []keyring.Change) {
	for _, change := range changes {
		r.Audit.Info("signing key", "change", changeWords[change.State], "kid", change.KeyID, "alg", string(change.Algorithm),
			"at", change.At.UTC().Format(time.RFC3339))
	}
}

// latest is the ring to continue from: that of the token servers, unless this manager or the copy
// has a later one. Then it was deleted or restored from a backup, and its keys only verify.
func (r *Reconciler) latest(kept, spare keyring.Ring, now time.Time) keyring.Ring {
	latest := kept
	for _, other := range []keyring.Ring{spare, r.held} {
		switch {
		case latest.Empty():
			latest = other
		case !other.Empty() && other.Revision() > latest.Revision():
			latest = keyring.Merge(latest, other, now)
		}
	}
	return latest
}

// order reads what an administrator asks for by annotations on the Secret.
func (r *Reconciler) order(secret *corev1.Secret, ring keyring.Ring, now time.Time) keyring.Order {
	order := keyring.Order{Rotation: secret.Annotations[v1alpha1.AnnotationRotate]}
	var unknown []string
	for kid := range strings.SplitSeq(secret.Annotations[v1alpha1.AnnotationTaint], ",") {
		if kid = strings.TrimSpace(kid); kid == "" {
			continue
		}
		if _, err := ring.VerificationKey(kid, now); errors.Is(err, keyring.ErrUnknownKey) {
			unknown = append(unknown, kid)
		}
		order.Taint = append(order.Taint, kid)
	}
	note := ""
	if len(unknown) > 0 {
		note = fmt.Sprintf("No signing key is called %s, so nothing was tainted by that; look the kid up in the JWK set, and correct the annotation %s",
			strings.Join(unknown, ", "), v1alpha1.AnnotationTaint)
	}
	r.report(secret, corev1.EventTypeWarning, reasonUnknownKey, note)
	return order
}

// The reasons of the events on the Secret of the signing keys.
const (
	reasonUnknownKey = "UnknownSigningKey"
	reasonWaits      = "SigningKeyRotationWaits"
	reasonOrdered    = "SigningKeyRotationOrdered"
)

// reportRotation reports that a rotation which an annotation orders waits, or when its key signs.
func (r *Reconciler) reportRotation(secret *corev1.Secret, rotation keyring.Rotation, now time.Time) {
	waits := ""
	if rotation.Waits {
		waits = "The ordered rotation of the signing keys waits: an algorithm has no published key that could sign next, or the clocks of the manager and of " +
			"the API server differ. It is carried out as soon as that is over"
	}
	r.report(secret, corev1.EventTypeWarning, reasonWaits, waits)
	if !rotation.Ordered {
		return
	}
	signs := now
	for _, key := range rotation.Ring.Keys() {
		if key.State(now) == keyring.Published && key.ActiveAt.After(now) && (signs.Equal(now) || key.ActiveAt.Before(signs)) {
			signs = key.ActiveAt
		}
	}
	r.report(secret, corev1.EventTypeNormal, reasonOrdered, fmt.Sprintf(
		"The next signing key signs from %s on, as it was ordered: by then verifiers know it", signs.UTC().Format(time.RFC3339)))
}

// report emits an event unless it is the one that was emitted last for that reason. "" means that
// the reason is over.
func (r *Reconciler) report(secret *corev1.Secret, kind, reason, note string) {
	if r.reported == nil {
		r.reported = map[string]string{}
	}
	if r.reported[reason] == note {
		return
	}
	r.reported[reason] = note
	if note != "" {
		regarding := &corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name, UID: secret.UID},
		}
		r.Recorder.Eventf(regarding, nil, kind, reason, "ReadAnnotation", "%s", note)
	}
}

// SetupWithManager sets up what wakes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return keysecret.SetUp(mgr, "signingkeys", r.RegistryNamespace, []string{registration.KeysSecretName, copyName}, r)
}

// stored is a Secret of keys and the ring in it; both are empty, but for the name, where there is
// none.
type stored struct {
	secret *corev1.Secret
	ring   keyring.Ring
}

// read reads a Secret of keys. Where it wraps keyring.ErrUnreadable, the Secret is returned with
// the error.
func (r *Reconciler) read(ctx context.Context, name string) (stored, error) {
	secret, err := r.store().Read(ctx, name)
	if err != nil {
		return stored{}, err
	}
	s := stored{secret: secret}
	if secret.ResourceVersion != "" {
		s.ring, err = registration.DecodeKeys(secret.Data)
	}
	return s, err
}

func (r *Reconciler) store() keysecret.Store {
	return keysecret.Store{Client: r.Client, Live: r.Live, Namespace: r.RegistryNamespace, Type: registration.KeysSecretType, Of: "signing keys"}
}

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
	"github.com/hallpass-dev/hallpass/internal/revocation"
	"github.com/hallpass-dev/hallpass/internal/strictjson"
)

const (
	// redeemTimeout bounds the wait of a caller that redeems a code, and redeemTries the
	// writes: a transient error is seen by no caller.
	redeemTimeout = 5 * time.Second
	redeemTries   = 3
	redeemBackoff = 100 * time.Millisecond
	// redeemRetry is the Retry-After of a code that could not be redeemed.
	redeemRetry = 5 * time.Second
)

// errRedeemedOtherwise means that the code was redeemed by another attempt.
var errRedeemedOtherwise = errors.New("another attempt redeemed the code")

// Redeem records that a code is redeemed by an attempt, and reports whether that attempt is the
// first. The API server decides: of several attempts, at whichever replicas, one creates the object
// that is named by the code. An attempt whose write has succeeded without an answer finds itself.
// An error means that it is not known, and refuses the caller for now.
func (d *Directory) Redeem(ctx context.Context, r revocation.Redemption) (first bool, err error) {
	name, live := r.Name(), &d.memory.Revocations.Redemptions
	if err := live.Reserve(name, r.Client); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, redeemTimeout)
	defer cancel()
	for tries := 0; ; {
		err = d.api.redeem(ctx, name, r)
		var wait time.Duration
		tries, wait = nextTry(err, tries)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, errRedeemedOtherwise):
			return false, nil
		case apierrors.IsForbidden(err), apierrors.IsInvalid(err), tries == redeemTries, !pause(ctx, wait):
			// one that was created without an answer is counted when the watch brings
			// it
			live.Remove(name)
			return false, fmt.Errorf("%w: %w", errNotRedeemed(), err)
		}
	}
}

// nextTry returns how many tries have failed after an error, and how long the next one waits. An
// answer with a Retry-After is no failed try, because the API server is there: redeemTimeout bounds
// the number of those.
func nextTry(err error, tries int) (failed int, wait time.Duration) {
	if seconds, _ := apierrors.SuggestsClientDelay(err); seconds > 0 {
		return tries, time.Duration(seconds) * time.Second
	}
	return tries + 1, redeemBackoff << (tries + 1)
}

func errNotRedeemed() error {
	return &oauth2.Error{
		Code: oauth2.TemporarilyUnavailable, Reason: oauth2.ReasonGrantNotDurable, RetryAfter: redeemRetry,
		Description: "the code cannot be redeemed right now; try again after Retry-After, or log in again",
	}
}

// redeem creates the TokenRevocation of a redemption. If there is one already, nil means that the
// same attempt created it.
func (a api) redeem(ctx context.Context, name string, r revocation.Redemption) error {
	err := a.revocations.create(ctx, bodyOf(a.namespace, name, r))
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	var there v1alpha1.TokenRevocation
	if err := a.hallpass.Get().Namespace(a.namespace).Resource(resourceRevocations).Name(name).Do(ctx).Into(&there); err != nil {
		return err //nolint:wrapcheck // the caller knows what it is about
	}
	if redeemed := revocation.ReadRedemption(&there); redeemed == nil || redeemed.Attempt != r.Attempt || redeemed.GrantID != r.GrantID {
		return errRedeemedOtherwise
	}
	return nil
}

// Redemptions returns how many redemptions exist, as far as memory knows.
func (d *Directory) Redemptions() int { return d.memory.Revocations.Redemptions.Len() }

// bodyRoom and partRoom are the capacity for the JSON of a redemption and of its parts, unless a
// client_id is long.
const bodyRoom, partRoom = 1 << 10, 1 << 9

// bodyOf is the TokenRevocation of a redemption in JSON. Without reflection it takes a fifth of the
// time, and each login makes one.
func bodyOf(namespace, name string, r revocation.Redemption) []byte {
	part := func() *strictjson.Builder { return strictjson.NewBuilder(make([]byte, 0, partRoom)) }
	labels := part().Text(v1alpha1.LabelManagedBy, v1alpha1.ManagedBy).Text(v1alpha1.LabelRevocationBatch, name).End()
	metadata := part().Text("namespace", namespace).Text("name", name).Raw("labels", labels).End()
	redemption := part().Text("clientID", r.Client.ID).Text("namespace", r.Client.Namespace).Text("grantID", r.GrantID).
		Text("attempt", r.Attempt).Time("expiresAt", r.ExpiresAt.UTC().Truncate(time.Second)).End()
	spec := part().Number("version", revocation.Version).Number("minReader", revocation.OldestReader).Raw("redemption", redemption).End()
	return strictjson.NewBuilder(make([]byte, 0, bodyRoom)).Text("apiVersion", v1alpha1.GroupVersion.String()).Text("kind", "TokenRevocation").
		Raw("metadata", metadata).Raw("spec", spec).End()
}

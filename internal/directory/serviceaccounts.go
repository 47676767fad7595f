// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hallpass-dev/hallpass/internal/directory/memory"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

// What the API server publishes about the tokens of its service accounts. The keys are always read
// there: the document names an address for them, too, and this process never dials an address from
// a document.
const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/openid/v1/jwks"
	reviewsPath   = "/apis/authentication.k8s.io/v1/tokenreviews"
)

// trustRefresh is how often issuer and keys are read again, so that a key that the cluster has
// withdrawn is not honoured for long; trustRetry is how soon after a failure.
const (
	trustRefresh = 5 * time.Minute
	trustRetry   = 15 * time.Second
	trustTimeout = 10 * time.Second
	jitter       = 0.2 // keeps many replicas from asking at the same moment
)

// The tokens of service accounts are verified by the API server's own keys, and reviewed by it.
//
// +kubebuilder:rbac:urls=/.well-known/openid-configuration;/openid/v1/jwks,verbs=get
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create

// LookUpTrust asks the API server for the issuer and the keys of its service account tokens.
func (d *Directory) LookUpTrust(ctx context.Context) error {
	discovery, err := d.api.core.Get().AbsPath(discoveryPath).Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("read who issues the tokens of service accounts: %w", err)
	}
	keys, err := d.api.core.Get().AbsPath(keysPath).Do(ctx).Raw()
	if err != nil {
		return fmt.Errorf("read the keys of service accounts' tokens: %w", err)
	}
	trust, err := memory.ReadTrust(discovery, keys)
	if err != nil {
		return err
	}
	d.memory.SetTrust(trust)
	d.snapshots.note()
	return nil
}

// keepTrust reads issuer and keys again and again until the context ends.
func (d *Directory) keepTrust(ctx context.Context) {
	failed := false
	for interval := time.Duration(0); pause(ctx, interval); {
		interval = wait.Jitter(trustRefresh, jitter)
		asking, cancel := context.WithTimeout(ctx, trustTimeout)
		err := d.LookUpTrust(asking)
		cancel()
		if err != nil {
			interval = wait.Jitter(trustRetry, jitter)
			if !failed && ctx.Err() == nil {
				d.log.Warn("cannot read the keys of service accounts' tokens; those known so far stay in use", "error", err)
			}
		}
		failed = err != nil
	}
}

// How long one review may take, and how long while the API server is known to be silent.
const (
	reviewTimeout      = 2 * time.Second
	knownReviewTimeout = 500 * time.Millisecond
)

// Review asks the API server whether it still honours a token for the audience, as the account's
// that it names. It answers no for one whose pod or account is gone. It takes nine seconds at most.
//
// A client can make the API server slow, and must not win anything by that. So a review without an
// answer is sent again if the API server answers a probe, and is undecided if it has no answer then
// either. Unreachable is an API server that has been silent for silenceLimit, or that cannot be
// connected to.
func (d *Directory) Review(ctx context.Context, token oauth2.Secret, account oauth2.UsedAccountToken, audience string) oauth2.Verdict {
	verdict, err := d.api.review(ctx, token, account, audience)
	if verdict == oauth2.Unreachable && d.api.reachable(ctx) {
		if verdict, err = d.api.review(ctx, token, account, audience); verdict == oauth2.Unreachable {
			verdict = oauth2.Undecided
		}
	}
	if err != nil {
		d.log.Warn("cannot have a service account's token reviewed", "verdict", verdict.String(), "error", err)
	}
	return verdict
}

// review asks once. It is unreachable if no answer came, and undecided if the answer is a refusal,
// such as 429 or 503.
func (a api) review(ctx context.Context, token oauth2.Secret, account oauth2.UsedAccountToken, audience string) (oauth2.Verdict, error) {
	timeout := reviewTimeout
	if a.contact.silent.Load() {
		timeout = knownReviewTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	review := &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token.Reveal(), Audiences: []string{audience}},
	}
	status := 0
	err := a.reviews.Post().AbsPath(reviewsPath).Body(review).MaxRetries(0).Do(ctx).StatusCode(&status).Into(review)
	switch {
	case err != nil && status == 0:
		return oauth2.Unreachable, fmt.Errorf("review a token: %w", err)
	case err != nil:
		return oauth2.Undecided, fmt.Errorf("review a token: %w", err)
	}
	user := review.Status.User
	if review.Status.Authenticated && slices.Contains(review.Status.Audiences, audience) && user.Username == account.Account && user.UID == account.UID {
		return oauth2.Honoured, nil
	}
	return oauth2.Dishonoured, nil
}

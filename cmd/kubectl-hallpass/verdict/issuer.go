// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
	"github.com/hallpass-dev/hallpass/internal/oauth2"
)

const describeIssuer = "kubectl hallpass describe issuer "

// WithIssuer adds to a verdict on a client what speaks against the trusted issuer that it names,
// which is nil if there is none of that name. A client stays Ready while its issuer is suspended or
// has stale keys.
func WithIssuer(v Verdict, c *v1alpha1.OAuth2Client, issuer *v1alpha1.OAuth2TrustedIssuer) Verdict {
	name := c.Spec.Authentication.FederatedToken.IssuerName
	if issuer == nil {
		if v.Allowed {
			missing := v1alpha1.IssuerNotFound(name)
			return Verdict{Reason: missing.Reason, Sentence: missing.Message}
		}
		return v
	}
	ready := meta.FindStatusCondition(issuer.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return v
	}
	do := describeIssuer + name
	switch {
	case v.Allowed:
		return Verdict{Reason: refusalOf(ready.Reason), Sentence: fmt.Sprintf("OAuth2TrustedIssuer %q is not ready. %s", name, ready.Message), Do: do}
	case v.Reason == v1alpha1.ReasonIssuerNotFound:
		v.Sentence = fmt.Sprintf("OAuth2TrustedIssuer %q is there and is not ready, reason %s. %s", name, ready.Reason, ready.Message)
		v.Do = do
	}
	return v
}

// refusalOf is the reason for which the token server refuses JWTs of an issuer that is not ready
// for a reason.
func refusalOf(reason string) string {
	if reason == v1alpha1.ReasonSuspended {
		return string(oauth2.ReasonIssuerSuspended)
	}
	return reason
}

// WithoutIssuer is a verdict on a client whose trusted issuer the caller may not read.
func WithoutIssuer(v Verdict, c *v1alpha1.OAuth2Client) Verdict {
	if v.Allowed && v.Do == "" {
		name := c.Spec.Authentication.FederatedToken.IssuerName
		v.Do = fmt.Sprintf("You may not read OAuth2TrustedIssuer %q. Ask the administrator of the cluster whether it is ready: ", name) + describeIssuer + name
	}
	return v
}

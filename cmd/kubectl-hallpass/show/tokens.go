// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// Tokens is the table of OAuth2Tokens.
func Tokens(tokens []v1alpha1.OAuth2Token, now time.Time) *metav1.Table {
	type token = v1alpha1.OAuth2Token
	return table([]column[token]{
		{"Name", false, func(t *token, _ time.Time) string { return t.Name }},
		{"Client", false, func(t *token, _ time.Time) string { return t.Spec.ClientRef.Name }},
		{"Mode", false, func(t *token, _ time.Time) string { return string(t.Spec.Mode) }},
		{"Health", false, func(t *token, _ time.Time) string { return TokenHealth(t) }},
		{"Expires", false, func(t *token, now time.Time) string { return until(t.Status.ExpiresAt, now) }},
		{"Last Used", false, func(t *token, now time.Time) string { return ago(t.Status.LastUsedAt, now) }},
		{"Age", false, func(t *token, now time.Time) string { return ago(t.CreationTimestamp, now) }},
		{"Expires At", true, func(t *token, _ time.Time) string { return stamp(t.Status.ExpiresAt) }},
		{"Secret", true, func(t *token, _ time.Time) string { return orDash(t.Status.Secret.Name) }},
		{"Audience", true, func(t *token, _ time.Time) string { return orDash(t.Status.Audience) }},
		{"Scopes", true, func(t *token, _ time.Time) string { return joined(t.Status.Scopes) }},
	}, tokens, now)
}

// TokenHealth is one word on an OAuth2Token: Ready, or why it is not.
func TokenHealth(t *v1alpha1.OAuth2Token) string {
	return health(t.DeletionTimestamp != nil, t.Generation, t.Status.ObservedGeneration, t.Status.Conditions)
}

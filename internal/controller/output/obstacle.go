// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hallpass-dev/hallpass/api/v1alpha1"
)

// KeyCACertificate is the default name of the entry with the CA, here and in the ConfigMap that it comes from.
const KeyCACertificate = "ca.crt"

// ReadCA reads the CA that is needed to trust the issuer from its ConfigMap. A zero key means that the
// certificate is not ours. The condition says that the CA does not exist yet; a watch announces it.
func ReadCA(ctx context.Context, from client.Reader, bundle types.NamespacedName) (string, *metav1.Condition, error) {
	if bundle.Name == "" {
		return "", nil, nil
	}
	var found corev1.ConfigMap
	err := from.Get(ctx, bundle, &found)
	if apierrors.IsNotFound(err) {
		return "", new(v1alpha1.Progressing("write the Secret, because the token server has no certificate authority")), nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("read the CA of the token server: %w", err)
	}
	return found.Data[KeyCACertificate], nil, nil
}

// Failure is the condition about an attempt that failed, for an object that was never ready; nil if there
// is nothing to report. An object that is ready stays so, because its credential is valid. A write that
// lost a race is repeated at once.
func Failure(failure error, conditions []metav1.Condition, attempt string) *metav1.Condition {
	if apierrors.IsConflict(failure) || apierrors.IsAlreadyExists(failure) || meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		return nil
	}
	if refused, ok := errors.AsType[*Error](failure); ok {
		attempt = refused.Error() // of the user's own namespace: a quota or a policy there
	}
	return new(v1alpha1.Progressing(attempt))
}

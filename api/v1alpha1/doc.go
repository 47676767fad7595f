// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds what users write: the kinds of hallpass.dev/v1alpha1. The comments of its fields are the manual
// that kubectl explain prints. It depends on k8s.io/apimachinery alone, so that other programs may import it.
//
// +kubebuilder:object:generate=true
// +groupName=hallpass.dev
package v1alpha1

// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 defines the custom resources of hallpass.dev/v1alpha1. The comments of the
// fields are the manual that kubectl explain prints. The package depends on k8s.io/apimachinery
// alone, so that other programs can import it.
//
// +kubebuilder:object:generate=true
// +groupName=hallpass.dev
package v1alpha1

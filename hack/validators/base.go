// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !kubernetes134

package main

import (
	admissioncel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// declared is what an expression may use beside the objects.
var declared = admissioncel.OptionalVariableDeclarations{HasAuthorizer: true} //nolint:gochecknoglobals // a constant

func base() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
}

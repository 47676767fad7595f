// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package foreign keeps the modules of other projects whose kinds the manifests of Hallpass use.
// The CustomResourceDefinitions are files of these modules, by which the tests of
// test/compat/install have an API server validate what is rendered. No code of theirs runs: the
// imports are the smallest packages, so that go mod tidy keeps the requirements.
package foreign

import (
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)

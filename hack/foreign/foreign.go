// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Package foreign keeps the modules of other projects whose kinds the manifests of Hallpass use.
// The CustomResourceDefinitions are files of these modules, by which the tests of
// test/compat/install have an API server validate what is rendered. No code of theirs runs: the
// imports are the smallest packages, so that go mod tidy keeps the requirements.
package foreign

import (
	_ "github.com/argoproj/argo-cd/v3/util/hash"
	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/source-controller/api/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)

#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Writes what is generated from the API types, in the module it is started in: generate.sh CONTROLLER-GEN
set -euo pipefail

controller_gen=$1

"$controller_gen" object:headerFile=hack/boilerplate.go.txt crd \
  paths=./api/... output:crd:artifacts:config=config/crd/bases

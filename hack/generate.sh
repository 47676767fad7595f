#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Writes what is generated from markers in the code, in the module it is started in: generate.sh
# CONTROLLER-GEN
set -euo pipefail

controller_gen=$1

# The API types: deep copies and CRDs.
"$controller_gen" object:headerFile=hack/boilerplate.go.txt crd \
  paths=./api/... output:crd:artifacts:config=config/crd/bases

# Who may do what: each process has its own service account, and its rules come from the packages of
# its half alone.
rules() {
  local process=$1 dir=$2
  shift 2
  "$controller_gen" "rbac:roleName=hallpass-$process,fileName=${process}_role.yaml,headerFile=hack/boilerplate.rbac.txt" \
    "${@/#/paths=}" output:rbac:dir="$dir"
}
rules manager config/rbac ./cmd/manager/... ./internal/controller/...
rules tokenserver config/rbac ./cmd/tokenserver/... ./internal/directory/... ./internal/tokenserver/... ./internal/reporter/...
rules login config/login ./cmd/login/... ./internal/login/...

# The chart's templates: config/ with substitutions.
go run ./hack/chart

# The reference of the API, and JSON schemas for editors.
go run ./hack/apidocs

# The reference of the commands of kubectl hallpass.
go run ./hack/clidocs

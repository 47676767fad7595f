#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds hack/validators for each promised version of Kubernetes but the newest, which the control
# plane of the tests is, and prints the programs' paths. Each is built once for this machine.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/validators"
key=$({ go env GOVERSION; cat ./*.go ./*.mod ./*.sum; } | cksum | cut -d' ' -f1)
dir=${XDG_CACHE_HOME:-$HOME/.cache}/hallpass/tools/validators-$key
mkdir -p "$dir"
for module in ./*.mod; do
  minor=$(sed -nE 's/^\tk8s\.io\/apiserver v0\.([0-9]+)\..*/\1/p' "$module")
  program=$dir/v1.$minor
  if [[ ! -e $program ]]; then
    echo "building the validators of Kubernetes 1.$minor, once for this machine" >&2
    CGO_ENABLED=0 GOFLAGS='' ../progress.sh "Kubernetes 1.$minor" go build -v -trimpath -modfile="$module" -tags="kubernetes1$minor" -o "$program.$$" .
    mv "$program.$$" "$program"
  fi
  echo "$program"
done

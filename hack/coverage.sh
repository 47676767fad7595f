#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Fails if the tests of a package cover less of its statements than it promises. None of these tests
# needs a control plane.
set -euo pipefail

module=github.com/hallpass-dev/hallpass/internal
declare -A floor=([auth]=90 [credential]=90 [directory/memory]=90 [directory/watch]=80 [revocation]=90)

packages=("${!floor[@]}")
report=$(go test -cover "${packages[@]/#/$module/}") || { echo "$report"; exit 1; }
low=0
for package in "${packages[@]}"; do
  covered=$(awk -v p="$module/$package" '$2 == p { sub("%", "", $5); print $5 }' <<<"$report")
  printf '%-20s %5s %% of statements, at least %s\n' "$package" "${covered:-none}" "${floor[$package]}"
  awk -v have="${covered:-0}" -v want="${floor[$package]}" 'BEGIN { exit !(have >= want) }' || low=1
done

# These are in modules of their own.
for package in client/token client/verify client/grpcauth; do
  covered=$(cd "$package" && go test -short -cover . | sed -n 's/.*coverage: \([0-9.]*\)%.*/\1/p')
  printf '%-20s %5s %% of statements, at least 90\n' "$package" "${covered:-none}"
  awk -v have="${covered:-0}" 'BEGIN { exit !(have >= 90) }' || low=1
done
exit "$low"

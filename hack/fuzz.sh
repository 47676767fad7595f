#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs every fuzz target for a while: fuzz.sh FUZZTIME
set -euo pipefail

fuzztime=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz runs one target. Before Go 1.27 the end of the time is sometimes reported as a failure, with
# this line and without a failing input (https://go.dev/issue/75804).
fuzz() {
  local target=$1 package=$2
  # Go makes each new input smaller for up to a minute before it continues, and executes nothing
  # else meanwhile: a text of some thousand characters would take the whole time.
  if go test -run='^$' -fuzz="^$target\$" -fuzztime="$fuzztime" -fuzzminimizetime=1000x "./$package" 2>&1 | tee "$log"; then return 0; fi
  grep -qx '    context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"
}

targets=$(grep -rnoE '^func Fuzz\w+' --include='*_test.go' api internal cmd)
while IFS=: read -r file _ func; do
  echo "--- ${func#func } in ${file%/*}"
  fuzz "${func#func }" "${file%/*}"
done <<<"$targets"

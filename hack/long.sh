#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs what test/long.txt lists, the tests of a package in one command, as far as it fits into some
# minutes: long.sh MINUTES [FLAG of go test]…
# With ONLY=tests it leaves the targets of make out: these measure, and fail on a machine that has
# other work. It prints what does not fit as NOT RUN, and fails if a test fails.
set -euo pipefail

until=$((SECONDS + $1 * 60))
shift
failed=0

declare -A minutes tests
order=()
while read -r needed where name; do
  if [[ $where == make ]]; then
    [[ ${ONLY:-} != tests ]] || continue
    where="make $name"
  fi
  [[ -n ${tests[$where]:-} ]] || order+=("$where")
  sum=${minutes[$where]:-0}
  minutes[$where]=$((sum + needed))
  tests[$where]+="${tests[$where]:+|}$name"
done < <(grep -vE '^\s*(#|$)' "$(dirname "${BASH_SOURCE[0]}")/../test/long.txt")

for where in "${order[@]}"; do
  needed=${minutes[$where]}
  left=$(((until - SECONDS) / 60))
  if ((needed > left)); then
    echo "--- $where: NOT RUN, needs about $needed min, and there are $left"
    continue
  fi
  echo "--- $where: ${tests[$where]}, about $needed min"
  if [[ $where == make* ]]; then
    $where || failed=1
  else
    command=(go test "$@")
    # These measure how long others wait, and most of what they test are processes of their own.
    [[ $where != ./test/system/* ]] || command=(env CGO_ENABLED=0 go test -trimpath)
    "${command[@]}" -count=1 -timeout 60m -run "^(${tests[$where]})\$" "$where" || failed=1
  fi
done
exit "$failed"

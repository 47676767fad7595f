#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Runs go build -v, and prints on standard error every ten seconds how far it is: progress.sh NAME
# COMMAND… Its other output there is shown if it fails.
set -euo pipefail

name=$1
shift
said=$(mktemp)
trap 'rm -f "$said"' EXIT

"$@" 2>"$said" &
build=$!
started=$SECONDS
next=${PROGRESS_INTERVAL:-10}
while kill -0 "$build" 2>/dev/null; do
  sleep 0.2
  if ((SECONDS - started >= next)); then
    next=$((next + ${PROGRESS_INTERVAL:-10}))
    echo "$name: $(grep -c '^go: downloading ' "$said") modules downloaded, $(grep -c '^[^ ]*$' "$said") packages compiled after $((SECONDS - started)) s" >&2
  fi
done
if ! wait "$build"; then
  grep -vE '^(go: downloading .*|[^ ]*)$' "$said" >&2 || true
  exit 1
fi

#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Fails if generated files, formatting or go.mod are not current, an action is not pinned, a figure
# is above its limit, or tests cover too little:
# verify.sh CONTROLLER-GEN GOLANGCI-LINT
# It generates into a copy, so the tree stays as it is, with whatever is being worked on in it.
set -euo pipefail

controller_gen=$1 golangci_lint=$2
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
stale=0

before=$(git status --porcelain)

echo "--- generated files"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  if [[ -e $file ]]; then printf '%s\0' "$file"; fi
done | tar --null --files-from=- -cf - | tar -C "$copy" -xf -
mkdir "$copy/.before"
cp -R "$copy/api" "$copy/config" "$copy/charts" "$copy/docs" "$copy/.before/"
(cd "$copy" && hack/generate.sh "$controller_gen")
for dir in api config charts docs; do
  diff -ru "$copy/.before/$dir" "$copy/$dir" || { echo "$dir: not current; run make generate"; stale=1; }
done

echo "--- formatting"
"$golangci_lint" fmt --diff || { echo "not formatted; run make format"; stale=1; }

echo "--- actions are pinned by commit, with their version behind it"
pinned='^[^:]+:[0-9]+: *(- )?uses: [A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$'
if grep -rnE "uses[\"']?[[:space:]]*:" .github | grep -vE "$pinned"; then
  echo "write: uses: OWNER/NAME@40-HEX-DIGITS # vX.Y.Z"
  stale=1
fi

echo "--- the wording of the documentation"
go run ./hack/prose || stale=1

echo "--- figures"
go run ./hack/figures || stale=1

echo "--- coverage"
hack/coverage.sh || { echo "write tests for what is not covered: go test -coverprofile"; stale=1; }

for file in go.mod client/go.mod client/grpcauth/go.mod hack/*/go.mod docs/mcp/go.mod docs/federation/*/go.mod docs/consumers/*/go.mod test/compat/consumers/*/go.mod test/compat/login/*/go.mod; do
  module=$(dirname "$file")
  echo "--- go.mod of $module"
  (cd "$module" && go mod tidy -diff) || { echo "$module/go.mod: not tidy; run go mod tidy there"; stale=1; }
done
for file in hack/validators/v*.mod; do
  echo "--- $file"
  (cd hack/validators && go mod tidy -diff -modfile="${file##*/}") || { echo "$file: not tidy; run go mod tidy -modfile=${file##*/} there"; stale=1; }
done

if [[ $(git status --porcelain) != "$before" ]]; then
  echo "make verify changed the tree:"
  git status --short
  stale=1
fi
exit "$stale"

#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the images twice, in two places, at two times and with nothing in the compiler's cache, and
# fails if a byte differs. Then it compares each SBOM with what the compiler has written into the
# program: verify-image.sh VERSION
set -euo pipefail

version=$1
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
mkdir -p "$scratch/copy/in/another/place"
git ls-files -z --cached | tar --null --files-from=- -cf - | tar -C "$scratch/copy/in/another/place" -xf -

build() { # SOURCE OUT
  (cd "$1" && GOCACHE="$scratch/cache-$2" go run ./hack/image -out "$scratch/$2" -version "$version" -source-date-epoch 1700000000)
  rm -rf "$scratch/cache-$2"
}
build . first
sleep 1
TZ=Pacific/Kiritimati build "$scratch/copy/in/another/place" second
diff -r "$scratch/first" "$scratch/second" || { echo "two builds differ"; exit 1; }
echo "two builds are the same bytes"

for program in manager tokenserver login; do
  layer=$(find "$scratch/first/$program/blobs" -type f -size +4M | head -1)
  tar -xzf "$layer" -C "$scratch" "$program"
  architecture=$(go version -m "$scratch/$program" | sed -n 's/.*GOARCH=//p')
  diff <(go version -m "$scratch/$program" | awk '$1 == "dep" { print $2, $3 }') \
    <(sed -n 's/.*"referenceLocator": "pkg:golang\/\(.*\)@\(.*\)"/\1 \2/p' "$scratch/first/$program-linux-$architecture.spdx.json" |
      sed 's/%2B/+/g' | grep -v '^stdlib ') ||
    { echo "the SBOM of $program does not agree with go version -m"; exit 1; }
done
echo "the SBOMs agree with go version -m"

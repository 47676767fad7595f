#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Builds the archives of the plugin of kubectl for each platform, their checksums, and the manifest
# for krew: plugin.sh VERSION SOURCE-DATE-EPOCH DIRECTORY
# The same sources and Go give the same bytes. Needs GNU tar. The archives of Windows were not run;
# they are built and not in the manifest.
set -euo pipefail

version=$1 epoch=$2 out=$3
repository=https://github.com/hallpass-dev/hallpass
# OS/ARCHITECTURE, as Go names them
read -ra platforms <<<"${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64}"

rm -rf "$out"
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

manifest=$out/hallpass.yaml
cat >"$manifest" <<YAML
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: hallpass
spec:
  version: $version
  homepage: $repository
  shortDescription: Work with OAuth clients, APIs and tokens of Hallpass
  description: |
    Lists, describes and creates the OAuth 2.0 clients, APIs and tokens of Hallpass,
    grants access, shows and rotates secrets, fetches and revokes tokens, and explains
    why something is refused. It has your rights in the cluster and no others.
  platforms:
YAML

for platform in "${platforms[@]}"; do
  os=${platform%/*} arch=${platform#*/}
  program=kubectl-hallpass
  [[ $os != windows ]] || program+=.exe
  mkdir -p "$scratch/$os-$arch"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOFLAGS= go build -trimpath -buildvcs=false -ldflags="-s -w -X main.version=$version" \
    -o "$scratch/$os-$arch/$program" ./cmd/kubectl-hallpass
  cp LICENSE "$scratch/$os-$arch/"
  archive=kubectl-hallpass_${version}_${os}_$arch.tar.gz
  tar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar \
    -C "$scratch/$os-$arch" -cf - LICENSE "$program" | gzip --no-name --best >"$out/$archive"
  sum=$(sha256sum "$out/$archive" | cut -d' ' -f1)
  [[ $os != windows ]] || continue
  cat >>"$manifest" <<YAML
  - selector:
      matchLabels:
        os: $os
        arch: $arch
    uri: $repository/releases/download/$version/$archive
    sha256: $sum
    bin: $program
    files:
    - {from: $program, to: .}
    - {from: LICENSE, to: .}
YAML
done
(cd "$out" && sha256sum -- *.tar.gz >SHA256SUMS.plugin)

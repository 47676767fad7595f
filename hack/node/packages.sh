#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Installs what a node takes beside the programs that are built here, if it is missing and this is
# Debian (or made from it) and the user is root. Elsewhere the test prints what is missing. No
# service is started.
set -euo pipefail

# command=package
needed=(
  runc=runc
  nft=nftables
  ip=iproute2
  iptables=iptables # the kubelet looks for it
)

missing=()
for pair in "${needed[@]}"; do
  command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done
if ((${#missing[@]} == 0 || EUID != 0)) || ! command -v apt-get >/dev/null; then
  exit 0
fi

echo "installing ${missing[*]}"
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null

#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Installs the programs that test/compat/proxies and test/compat/verifiers run, if they are missing and this is Debian (or made from it) and
# the user is root. Elsewhere it says what is missing; those tests are skipped then. No service is started.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# what tells that a package is there=package
needed=(
  /usr/sbin/nginx=nginx-light
  /usr/sbin/haproxy=haproxy
  /usr/bin/caddy=caddy
  /usr/sbin/apache2=apache2-bin
  /usr/lib/apache2/modules/mod_auth_openidc.so=libapache2-mod-auth-openidc
  /usr/lib/apache2/modules/mod_oauth2.so=libapache2-mod-oauth2
  /usr/lib/python3/dist-packages/jwt/__init__.py=python3-jwt
  /usr/lib/python3/dist-packages/authlib/__init__.py=python3-authlib
)

missing=()
for pair in "${needed[@]}"; do
  [[ -e ${pair%%=*} ]] || missing+=("${pair#*=}")
done
# Any Node will do; a machine that has one of its own keeps it.
command -v node >/dev/null || missing+=(nodejs)

if ((${#missing[@]} == 0)); then
  exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
  echo "the tests of proxies and verifiers need ${missing[*]}; those that cannot run are skipped"
  exit 0
fi

echo "installing ${missing[*]}"
# Packages ask this program whether they may start their services. One that is there already is the machine's own answer.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null

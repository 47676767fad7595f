#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Installs the programs that test/compat/proxies, test/compat/verifiers, test/compat/consumers,
# test/compat/mcp, test/compat/people, test/compat/console and the walks of test/e2e run, if they
# are missing and this is Debian (or made from it) and the user is root. Elsewhere it prints what is
# missing; those tests are skipped then. No service is started.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# a file or command that shows that a package is there=package
needed=(
  /usr/sbin/nginx=nginx-light
  /usr/bin/openssl=openssl
  /usr/sbin/haproxy=haproxy
  /usr/bin/caddy=caddy
  /usr/bin/chromium=chromium
  /usr/sbin/apache2=apache2-bin
  /usr/lib/apache2/modules/mod_auth_openidc.so=libapache2-mod-auth-openidc
  /usr/lib/apache2/modules/mod_oauth2.so=libapache2-mod-oauth2
  /usr/lib/python3/dist-packages/authlib/__init__.py=python3-authlib
  /usr/bin/prometheus=prometheus
  /usr/sbin/dovecot=dovecot-imapd
  /usr/sbin/rabbitmq-server=rabbitmq-server
)

missing=()
for pair in "${needed[@]}"; do
  [[ -e ${pair%%=*} ]] || missing+=("${pair#*=}")
done
# Any Node will do; a machine that has one of its own keeps it.
command -v node >/dev/null || missing+=(nodejs)
# Any JDK will do too; Kafka needs 17 or later.
command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
# A test makes environments of its own for Python.
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)

if ((${#missing[@]} == 0)); then
  exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
  echo "the tests of proxies, verifiers, consumers and the console need ${missing[*]}; those that cannot run are skipped"
  exit 0
fi

echo "installing ${missing[*]}"
# Packages ask this program whether they may start their services. One that is there already is the
# machine's own answer.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null

#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Looks for known vulnerabilities that our code reaches: govulncheck.sh GOVULNCHECK MODULE… The
# database is the one that GOVULNDB names (https:// or file://), else the public one. Where it
# cannot be reached, that is said; with CI=true it also fails, because nobody reads the log of a
# build that is green.
set -euo pipefail

govulncheck=$1
shift
database=${GOVULNDB:-https://vuln.go.dev}

# It prints when the database was last updated only where it could read that.
reached=$(timeout 30 "$govulncheck" -db "$database" -version 2>&1 || true)
if [[ $reached != *"DB updated"* ]]; then
  echo "govulncheck: NOT RUN: no vulnerability database reachable at $database"
  echo "govulncheck: set GOVULNDB to one that is, for example file:///path/to/vulndb"
  [[ ${CI:-} != true ]]
  exit
fi
for module in "$@"; do
  echo "govulncheck: $module"
  (cd "$module" && "$govulncheck" -db "$database" ./...)
done

#!/bin/sh
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Creates the bucket, and a policy for each scope under the scope's name. The first argument is the
# alias of an administrator in the configuration of mc.
set -eu
cd "$(dirname "$0")"
mc mb --ignore-existing "$1/orders"
for policy in orders.read orders.write; do
  mc admin policy create "$1" "$policy" "$policy.json"
done

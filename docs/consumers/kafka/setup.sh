#!/bin/sh
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Lets clients of Hallpass produce to and consume from the topic orders, in groups whose names begin
# with orders: setup.sh BOOTSTRAP_SERVERS ADMIN_PROPERTIES CLIENT_ID…
set -eu

servers=$1 admin=$2
shift 2
for client in "$@"; do
  shift
  set -- "$@" --allow-principal "User:$client"
done
kafka-topics.sh --bootstrap-server "$servers" --command-config "$admin" --create --topic orders --partitions 1
kafka-acls.sh --bootstrap-server "$servers" --command-config "$admin" --add "$@" \
  --producer --consumer --resource-pattern-type prefixed --topic orders --group orders

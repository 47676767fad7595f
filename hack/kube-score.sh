#!/usr/bin/env bash
# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Fails if kube-score has a critical finding in what the chart installs: kube-score.sh KUBE-SCORE
# HELM
set -euo pipefail

kube_score=$1 helm=$2

# No limit of CPU, so that an idle node's is not withheld from a replica under load. Images are
# pulled where they are missing: a pod that starts again must not need the registry. No limit of
# ephemeral storage: logs count, and callers can fill them.
score() {
  "$helm" template hallpass charts/hallpass --namespace hallpass-system "$@" | "$kube_score" score --ignore-container-cpu-limit \
    --ignore-test container-image-pull-policy --ignore-test container-ephemeral-storage-request-and-limit --output-format ci -
}
score "${@:3}" | grep -vE '^\[(OK|SKIPPED)\]' || true
score "${@:3}" >/dev/null
echo "no critical finding"

#!/bin/sh
# Fetches an access token with the token of the pod's service account, and calls a URL with it, or
# prints it where none is given:
#   token.sh https://orders.shop.svc/orders
# All that it reads is mounted into one directory; pod.yaml shows how. The kubelet replaces the file
# `token` in time, so read it anew for each request. Nothing secret is an argument, because those
# can be seen by others.
set -eu
dir=${HALLPASS_DIR:-/var/run/hallpass}
answer=$(curl --silent --show-error --fail-with-body --cacert "$dir/ca.crt" \
  --data grant_type=client_credentials \
  --data client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
  --data-urlencode "client_assertion@$dir/token" \
  --data-urlencode "client_id@$dir/client_id" \
  "$(cat "$dir/token_url")") || { printf '%s\n' "$answer" >&2; exit 1; }
token=$(printf %s "$answer" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
if [ $# -gt 0 ]; then
  printf 'header = "Authorization: Bearer %s"\n' "$token" | curl --silent --show-error --fail-with-body --config - "$@"
else
  printf '%s\n' "$token"
fi

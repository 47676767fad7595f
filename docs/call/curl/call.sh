#!/bin/sh
# Fetches an access token of Hallpass and calls the URLs with it: call.sh URL…
# Needs curl and sed. --config keeps the secret and the token out of the list of processes.
set -eu

cd "${HALLPASS_DIR:-/etc/oauth2}"

# --retry waits for Retry-After when the answer is 429 or 503.
answer=$(printf 'user = "%s:%s"\n' "$(cat client_id)" "$(cat client_secret)" |
  curl --silent --show-error --fail-with-body --retry 5 --cacert ca.crt --config - \
    --data grant_type=client_credentials "$(cat token_url)")
token=$(printf '%s' "$answer" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

for url in "$@"; do
  printf 'header = "Authorization: Bearer %s"\n' "$token" |
    curl --silent --show-error --fail-with-body --config - "$url"
done

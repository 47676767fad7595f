#!/bin/sh
# Fetches an access token of Hallpass and calls the URLs with it: call.sh URL…
# Needs curl and sed. --config keeps the secret and the token out of the list of processes.
set -eu

cd "${HALLPASS_DIR:-/etc/oauth2}"

endpoint=token_url
if [ -e internal_token_url ]; then endpoint=internal_token_url; fi

settings() {
  printf 'user = "%s:%s"\n' "$(cat client_id)" "$(cat client_secret)"
  if [ -e ca.crt ]; then echo 'cacert = "ca.crt"'; fi # without it, the CAs of the system
}

# --retry waits for Retry-After when the answer is 429 or 503.
answer=$(settings | curl --silent --show-error --fail-with-body --retry 5 --config - \
  --data grant_type=client_credentials "$(cat "$endpoint")")
# The answers that came before a retry are there, too.
token=$(printf '%s' "$answer" | sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p' | tail -n 1)
if [ -z "$token" ]; then
  echo "the token endpoint answered without a token: $answer" >&2
  exit 1
fi

for url in "$@"; do
  printf 'header = "Authorization: Bearer %s"\n' "$token" |
    curl --silent --show-error --fail-with-body --config - "$url"
done

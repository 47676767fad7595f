"""Calls an API every minute with an access token of Hallpass, which Authlib fetches.

requirements.txt has the packages.
"""

import os
import pathlib
import ssl
import time

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

MOUNTED = pathlib.Path(os.environ.get("HALLPASS_DIR", "/etc/oauth2"))


def fetch():
    """Returns a token. The files are read for each, because a rotation replaces them."""
    internal, ca = MOUNTED / "internal_token_url", MOUNTED / "ca.crt"
    endpoint = internal if internal.exists() else MOUNTED / "token_url"
    client_id, secret, url = (file.read_text() for file in (MOUNTED / "client_id", MOUNTED / "client_secret", endpoint))
    # None: the CAs of the system
    trust = ssl.create_default_context(cafile=ca if ca.exists() else None)
    with OAuth2Client(client_id, secret, verify=trust, timeout=10) as client:
        return client.fetch_token(url, grant_type="client_credentials")


def call(token, url):
    """Returns the answer, and the token to keep. A token that the API refuses is replaced once."""
    if token is None or token.is_expired(leeway=60):
        token = fetch()
    answer = httpx.get(url, headers={"Authorization": "Bearer " + token["access_token"]}, timeout=30)
    if answer.status_code == 401:
        token = fetch()
        answer = httpx.get(url, headers={"Authorization": "Bearer " + token["access_token"]}, timeout=30)
    return answer, token


if __name__ == "__main__":
    current = None
    while True:
        try:
            response, current = call(current, os.environ["API_URL"])
            print(response.status_code, response.text, flush=True)
        except (httpx.HTTPError, OAuthError, OSError) as problem:
            print("try again later:", problem, flush=True)
        time.sleep(float(os.environ.get("INTERVAL", "60")))

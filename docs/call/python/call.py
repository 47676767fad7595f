"""Calls an API every minute with an access token of Hallpass. Needs Python 3.9 or later, and no package."""

import base64
import json
import os
import pathlib
import ssl
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import quote_plus

MOUNTED = pathlib.Path(os.environ.get("HALLPASS_DIR", "/etc/oauth2"))


class AccessToken:
    """The current access token, for all threads. It is replaced a minute before it expires."""

    def __init__(self):
        self.lock = threading.Lock()
        self.value, self.renew_at = None, 0.0

    def get(self):
        with self.lock:
            if self.value is None or time.monotonic() >= self.renew_at:
                self.value, lifetime = fetch()
                self.renew_at = time.monotonic() + lifetime - 60
            return self.value

    def drop(self, value):
        """Forgets a token that the API refused."""
        with self.lock:
            if self.value == value:
                self.value = None


def fetch():
    # The files are read for each token, because the kubelet replaces them when the secret is
    # rotated.
    internal, ca = MOUNTED / "internal_token_url", MOUNTED / "ca.crt"
    endpoint = internal if internal.exists() else MOUNTED / "token_url"
    client_id, secret, url = (file.read_text() for file in (MOUNTED / "client_id", MOUNTED / "client_secret", endpoint))
    request = urllib.request.Request(url, data=b"grant_type=client_credentials")
    credentials = f"{quote_plus(client_id)}:{quote_plus(secret)}"  # RFC 6749 section 2.3.1
    request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    # None: the CAs of the system
    trust = ssl.create_default_context(cafile=ca if ca.exists() else None)
    with urllib.request.urlopen(request, timeout=10, context=trust) as response:
        answer = json.load(response)
    return answer["access_token"], answer["expires_in"]


def call(tokens, url):
    """Returns the status of the answer."""
    for attempt in ("first", "second"):
        token = tokens.get()
        request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status
        except urllib.error.HTTPError as refused:
            # A token that was revoked, or whose signing key was withdrawn, is refused before it
            # expires.
            if refused.code != 401 or attempt == "second":
                raise
            tokens.drop(token)


if __name__ == "__main__":
    current = AccessToken()
    while True:
        try:
            print(call(current, os.environ["API_URL"]), flush=True)
        except urllib.error.HTTPError as refused:
            print(f"{refused.url} answers {refused.code}:", refused.read().decode(errors="replace"), flush=True)
        except OSError as problem:
            print("try again later:", problem, flush=True)
        time.sleep(float(os.environ.get("INTERVAL", "60")))

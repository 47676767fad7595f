"""Verifies access tokens with Authlib: reads a token a line and prints who may pass.

SSL_CERT_FILE names the file with the CA of Hallpass.
"""

import json
import os
import sys
import time
import urllib.request

from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
JWT = JsonWebToken(["ES256", "RS256", "EdDSA"])


class Keys:
    """The published keys, read again where a token names one that is not there, at most once in ten seconds."""

    def __init__(self):
        self.keys, self.read_at = None, 0

    def __call__(self, header, payload):
        if not header.get("kid"):
            raise ValueError("the token names no key")
        try:
            return self.keys.find_by_kid(header["kid"])
        except (AttributeError, ValueError):
            if time.monotonic() - self.read_at < 10 and self.keys:
                raise
        self.read_at = time.monotonic()
        with urllib.request.urlopen(ISSUER + "/oauth2/jwks", timeout=5) as answer:
            self.keys = JsonWebKey.import_key_set(json.load(answer))
        return self.keys.find_by_kid(header["kid"])


KEYS = Keys()
CLAIMS = {
    "iss": {"essential": True, "value": ISSUER},
    "aud": {"essential": True, "value": AUDIENCE},
    "exp": {"essential": True},
    "client_id": {"essential": True},
    "client_uid": {"essential": True},
}


def verify(token, scope):
    claims = JWT.decode(token, KEYS, claims_options=CLAIMS)
    claims.validate(leeway=30)  # seconds by which two clocks may differ
    if claims.header.get("typ") != "at+jwt":
        raise ValueError("the token is of another type")
    if scope not in claims.get("scope", "").split(" "):
        raise ValueError("the token lacks the scope")
    return claims


for line in sys.stdin:
    try:
        who = verify(line.rstrip("\n"), "read")
        print("passed", who["client_id"], who["client_uid"], flush=True)
    except (JoseError, ValueError):
        print("refused", flush=True)

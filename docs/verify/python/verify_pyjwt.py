"""Verifies access tokens with PyJWT, which fetches the keys and notices new ones: reads a token a line and prints who may pass.

CA_FILE names the file with the CA of Hallpass; without it, the CAs of the system verify the issuer. requirements.txt has the packages.
"""

import os
import ssl
import sys

import jwt

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
KEYS = jwt.PyJWKClient(ISSUER + "/oauth2/jwks", ssl_context=ssl.create_default_context(cafile=os.environ.get("CA_FILE")))


def verify(token, scope):
    key = KEYS.get_signing_key_from_jwt(token)
    # The library takes the algorithm of the header if it is one of these; the key is of one kind,
    # so only its own works.
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["ES256", "RS256", "EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        # seconds by which two clocks may differ: without it a token of the next second is refused
        leeway=30,
        options={"require": ["iss", "aud", "exp", "client_id", "client_uid"]},
    )
    # The signature, which covers the header, was verified above.
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("the token is of another type")
    if scope not in claims.get("scope", "").split(" "):
        raise jwt.InvalidTokenError("the token lacks the scope")
    return claims


for line in sys.stdin:
    try:
        who = verify(line.rstrip("\n"), "read")
        print("passed", who["client_id"], who["client_uid"], flush=True)
    except jwt.PyJWTError:
        print("refused", flush=True)

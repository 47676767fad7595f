"""Verifies access tokens with PyJWT, which fetches the keys and notices new ones: reads a token a line and prints who may pass.

SSL_CERT_FILE names the file with the CA of Hallpass, for every connection of the process. From PyJWT 2.8 on,
PyJWKClient(…, ssl_context=ssl.create_default_context(cafile=…)) names it for this one alone. requirements.txt has the packages.
"""

import os
import sys

import jwt

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
KEYS = jwt.PyJWKClient(ISSUER + "/oauth2/jwks")


def verify(token, scope):
    key = KEYS.get_signing_key_from_jwt(token)
    # The library takes the algorithm of the header if it is one of these; the key is of one kind, so only its own works.
    claims = jwt.decode(
        token,
        key.key,
        algorithms=["ES256", "RS256", "EdDSA"],
        issuer=ISSUER,
        audience=AUDIENCE,
        leeway=30,  # seconds by which two clocks may differ: without it a token of the next second is refused
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

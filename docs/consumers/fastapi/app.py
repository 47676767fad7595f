"""An API with FastAPI that takes access tokens of Hallpass: uvicorn app:app

PyJWT verifies the tokens, fetches the keys and notices new ones. CA_FILE names the file with the CA
of Hallpass; without it, the CAs of the system verify the issuer. requirements.txt has the packages.
"""

import os
import ssl
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

ISSUER = os.environ["ISSUER"]
AUDIENCE = os.environ["AUDIENCE"]
KEYS = jwt.PyJWKClient(ISSUER + "/oauth2/jwks", ssl_context=ssl.create_default_context(cafile=os.environ.get("CA_FILE")))
BEARER = HTTPBearer(auto_error=False)


def refuse(status, challenge):
    """Answers as RFC 6750 section 3 describes."""
    return HTTPException(status, headers={"WWW-Authenticate": challenge})


# Not async: FastAPI runs it in a thread, because fetching the keys would block all other requests.
def caller(scopes: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]):
    """The claims of a token in which a client acts for itself and that has the scopes."""
    if credentials is None:
        raise refuse(401, "Bearer")
    try:
        key = KEYS.get_signing_key_from_jwt(credentials.credentials)
        claims = jwt.decode(
            credentials.credentials,
            key.key,
            algorithms=["ES256", "RS256", "EdDSA"],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=30,  # seconds by which two clocks may differ
            options={"require": ["iss", "aud", "exp", "sub", "client_id", "client_uid"]},
        )
        # The signature, which covers the header, was verified above.
        if jwt.get_unverified_header(credentials.credentials).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("the token is of another type")
        if claims["sub"] != claims["client_id"]:
            raise jwt.InvalidTokenError("the client does not act for itself")
    except jwt.PyJWKClientConnectionError as away:
        raise HTTPException(503, headers={"Retry-After": "5"}) from away
    except jwt.PyJWTError as refused:
        raise refuse(401, 'Bearer error="invalid_token"') from refused
    if not set(scopes.scopes) <= set(claims.get("scope", "").split(" ")):
        raise refuse(403, f'Bearer error="insufficient_scope", scope="{" ".join(scopes.scopes)}"')
    return claims


app = FastAPI()


@app.get("/orders")
def orders(claims: Annotated[dict, Security(caller, scopes=["read"])]):
    return {"caller": claims["client_id"]}

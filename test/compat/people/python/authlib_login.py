"""Logs a person in with Authlib as its documentation shows.

It prints the address that the person opens, reads the one to which the person is sent back, and prints a token, the
next one, and that both are revoked when a further line is there. SSL_CERT_FILE names the file with the CA of Hallpass.
Authlib leaves RFC 9207 to its user, so that this program compares the issuer itself.
"""

import os
import ssl
import sys
from urllib.parse import parse_qs, urlsplit

import httpx
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client

ISSUER, SECRET = os.environ["ISSUER"], os.environ["CLIENT_SECRET"]
trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
metadata = httpx.get(ISSUER + "/.well-known/oauth-authorization-server", verify=trusted).raise_for_status().json()

client = OAuth2Client(
    client_id=os.environ["CLIENT_ID"],
    client_secret=SECRET or None,
    token_endpoint_auth_method="client_secret_basic" if SECRET else "none",
    revocation_endpoint_auth_method="client_secret_basic" if SECRET else "none",
    redirect_uri=os.environ["REDIRECT_URI"],
    scope="orders.read",
    code_challenge_method="S256",
    verify=trusted,
)
verifier = generate_token(48)
address, state = client.create_authorization_url(
    metadata["authorization_endpoint"], code_verifier=verifier, resource=os.environ["RESOURCE"]
)
print("open", address, flush=True)
back = sys.stdin.readline().strip()
if parse_qs(urlsplit(back).query).get("iss") != [metadata["issuer"]]:
    sys.exit("iss is not the issuer")
token = client.fetch_token(metadata["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
print("token", token["access_token"], token["refresh_token"], flush=True)
following = client.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
refresh_token = following.get("refresh_token", token["refresh_token"])
print("token", following["access_token"], refresh_token, flush=True)
sys.stdin.readline()
client.revoke_token(
    metadata["revocation_endpoint"], refresh_token, token_type_hint="refresh_token"
).raise_for_status()
print("revoked", flush=True)

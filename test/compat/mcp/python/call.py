"""Calls the tool whoami of an MCP server with a provider of the Python SDK: call.py secret|post|key|assertion|person.

SSL_CERT_FILE names the file with the CA of Hallpass. The SDK is used as its documentation shows.
"""

import asyncio
import os
import pathlib
import ssl
import sys

try:
    import httpx2 as httpx  # of the SDK from 2.0 on
except ImportError:
    import httpx

from mcp import ClientSession
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
    static_assertion_provider,
)
from mcp.client.streamable_http import streamable_http_client

URL, ISSUER, CLIENT_ID = os.environ["MCP_URL"], os.environ["ISSUER"], os.environ["CLIENT_ID"]


class Storage:
    """Keeps the token in memory."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def read(variable):
    return pathlib.Path(os.environ[variable]).read_text()


def provider(method):
    common = {"server_url": URL, "storage": Storage(), "client_id": CLIENT_ID, "issuer": ISSUER}
    if method in ("secret", "post"):
        style = {"secret": "client_secret_basic", "post": "client_secret_post"}[method]
        return ClientCredentialsOAuthProvider(**common, client_secret=os.environ["CLIENT_SECRET"], token_endpoint_auth_method=style)
    if method == "person":
        return acting_for_a_person()
    if method == "assertion":
        return PrivateKeyJWTOAuthProvider(**common, assertion_provider=static_assertion_provider(read("ASSERTION_FILE")))
    signed = SignedJWTParameters(issuer=CLIENT_ID, subject=CLIENT_ID, signing_key=read("KEY_FILE"), signing_algorithm="ES256")
    return PrivateKeyJWTOAuthProvider(**common, assertion_provider=signed.create_assertion_provider())


def acting_for_a_person():
    # of the SDK from 2.0 on
    from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider

    async def fetch(audience, resource):
        return read("PERSON_FILE")

    return IdentityAssertionOAuthProvider(
        server_url=URL, storage=Storage(), client_id=CLIENT_ID, client_secret=os.environ["CLIENT_SECRET"], issuer=ISSUER, assertion_provider=fetch
    )


async def main():
    trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    async with httpx.AsyncClient(auth=provider(sys.argv[1]), verify=trusted, timeout=30) as http:
        async with streamable_http_client(URL, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                result = await session.call_tool("whoami", {})
                print(result.content[0].text)


asyncio.run(main())

"""Has a person log in for an MCP server, and calls the tool whoami twice, with an access token that has to be replaced
in between.

It prints the address that the person opens, and reads the one to which the person is sent back. SSL_CERT_FILE names the
file with the CA of Hallpass. The SDK is used as its documentation shows.
"""

import asyncio
import os
import ssl
import sys
from urllib.parse import parse_qs, urlsplit

try:
    import httpx2 as httpx  # of the SDK from 2.0 on
    from mcp.shared.auth import AuthorizationCodeResult
except ImportError:
    import httpx

    AuthorizationCodeResult = None

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

URL, REDIRECT_URI = os.environ["MCP_URL"], os.environ["REDIRECT_URI"]
CLIENT = {"redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none"}


class Storage:
    """Keeps the token in memory. The client is registered already."""

    tokens = None
    client = OAuthClientInformationFull(client_id=os.environ["CLIENT_ID"], issuer=os.environ["ISSUER"], **CLIENT)

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        print("saved", flush=True)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


async def redirect(address):
    print("open", address, flush=True)


async def callback():
    line = await asyncio.to_thread(sys.stdin.readline)
    back = {name: values[0] for name, values in parse_qs(urlsplit(line.strip()).query).items()}
    if AuthorizationCodeResult is None:
        return back["code"], back.get("state")
    return AuthorizationCodeResult(code=back["code"], state=back.get("state"), iss=back.get("iss"))


async def main():
    provider = OAuthClientProvider(
        server_url=URL,
        client_metadata=OAuthClientMetadata(client_name="interactive", **CLIENT),
        storage=Storage(),
        redirect_handler=redirect,
        callback_handler=callback,
    )
    trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    async with httpx.AsyncClient(auth=provider, verify=trusted, timeout=30) as http:
        async with streamable_http_client(URL, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                for _ in ("with the first token", "with the next one"):
                    result = await session.call_tool("whoami", {})
                    print("tool", result.content[0].text, flush=True)
                    provider.context.token_expiry_time = 1  # long ago


asyncio.run(main())

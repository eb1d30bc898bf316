import asyncio
import sys
from collections.abc import AsyncGenerator

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

import mcp_startup
from mcp_startup import Rejected


class StartupAuth(httpx2.Auth):
    """Authorizes the requests of the `mcp` SDK with the stored credentials of a server."""

    def __init__(self, server: str, options: mcp_startup.Options) -> None:
        self.server = server
        self.options = options

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        header = await mcp_startup.authorization(self.server, **self.options)
        while True:
            if header is not None:
                request.headers["Authorization"] = header
            response = yield request
            if response.status_code != 401:
                return
            rejected = Rejected(authorization=header, challenge=response.headers.get("WWW-Authenticate"))
            # Refreshes the token once, even if several processes need it. Raises the verdict if no credential is left to try.
            header = await mcp_startup.authorization(self.server, rejected, **self.options)


async def main(server: str, url: str) -> None:
    auth = StartupAuth(server, {"config": "~/.codex/config.toml"})
    async with httpx2.AsyncClient(auth=auth) as http, Client(streamable_http_client(url, http_client=http)) as client:
        print([tool.name for tool in (await client.list_tools()).tools])


asyncio.run(main(*sys.argv[1:]))

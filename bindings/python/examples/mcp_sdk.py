import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_startup.httpx2 import StartupAuth


async def main(server: str, url: str) -> None:
    # Refreshes an expired token once, even if several processes need it.
    auth = StartupAuth(server, config="~/.codex/config.toml")
    async with httpx2.AsyncClient(auth=auth) as http, Client(streamable_http_client(url, http_client=http)) as client:
        print([tool.name for tool in (await client.list_tools()).tools])


asyncio.run(main(*sys.argv[1:]))

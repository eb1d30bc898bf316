"""Starts MCP servers with the official Python SDK: connect, `initialize`, `tools/list`, close, all concurrently.

usage: python_sdk.py CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client


async def start(name: str, server: dict[str, Any], http: httpx2.AsyncClient) -> bool:
    transport: Transport | StdioServerParameters
    if "url" in server:
        # All servers share an HTTP client. The SDK's default is one for each server, which takes several times as long.
        transport = streamable_http_client(server["url"], http_client=http)
    else:
        transport = StdioServerParameters(**server)
    try:
        # Send `initialize` first, as the other sides do. The mode "auto" would send `server/discover` first.
        async with Client(transport, mode="legacy") as client:
            tools = (await client.list_tools()).tools
    except Exception as error:  # noqa: BLE001 - an error must not stop the other servers
        print(f"{name} failed: {error!r}", flush=True)
        return False
    print(f"{name} ready {len(tools)}", flush=True)
    return True


async def main(config: str) -> int:
    servers = json.loads(Path(config).read_text())["mcpServers"]
    # The same timeouts as the SDK's default client.
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(30, read=300)) as http:
        started = await asyncio.gather(*(start(name, server, http) for name, server in servers.items()))
    return 0 if all(started) else 1


sys.exit(asyncio.run(main(*sys.argv[1:])))

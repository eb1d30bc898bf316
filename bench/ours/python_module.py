"""Starts MCP servers with the pip package `mcp-startup`.

usage: python_module.py CONFIG    JSON with `mcpServers`; prints a line with `ready` for each server
"""

import asyncio
import sys

import mcp_startup


async def main(config: str) -> None:
    async for event in mcp_startup.check(config=config):
        notification = event.notification
        if notification.status is not mcp_startup.McpServerStartupState.STARTING:
            print(notification.name, notification.status, event.failure.message if event.failure else "")


asyncio.run(main(*sys.argv[1:]))

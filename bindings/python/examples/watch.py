import asyncio

from mcp_startup import McpServerStartupState, watch


async def main() -> None:
    async with watch(config="~/.codex/config.toml") as events:
        # For a "Try again" button, call events.retry("linear").
        async for event in events:
            print(event.notification.name, event.notification.status, flush=True)
            if event.notification.status is McpServerStartupState.READY:
                break


asyncio.run(main())

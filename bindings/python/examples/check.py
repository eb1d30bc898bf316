import asyncio

import mcp_startup


async def main() -> None:
    async for event in mcp_startup.check(config="~/.codex/config.toml"):
        print(event.notification.name, event.notification.status, event.notification.error or "")


asyncio.run(main())

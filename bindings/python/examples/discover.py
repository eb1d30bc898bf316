import asyncio

import mcp_startup


async def main() -> None:
    # Reads files, and starts nothing.
    for file in await mcp_startup.discover():
        print(f"{file.client}: {file.path}", file.error.message if file.error else "")
        for server in file.servers:
            print(f"  {server.name}", server.why or "")

    async for event in mcp_startup.check(clients="all"):
        print(event.notification.name, event.notification.status)


asyncio.run(main())

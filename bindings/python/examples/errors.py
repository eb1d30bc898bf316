import asyncio

import mcp_startup


async def main() -> None:
    try:
        async for event in mcp_startup.check(config="~/.codex/config.toml"):
            print(event.notification.name, event.notification.status)
    except mcp_startup.ConfigurationError as error:
        print(f"{error.path}:{error.line}: {error.kind}")
    try:
        mcp_startup.decode('{"method":"mcpServer/startupStatus/updated","params":{"name":7}}')
    except mcp_startup.DecodeError as error:
        print(error.kind, error.field)
    try:
        await mcp_startup.authorization("linear", config="~/nothing.toml")
    except mcp_startup.McpStartupError as error:
        print(error.code)


asyncio.run(main())

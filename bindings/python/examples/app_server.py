import asyncio
import sys
import webbrowser
from pathlib import Path

from mcp_startup import McpServerConnectionStatus, McpServerStartupState, McpServerStatusUpdatedNotification
from mcp_startup.app_server import COMMAND, AppServerClient

CONFIG = Path("~/.codex/config.toml").expanduser()


async def main(server: str) -> None:
    # For Codex's: AppServerClient(["codex", "app-server"])
    async with AppServerClient([*COMMAND, "--config", str(CONFIG)]) as client:
        for status in await client.list_servers():
            print(status.name, status.runtime_status)
            if status.runtime_status is McpServerConnectionStatus.AUTHENTICATION_REQUIRED:
                failure = (await client.read_failure(status.name)).failure
                print(failure.message if failure else "")

        login = await client.login(server)
        await asyncio.to_thread(webbrowser.open, login.authorization_url)
        ended = await login.completed()
        print("signed in" if ended.success else ended.error)

        # The server starts again by itself.
        async for notification in client.notifications():
            match notification.params:
                case McpServerStatusUpdatedNotification(name, McpServerStartupState.READY) if name == server:
                    print(name, "ready")
                    break


asyncio.run(main(sys.argv[1]))

import asyncio
import sys

import mcp_startup

OPTIONS: mcp_startup.Options = {"config": "~/.codex/config.toml"}


async def main(server: str) -> None:
    try:
        # Opens the user's browser, and waits until it returns.
        await mcp_startup.sign_in(server, **OPTIONS)
    except mcp_startup.SignInError as error:
        print(f"{server}: {error} ({error.kind})")
    else:
        status = await mcp_startup.auth_status(server, **OPTIONS)
        print(f"{server}: signed in ({status.status})")


asyncio.run(main(sys.argv[1]))

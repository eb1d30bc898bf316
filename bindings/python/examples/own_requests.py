import sys

import httpx

import mcp_startup
from mcp_startup.httpx import StartupAuth

OPTIONS: mcp_startup.Options = {"config": "~/.codex/config.toml"}

server, url = sys.argv[1:]
ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
with httpx.Client(auth=StartupAuth(server, **OPTIONS)) as client:
    try:
        print(client.post(url, json=ping).status_code)
    except mcp_startup.InsufficientScopeError as error:
        # Ask the user first.
        mcp_startup.sign_in_blocking(server, challenge=error.challenge, **OPTIONS)
        print(client.post(url, json=ping).status_code)
    except mcp_startup.StartupFailedError as error:
        # No credential is left to try.
        print(error.failure.message)

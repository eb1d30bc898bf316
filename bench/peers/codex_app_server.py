"""Starts MCP servers with Codex's app-server, and ends it when each is ready or has failed.

usage: codex_app_server.py CONFIG [NODE_MODULES [HOME [STORE]]]    JSON with `mcpServers`; prints a line with `ready` for each

Codex is looked for in NODE_MODULES, else in node_modules beside this program. With HOME, that is its CODEX_HOME, which is kept
and whose config.toml is written over; else a temporary folder is, and what Codex first writes there takes longer than the start.
STORE is where it looks for credentials: `file`, or `auto` as it comes, which asks the keyring for each server.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# What is not the start of MCP servers, and depends on the machine, is off: `git ls-remote` of a repository of plugins, the user's login
# shell. A thread starts the servers, and would also connect to its model: this one needs no login and is never reached.
SETTINGS = """
model = "none"
model_provider = "none"
mcp_oauth_credentials_store = "STORE"

[features]
plugins = false
shell_snapshot = false

[model_providers.none]
name = "none"
base_url = "http://127.0.0.1:9"

"""

REQUESTS: list[dict[str, Any]] = [
    {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "bench", "version": "1.0.0"}}},
    {"method": "initialized"},
    {"id": 2, "method": "thread/start", "params": {"ephemeral": True}},
]


def toml(servers: dict[str, dict[str, Any]], store: str) -> str:
    # Strings and lists of strings are written the same in JSON and TOML.
    tables = (
        f"[mcp_servers.{json.dumps(name)}]\n"
        + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in server.items())
        for name, server in servers.items()
    )
    return SETTINGS.replace("STORE", store) + "".join(tables)


def main(
    config: str,
    node_modules: str = str(Path(__file__).parent / "node_modules"),
    home: str | None = None,
    store: str = "file",
) -> int:
    if home is None:
        with tempfile.TemporaryDirectory() as temporary:
            return main(config, node_modules, temporary, store)
    servers = json.loads(Path(config).read_text())["mcpServers"]
    # Not by way of `bin/codex.js`: what Node costs there is not the app-server's.
    (codex,) = Path(node_modules).resolve().glob("@openai/codex-*/vendor/*/bin/codex")
    waiting, failed = set(servers), 0
    Path(home).mkdir(parents=True, exist_ok=True)
    Path(home, "config.toml").write_text(toml(servers, store))
    with subprocess.Popen(
        [codex, "app-server"],
        cwd=home,
        env={**os.environ, "CODEX_HOME": str(Path(home).resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as app_server:
        assert app_server.stdin is not None and app_server.stdout is not None
        app_server.stdin.writelines(json.dumps(request) + "\n" for request in REQUESTS)
        app_server.stdin.flush()
        while waiting:
            line = app_server.stdout.readline()
            if not line:
                print("the app-server ended before its servers were ready")
                break
            message = json.loads(line)
            if "error" in message:
                print(f"the app-server refused: {message['error']}")
                break
            if message.get("method") != "mcpServer/startupStatus/updated":
                continue
            name, status = message["params"]["name"], message["params"]["status"]
            if status != "starting" and name in waiting:
                waiting.remove(name)
                failed += status != "ready"
                print(name, status, message["params"]["error"] or "")
        # The end of its stdin is the end of the app-server; what it still says is read, or it could not end.
        app_server.communicate()
    return 1 if waiting or failed else 0


sys.exit(main(*sys.argv[1:]))

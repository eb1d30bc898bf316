"""Starts MCP servers with Codex's app-server, and ends it when each is ready or has failed.

usage: codex_app_server.py CONFIG [NODE_MODULES [HOME [STORE]]]    JSON with `mcpServers`; prints a line with `ready` for each

NODE_MODULES is the folder with Codex (default: node_modules next to this program). HOME is the CODEX_HOME. It is kept, and its
config.toml is overwritten. The default is a temporary folder, but then Codex first writes files there, which takes longer than the
start. STORE is the credential store: `file` (default), or `auto`, Codex's default, which searches the keyring for each server.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# These settings turn off features that are unrelated to MCP servers and depend on the machine: `git ls-remote` for plugins, and the
# user's login shell. A thread starts the servers and also connects to its model. This model needs no login and is unreachable.
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
    # Run the program directly. `bin/codex.js` would add the startup time of Node.
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
                print(f"the app-server returned an error: {message['error']}")
                break
            if message.get("method") != "mcpServer/startupStatus/updated":
                continue
            name, status = message["params"]["name"], message["params"]["status"]
            if status != "starting" and name in waiting:
                waiting.remove(name)
                failed += status != "ready"
                print(name, status, message["params"]["error"] or "")
        # Close stdin, which ends the app-server, and read the rest of its output, so that it does not block.
        app_server.communicate()
    return 1 if waiting or failed else 0


sys.exit(main(*sys.argv[1:]))

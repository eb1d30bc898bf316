"""Starts many servers, and measures whole processes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from .rows import Row, Sample
from .run import PEERS, ROOT, Run

PROGRAM = "mcp-startup check"
NODE = "mcp-startup, Node addon"
PYTHON = "mcp-startup, Python module"
NODE_ALONE = "Node, an empty program"
PYTHON_ALONE = "Python, an empty asyncio program"
BARE = "bare rmcp"
BARE_TLS = "bare rmcp, with TLS"
TYPESCRIPT = "TypeScript SDK"
PYTHON_SDK = "Python SDK"
CODEX = "Codex app-server"
CODEX_FILE = "Codex app-server, credentials in a file"

VERSION = "mcp-startup --version"

# In s. A side whose first run takes longer than this is run at most three times.
LONG = 8.0


def http(count: int, delay: int) -> str:
    servers = "server" if count == 1 else "servers"
    return f"{count:,} HTTP {servers}, {f'{delay} ms' if delay else 'no'} delay"


def https(count: int) -> str:
    return f"{count} HTTPS servers, each an origin with a certificate of its own"


def stdio(count: int) -> str:
    return f"{count} stdio servers"


def measure(run: Run) -> list[Row]:
    counts = [1, 2] if run.tiny else [1, 10, 50, 200, 1000]
    rows = []
    for delay in [0] if run.tiny else [0, 50]:
        with run.server("answers_at_once", str(delay)) as url:
            for count in counts:
                servers = {f"s{n}": {"url": url} for n in range(count)}
                rows += of_case(run, http(count, delay), servers)
    rows += of_origins(run, 2 if run.tiny else 200)
    server = str(run.of_bench("answers_at_once"))
    for count in [2] if run.tiny else [10, 50]:
        servers = {f"s{n}": {"command": server, "args": ["stdio"]} for n in range(count)}
        rows += of_case(run, stdio(count), servers)
    versions = [run.process([run.program, "--version"]) for _ in range(run.runs)]
    return [*rows, Row.of_processes(VERSION, PROGRAM, versions, is_reference=True)]


def of_origins(run: Run, count: int) -> list[Row]:
    """Servers over TLS. There is only the bare client to compare with, because it trusts the same file and sends the same requests."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "authority.pem"
        with run.server("tls_origins", str(count), str(authority)) as urls:
            servers = {f"s{n}": {"url": url} for n, url in enumerate(urls.split())}
            return of_case(run, https(count), servers, [PROGRAM, BARE_TLS], {"SSL_CERT_FILE": str(authority)})


def of_case(
    run: Run,
    case: str,
    servers: dict[str, dict[str, object]],
    only: list[str] | None = None,
    environment: dict[str, str] | None = None,
) -> list[Row]:
    """Measures all sides, or `only` these. The sides with TLS are measured only by name."""
    run.say(case)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "servers.json"
        config.write_text(json.dumps({"mcpServers": servers}))
        # mcp-startup stores credentials where Codex does.
        environment = {"CODEX_HOME": folder, **(environment or {})}
        samples: dict[str, list[Sample]] = {}
        sides = commands(run, config)
        sides = {side: sides[side] for side in only or sides if only or side != BARE_TLS}
        for turn in range(run.runs):
            for side, (command, starts) in sides.items():
                # The quick sides take all turns.
                if turn >= 3 and samples[side][0].wall > LONG:
                    continue
                sample = run.process(command, len(servers) if starts else 0, environment)
                samples.setdefault(side, []).append(sample)
    return [Row.of_processes(case, side, taken, is_reference=side == PROGRAM) for side, taken in samples.items()]


def commands(run: Run, config: Path) -> dict[str, tuple[list[str | Path], bool]]:
    """The command of each side, and whether it starts the servers."""
    peers = ROOT / "bench" / "peers"
    sides: dict[str, tuple[list[str | Path], bool]] = {
        PROGRAM: ([run.program, "check", "--config", config], True),
        NODE: (["node", PEERS / "node_addon.mjs", config], True),
        NODE_ALONE: (["node", "--input-type=module", "--eval", ""], False),
        PYTHON: ([run.python, ROOT / "bench" / "ours" / "python_module.py", config], True),
        PYTHON_ALONE: ([run.python, "-c", "import asyncio; asyncio.run(asyncio.sleep(0))"], False),
        BARE: ([run.of_bench("bare_rmcp"), config], True),
        BARE_TLS: ([run.of_bench("bare_rmcp_tls"), config], True),
        TYPESCRIPT: (["node", PEERS / "typescript_sdk.mjs", config], True),
        PYTHON_SDK: ([run.python, peers / "python_sdk.py", config], True),
    }
    if run.codex:
        app_server: list[str | Path] = [run.python, peers / "codex_app_server.py", config, PEERS / "node_modules"]
        # The home is reused, because the first run in a new one writes files, which takes longer than a start.
        sides[CODEX] = ([*app_server, PEERS / "codex-home", "auto"], True)
        sides[CODEX_FILE] = ([*app_server, PEERS / "codex-home", "file"], True)
    return sides

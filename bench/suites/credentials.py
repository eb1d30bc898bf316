"""Credentials: assessed, read for 10,000 servers, and refreshed concurrently."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from .rows import Row
from .run import TARGET, Run, last_line

OURS = "mcp-startup"
ROUNDS = "lower bound: the rounds of 32"
SYNCS = "the same number of synced file writes"


def refreshes(count: int) -> str:
    return f"{count} refreshes, 32 concurrent, 250 ms each"


def verdict(run: Run) -> list[Row]:
    count = 1000 if run.tiny else 1_000_000
    result: Any = last_line([TARGET / run.profile / "examples" / "throughput", "1", "5", str(count)])
    rates = result["verdictsPerSecond"]
    rows = [
        Row(f"{function}, {count:,} calls", OURS, "/s", [rates[function]], is_reference=True)
        for function in ["assess", "judge"]
    ]
    servers = 10 if run.tiny else 10_000
    samples = []
    for _ in range(run.runs):
        with tempfile.TemporaryDirectory() as folder:
            home(Path(folder), "http://127.0.0.1:9", servers)
            command: list[str | Path] = [run.program, "status", "--config", Path(folder) / "config.toml"]
            samples.append(run.process(command))
    status = f"status of {servers:,} servers, credentials in a file"
    return [*rows, Row.of_processes(status, OURS, samples, is_reference=True)]


def refresh(run: Run) -> list[Row]:
    servers = 2 if run.tiny else 200
    samples, syncs = [], []
    with run.server("expired_tokens", "250") as url:
        for _ in range(run.runs):
            with tempfile.TemporaryDirectory(dir=TARGET) as folder:
                credentials = home(Path(folder), url, servers)
                config = Path(folder) / "config.toml"
                command: list[str | Path] = [run.program, "check", "--config", config, "--concurrency", "32"]
                samples.append(run.process(command, servers))
                after = json.loads(credentials.read_text())
                if any(record["refresh_token"] != "next" for record in after.values()):
                    raise SystemExit("scripts/bench: a rotated refresh token was not stored")
                syncs.append(synced_writes(Path(folder), credentials.read_bytes(), servers))
    rounds = -(-servers // 32)
    return [
        Row.of_processes(refreshes(servers), OURS, samples, is_reference=True),
        Row(refreshes(servers), ROUNDS, "s", [rounds * 0.25]),
        Row(refreshes(servers), SYNCS, "s", syncs),
    ]


def synced_writes(folder: Path, content: bytes, count: int) -> float:
    """Returns the time to replace a file `count` times, each time with a synced write and a rename, in seconds."""
    began = time.perf_counter()
    for _ in range(count):
        new = folder / "new"
        with new.open("wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        new.rename(folder / "kept")
        directory = os.open(folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    return time.perf_counter() - began


def home(folder: Path, url: str, servers: int) -> Path:
    """Creates a Codex home with this many servers and an expired token for each. Returns the path of the credential file."""
    config = ['mcp_oauth_credentials_store = "file"\n']
    records = {}
    for n in range(servers):
        name, server = f"s{n}", f"{url}/s{n}/mcp"
        config.append(f'[mcp_servers.{name}]\nurl = "{server}"\n')
        hashed = f'{{"type":"http","url":{json.dumps(server)},"headers":{{}}}}'
        key = f"{name}|{hashlib.sha256(hashed.encode()).hexdigest()[:16]}"
        records[key] = {
            "server_name": name, "server_url": server, "issuer": url, "client_id": "bench", "access_token": "old" * 200,
            "expires_at": 1000, "refresh_token": "old" * 50,
        }  # fmt: skip
    (folder / "config.toml").write_text("".join(config))
    credentials = folder / ".credentials.json"
    credentials.touch(mode=0o600)
    credentials.write_text(json.dumps(records))
    return credentials

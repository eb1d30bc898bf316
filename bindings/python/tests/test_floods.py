"""Ten servers that flood a check take bounded memory and affect no other server. `tests/attacks/flood.py` has the servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import run_python

FLOOD = str(Path(__file__).parents[3] / "tests/attacks/flood.py")
HOSTILE = 10
# Above the same check of servers that are quiet.
MAX_PEAK_KB = 80_000

# The host: a process that checks the servers, and prints how each start ended and its own peak memory.
HOST = """
import asyncio, json, re, sys, mcp_startup
from pathlib import Path
async def main():
    ends = {}
    async for event in mcp_startup.check(mcp_servers=json.loads(sys.argv[1])):
        if event.notification.status != "starting":
            ends[event.notification.name] = event.failure.kind if event.failure else event.notification.status
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps({"ends": ends, "peak_kb": int(peak[1])}))
asyncio.run(main())
"""


@pytest.fixture
def base() -> Iterator[str]:
    """The base URL of the servers over HTTP. They end with their input."""
    with subprocess.Popen(
        [sys.executable, FLOOD, "http"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as servers:
        assert servers.stdout is not None
        yield servers.stdout.readline().strip()
        servers.kill()


def host_of(transport: str, base: str, flood: str) -> dict[str, Any]:
    def entry(flood: str) -> dict[str, object]:
        if transport == "stdio":
            return {"command": sys.executable, "args": [FLOOD, "stdio", flood, "list"]}
        return {"type": "http", "url": f"{base}{flood}/list"}

    servers = {f"hostile-{n}": entry(flood) for n in range(HOSTILE)}
    host: dict[str, Any] = json.loads(run_python(HOST, json.dumps({**servers, "working": entry("quiet")})))
    return host


@pytest.mark.skipif(sys.platform != "linux", reason="the peak memory of a process is read from /proc")
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_floods_take_bounded_memory_and_affect_no_other_server(transport: str, base: str) -> None:
    quiet = host_of(transport, base, "quiet")
    assert set(quiet["ends"].values()) == {"ready"}
    for flood in ["pings", "notifications"]:
        host = host_of(transport, base, flood)
        print(f"{transport} {flood}: {host['peak_kb']} kB, with quiet servers {quiet['peak_kb']} kB")
        assert host["ends"].pop("working") == "ready"
        assert list(host["ends"].values()) == ["limitExceeded"] * HOSTILE
        assert host["peak_kb"] <= quiet["peak_kb"] + MAX_PEAK_KB, flood

#!/usr/bin/env python3
"""Measures the app-server, and compares it with a check of the same servers.

usage: bench/app_server.py [PROGRAM]

PROGRAM is the mcp-startup to measure. By default, target/release/mcp-startup. Linux only.

  start     200 servers of the lab: the time from `initialized` to the last notification, and that of `check` from its start to its last
            notification. The two take turns, and the medians are compared: at most 1.1 times.
  messages  300,000 requests of one client: at least 10,000 are answered in a second of CPU time, and the memory does not grow.

Exit status: 0 all goals were reached; 1 one was missed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
SERVERS = 200
RUNS = 9
REQUESTS = 300_000
TICKS = os.sysconf("SC_CLK_TCK")
INITIALIZE = {"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "bench", "version": "1"}}}


def write(pipe: IO[bytes], *messages: object) -> None:
    pipe.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    pipe.flush()


def start(program: str, command: str, config: Path) -> subprocess.Popen[bytes]:
    arguments = [program, command, "--config", str(config), *(["--format", "ndjson"] if command == "check" else [])]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def wait_for_ready(process: subprocess.Popen[bytes], servers: int) -> None:
    """Waits for the notification that the last server is ready."""
    ready = 0
    while ready < servers:
        line = process.stdout.readline()
        assert line, "the program has ended"
        ready += b'"status":"ready"' in line


def check(program: str, config: Path) -> float:
    began = time.perf_counter()
    process = start(program, "check", config)
    wait_for_ready(process, SERVERS)
    took = time.perf_counter() - began
    process.communicate()
    return took


def app_server(program: str, config: Path) -> float:
    process = start(program, "app-server", config)
    write(process.stdin, INITIALIZE)
    process.stdout.readline()
    began = time.perf_counter()
    write(process.stdin, {"method": "initialized"})
    wait_for_ready(process, SERVERS)
    took = time.perf_counter() - began
    process.communicate()
    return took


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def messages(program: str, config: Path) -> tuple[float, int]:
    """Returns the requests in a second of CPU time, and the growth of the memory from the first third to the end, in KiB."""
    process = start(program, "app-server", config)
    write(process.stdin, INITIALIZE, {"method": "initialized"})
    wait_for_ready(process, 1)
    params = {"name": "s0"}
    requests = [{"id": id, "method": "mcpStartup/failure/read", "params": params} for id in range(1, REQUESTS + 1)]
    writing = threading.Thread(target=write, args=[process.stdin, *requests])
    before = cpu_seconds(process.pid)
    writing.start()
    answered = warm = 0
    while answered < REQUESTS:
        answered += process.stdout.readline().startswith(b'{"id":')
        if answered == REQUESTS // 3 and not warm:
            warm = resident_kib(process.pid)
    took = cpu_seconds(process.pid) - before
    growth = resident_kib(process.pid) - warm
    writing.join()
    process.communicate()
    return REQUESTS / took, growth


def main() -> None:
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target" / "release" / "mcp-startup")
    lab = subprocess.Popen([program, "lab"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        base = lab.stdout.readline().decode().strip().rstrip("/")
        with tempfile.TemporaryDirectory() as folder:

            def config(count: int) -> Path:
                servers = {f"s{number}": {"url": f"{base}/ready/mcp"} for number in range(count)}
                path = Path(folder) / f"{count}.json"
                path.write_text(json.dumps({"mcpServers": servers}))
                return path

            many = config(SERVERS)
            times = [(check(program, many), app_server(program, many)) for _ in range(RUNS)]
            checked, served = (statistics.median(side) for side in zip(*times, strict=True))
            rate, growth = messages(program, config(1))
    finally:
        lab.terminate()
        lab.wait()
    ratio = served / checked
    print(f"start: {served * 1000:.0f} ms, check {checked * 1000:.0f} ms, ratio {ratio:.2f} (at most 1.1)")
    print(f"messages: {rate:,.0f} in a second of CPU time (at least 10,000), memory {growth:+,} KiB (at most +1,024)")
    sys.exit(0 if ratio <= 1.1 and rate >= 10_000 and growth <= 1024 else 1)


if __name__ == "__main__":
    main()

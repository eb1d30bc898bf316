"""The lab that the program in the wheel serves, and users who have its servers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mcp_startup

PROGRAM = [sys.executable, "-m", "mcp_startup"]
REDIRECT_URI = "http://127.0.0.1:8123/callback"
DEADLINE_S = 30

# A program that never answers, ignores that its input ends, and says which process it is.
SILENT_PROGRAM = """
import os, sys, time
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
# So that none is left for ever where a test fails.
time.sleep(300)
"""


class Lab:
    """Servers that behave as the rows of the atlas say, each under a URL of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [*PROGRAM, "lab"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.base = self._process.stdout.readline().strip().rstrip("/")
        self.rows = {row["name"]: row for row in _get_json(self.base + "/")}

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(DEADLINE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def url(self, name: str) -> str:
        return f"{self.base}/{name}/mcp"

    def requests(self, name: str) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = _get_json(f"{self.base}/{name}/requests")
        return requests

    def tokens_sent(self, name: str) -> list[str]:
        """The tokens that came with messages to the MCP endpoint, in order, repetitions folded."""
        tokens: list[str] = []
        for request in self.requests(name):
            if request["to"] == "mcp" and request["method"] == "POST" and tokens[-1:] != [request["token"]]:
                tokens.append(request["token"])
        return tokens

    def refreshes(self, name: str) -> list[str]:
        """The refresh tokens that came to the token endpoint."""
        return [
            request["token"]
            for request in self.requests(name)
            if request["to"] == "token" and request["parameters"]["grant_type"] == "refresh_token"
        ]

    def record(self, name: str) -> dict[str, Any] | None:
        """What is stored for a client of this row, as the row says."""
        stored = self.rows[name].get("stored")
        if stored is None:
            return None

        def fill(text: str | None) -> str | None:
            issuer = f"{self.base}/{name}"
            return text and text.replace("{base}", self.base).replace("{issuer}", issuer)

        seconds, written = stored.get("expiresInSeconds"), stored.get("expiresAt")
        relative = None if seconds is None else time.time_ns() // 1_000_000 + seconds * 1000
        return {
            "server_name": name,
            "server_url": fill(stored.get("serverUrl")) or self.url(name),
            "issuer": fill(stored.get("issuer")),
            "client_id": fill(stored.get("clientId")),
            "access_token": stored.get("accessToken"),
            "expires_at": relative if written is None else written,
            "refresh_token": stored.get("refreshToken"),
            "scopes": stored.get("scopes"),
        }


class User:
    """Somebody with a Codex home of their own, whose servers are rows of the lab."""

    def __init__(self, lab: Lab, home: Path) -> None:
        self.lab = lab
        self.home = home
        self.config = home / "config.toml"
        self.credentials = home / ".credentials.json"
        self.config.write_text('mcp_oauth_credentials_store = "file"\n')

    def has(self, *names: str, timeout_s: float | None = None) -> User:
        """Configures these rows, and stores what they say is stored."""
        for name in names:
            row = self.lab.rows[name]
            bearer = (row.get("configured") or {}).get("bearer")
            limit = timeout_s or row.get("startupTimeoutSec")
            if row.get("stdio"):
                entry = {"command": PROGRAM[0], "args": [*PROGRAM[1:], "lab", "--stdio", name]}
            else:
                entry = {"url": self.lab.url(name)}
            text = f"\n[mcp_servers.{json.dumps(name)}]\n"
            # A text, or an array of texts, is the same in JSON and in TOML.
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
            text += f"startup_timeout_sec = {limit}\n" if limit else ""
            text += f'http_headers = {{ Authorization = "Bearer {bearer}" }}\n' if bearer else ""
            self._configure(text)
            record = self.lab.record(name)
            if record is not None:
                self.store(record)
        return self

    def has_silent_program(self, name: str = "silent") -> Path:
        """Configures a program that never answers. Returns the file into which it writes its process id."""
        pid_file = self.home / f"{name}.pid"
        command = [sys.executable, "-c", SILENT_PROGRAM, str(pid_file)]
        entry = f"command = {json.dumps(command[0])}\nargs = {json.dumps(command[1:])}\n"
        self._configure(f"\n[mcp_servers.{name}]\n{entry}startup_timeout_sec = 600\n")
        return pid_file

    def store(self, record: dict[str, Any]) -> None:
        """Writes a record, as another process would."""
        records = json.loads(self.credentials.read_text()) if self.credentials.exists() else {}
        records[key_of(record["server_name"], record["server_url"])] = record
        new = self.credentials.with_suffix(".new")
        new.write_text(json.dumps(records))
        new.chmod(0o600)
        new.rename(self.credentials)

    def record(self, name: str) -> dict[str, Any] | None:
        """What is stored for a row."""
        if not self.credentials.exists():
            return None
        record: dict[str, Any] | None = json.loads(self.credentials.read_text()).get(key_of(name, self.lab.url(name)))
        return record

    def _configure(self, text: str) -> None:
        with self.config.open("a") as file:
            file.write(text)


def key_of(name: str, url: str) -> str:
    """The key of a record, as Codex makes it."""
    hashed = json.dumps({"type": "http", "url": url, "headers": {}}, separators=(",", ":"))
    return f"{name}|{hashlib.sha256(hashed.encode()).hexdigest()[:16]}"


def come_back(authorization_url: str) -> str:
    """Opens the page of an authorization server whose user consents at once. Returns where the browser is sent back to."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        urllib.request.build_opener(Stay).open(authorization_url, timeout=DEADLINE_S)
    except urllib.error.HTTPError as page:
        with page:
            assert page.code == 302, page.code
            return str(page.headers["Location"])
    raise AssertionError("the page sends nobody back")


async def sign_in(server: str, **options: Any) -> None:
    """Signs in as a user with a browser does."""
    begun = await mcp_startup.begin_sign_in(server, REDIRECT_URI, **options)
    await mcp_startup.finish_sign_in(begun.pending, come_back(begun.authorization_url), **options)


def wait_until(what: str, holds: Callable[[], Any]) -> Any:
    """Waits until something holds, and returns what it came to."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)
    return found


def wait_for_pid(file: Path) -> int:
    """The process id that a silent program has written."""
    wait_until(f"{file} is written", file.exists)
    return int(file.read_text())


def wait_for_end(pid: int) -> None:
    """Waits until the process has ended."""
    wait_until(f"process {pid} has ended", lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Whether it is among the system's processes: one that has ended is not, once it was waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# As a terminal starts a program. A shell starts one in the background with this signal ignored, and that is inherited.
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@contextmanager
def python(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python of its own that runs this code; ended at the latest when the context is left."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + code, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run_python(code: str, *arguments: str) -> str:
    """The output of a Python of its own, which ends in time, by itself and well."""
    with python(code, *arguments) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, (process.returncode, out, err)
    return out


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        return json.load(answer)

"""The lab, served by the program in the wheel, and users whose servers are rows of the lab."""

from __future__ import annotations

import ctypes
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

import pytest

import mcp_startup

PROGRAM = [sys.executable, "-m", "mcp_startup"]
REDIRECT_URI = "http://127.0.0.1:8123/callback"
DEADLINE_S = 30
# The variables with the home folder of the user, on Unix and on Windows.
HOME_VARIABLES = ["HOME", "USERPROFILE"]

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that one process sends to another")
needs_browser_variable = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="this system opens the default browser, and not the one that the variable BROWSER names"
)

# A program that never answers, ignores the end of its input, and writes its process ID to a file.
SILENT_PROGRAM = """
import os, sys, time
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
# Exits by itself if a test fails to end it.
time.sleep(300)
"""


# A program that never answers, and exits at the end of its input, as MCP requires (stdio, shutdown).
READING_PROGRAM = SILENT_PROGRAM.rsplit("#", 1)[0] + "sys.stdin.buffer.read()\n"
# Speaks MCP over stdio, and has one tool, which reports progress, and one resource.
PROGRAM_WITH_TOOL = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    params = message.get("params") or {}
    results = {
        "initialize": {"protocolVersion": params.get("protocolVersion"), "capabilities": {"tools": {}, "resources": {}},
            "serverInfo": {"name": "own", "version": "1"}},
        "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
        "resources/list": {"resources": [{"uri": "own://a", "name": "a"}]},
        "resources/templates/list": {"resourceTemplates": []},
        "tools/call": {"content": [{"type": "text", "text": str(params.get("arguments"))}], "_meta": {"a": 1}},
        "resources/read": {"contents": [{"uri": "own://a", "text": "contents"}]},
    }
    if message["method"] == "tools/call":
        token, last = params["_meta"]["progressToken"], params["arguments"]["a"]
        for number in range(1, last + 1):
            step = {"progressToken": token, "progress": number}
            if number == last: step |= {"total": last, "message": "last"}
            print(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": step}))
    if "id" in message:
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] in results: answer["result"] = results[message["method"]]
        else: answer["error"] = {"code": -32601, "message": "Method not found"}
        print(json.dumps(answer), flush=True)
"""


class Lab:
    """A running lab. Each row of the atlas is a server at its own URL."""

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
        if sys.platform == "win32":
            self._process.terminate()
        else:
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
        """The tokens of the messages that the MCP endpoint received, in order, without consecutive repetitions."""
        tokens: list[str] = []
        for request in self.requests(name):
            if request["to"] == "mcp" and request["method"] == "POST" and tokens[-1:] != [request["token"]]:
                tokens.append(request["token"])
        return tokens

    def refreshes(self, name: str) -> list[str]:
        """The refresh tokens that the token endpoint received."""
        return [
            request["token"]
            for request in self.requests(name)
            if request["to"] == "token" and request["parameters"]["grant_type"] == "refresh_token"
        ]

    def record(self, name: str) -> dict[str, Any] | None:
        """The stored record of a client of this row, or `None`."""
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
    """A user with their own Codex home, whose servers are rows of the lab."""

    def __init__(self, lab: Lab, home: Path) -> None:
        self.lab = lab
        self.home = home
        self.config = home / "config.toml"
        self.credentials = home / ".credentials.json"
        self.config.write_text('mcp_oauth_credentials_store = "file"\n')

    def has(self, *names: str, timeout_s: float | None = None) -> User:
        """Configures these rows and stores their records."""
        for name in names:
            row = self.lab.rows[name]
            bearer = (row.get("configured") or {}).get("bearer")
            limit = timeout_s or row.get("startupTimeoutSec")
            if row.get("stdio"):
                entry = {"command": PROGRAM[0], "args": [*PROGRAM[1:], "lab", "--stdio", name]}
            else:
                entry = {"url": self.lab.url(name)}
            text = f"\n[mcp_servers.{json.dumps(name)}]\n"
            # Strings and arrays of strings have the same syntax in JSON and in TOML.
            text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
            text += f"startup_timeout_sec = {limit}\n" if limit else ""
            text += f'http_headers = {{ Authorization = "Bearer {bearer}" }}\n' if bearer else ""
            self._configure(text)
            record = self.lab.record(name)
            if record is not None:
                self.store(record)
        return self

    def has_silent_program(self, name: str = "silent", program: str = SILENT_PROGRAM) -> Path:
        """Configures a program that never answers. Returns the file that it writes its process ID to."""
        pid_file = self.home / f"{name}.pid"
        command = [sys.executable, "-c", program, str(pid_file)]
        entry = f"command = {json.dumps(command[0])}\nargs = {json.dumps(command[1:])}\n"
        self._configure(f"\n[mcp_servers.{name}]\n{entry}startup_timeout_sec = 600\n")
        return pid_file

    def has_tool(self) -> None:
        """Configures the server `own`, a program with the tool `echo`."""
        command = [sys.executable, "-c", PROGRAM_WITH_TOOL]
        self._configure(f"\n[mcp_servers.own]\ncommand = {json.dumps(command[0])}\nargs = {json.dumps(command[1:])}\n")

    def store(self, record: dict[str, Any]) -> None:
        """Writes a record, as another process would."""
        records = json.loads(self.credentials.read_text()) if self.credentials.exists() else {}
        records[key_of(record["server_name"], record["server_url"])] = record
        new = self.credentials.with_suffix(".new")
        new.write_text(json.dumps(records))
        new.chmod(0o600)
        new.replace(self.credentials)

    def record(self, name: str) -> dict[str, Any] | None:
        """The stored record of a row, or `None`."""
        if not self.credentials.exists():
            return None
        record: dict[str, Any] | None = json.loads(self.credentials.read_text()).get(key_of(name, self.lab.url(name)))
        return record

    def _configure(self, text: str) -> None:
        with self.config.open("a") as file:
            file.write(text)


def key_of(name: str, url: str) -> str:
    """The key of a record, computed as Codex does."""
    hashed = json.dumps({"type": "http", "url": url, "headers": {}}, separators=(",", ":"))
    return f"{name}|{hashlib.sha256(hashed.encode()).hexdigest()[:16]}"


def follow_redirect(authorization_url: str) -> str:
    """Opens the page of an authorization server that consents immediately. Returns the URL that it redirects the browser to."""

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        urllib.request.build_opener(NoRedirect).open(authorization_url, timeout=DEADLINE_S)
    except urllib.error.HTTPError as page:
        with page:
            assert page.code == 302, page.code
            return str(page.headers["Location"])
    raise AssertionError("the page did not redirect")


async def sign_in(server: str, **options: Any) -> None:
    """Signs in as a user with a browser does."""
    begun = await mcp_startup.begin_sign_in(server, REDIRECT_URI, **options)
    await mcp_startup.finish_sign_in(begun.pending, follow_redirect(begun.authorization_url), **options)


def wait_until(what: str, condition: Callable[[], Any]) -> Any:
    """Waits until `condition` returns a truthy value, and returns it."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)
    return found


def wait_for_pid(file: Path) -> int:
    """Waits for the process ID that a silent program writes."""
    wait_until(f"{file} is written", file.exists)
    return int(file.read_text())


def wait_for_end(pid: int) -> None:
    """Waits until the process has exited."""
    wait_until(f"process {pid} has exited", lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Whether the process exists. A process that has exited stops existing once its parent has reaped it."""
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        kernel.OpenProcess.restype = ctypes.c_void_p
        synchronize, wait_timeout = 0x0010_0000, 0x102
        handle = ctypes.c_void_p(kernel.OpenProcess(synchronize, False, pid))
        # An object of a process that has exited is signalled.
        alive: bool = bool(handle) and kernel.WaitForSingleObject(handle, 0) == wait_timeout
        kernel.CloseHandle(handle)
        return alive
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# A program that a terminal starts handles this signal. A shell starts background programs with the signal ignored, and their
# children inherit that.
HANDLE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


@contextmanager
def python(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Runs the code in a new Python process, and kills it when the context ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANDLE_CTRL_C + code, *arguments],
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
    """Runs the code in a new Python process, which must exit by itself, in time, with status 0. Returns its output."""
    with python(code, *arguments) as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, (process.returncode, out, err)
    return out


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as response:
        return json.load(response)

"""Checks that the README contains the examples of `examples/` verbatim, and runs each of them against the lab."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import DEADLINE_S, HOME_VARIABLES, Lab, User, needs_browser_variable

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
EXAMPLES = HERE.parent / "examples"


@pytest.fixture
def codex_user(lab: Lab, tmp_path: Path) -> User:
    """A user whose configuration is where Codex stores it."""
    home = tmp_path / ".codex"
    home.mkdir()
    return User(lab, home)


def environment(user: User) -> dict[str, str]:
    # `webbrowser` uses this browser. Without a display, it uses no other.
    browser = shlex.join([sys.executable, str(HERE / "browser.py"), "%s"])
    kept = {name: value for name, value in os.environ.items() if name != "CODEX_HOME"}
    return {**kept, **dict.fromkeys(HOME_VARIABLES, str(user.home.parent)), "BROWSER": browser}


def example(user: User, name: str, *arguments: str, status: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        **{"stdin": subprocess.DEVNULL, **more},
        cwd=user.home.parent,
        env=environment(user),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == status, done.stderr
    return done


def test_the_readme_contains_every_example_verbatim() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- examples/(\S+) -->\n```python\n(.*?)```", text, re.DOTALL)
    assert text.count("```python") == len(blocks)
    for name, block in blocks:
        assert block == (EXAMPLES / name).read_text(encoding="utf-8"), f"copy examples/{name} into README.md"
    assert sorted(name for name, _ in blocks) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_file())


def test_every_example_is_run() -> None:
    this = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in this


def test_check(codex_user: User) -> None:
    codex_user.has("ready", "first-sign-in")
    lines = example(codex_user, "check.py").stdout.splitlines()
    assert {"ready starting ", "ready ready ", "first-sign-in starting "} < set(lines) and len(lines) == 4
    assert any(line.startswith("first-sign-in failed ") and "sign in" in line for line in lines)


def test_events(codex_user: User) -> None:
    codex_user.has("ready", "first-sign-in", "expired-no-refresh", "server-500", "access-denied")
    lines = example(codex_user, "events.py").stdout.splitlines()
    assert "expired-no-refresh: your sign-in has expired. Sign in again." in lines
    buttons = sorted(line.rsplit("[", 1)[1] for line in lines if line.endswith("]"))
    assert buttons == ["Reconnect]", "Sign in]", "Try again]"]
    assert len(lines) == 5


def test_tracker(codex_user: User) -> None:
    with open(HERE.parents[2] / "tests/fixtures/codex-app-server-0.169.0.jsonl", "rb") as lines:
        messages = [json.loads(line)["params"] for line in lines]
        lines.seek(0)
        printed = example(codex_user, "tracker.py", stdin=lines).stdout.splitlines()
    again = {params["name"] for params in messages if params["failureReason"] == "reauthenticationRequired"}
    prompts = [line.split(" needs you")[0] for line in printed if line.endswith("Reconnect?")]
    assert again and sorted(prompts) == sorted(again)
    assert len(printed) == len(prompts) + len({(params["threadId"], params["name"]) for params in messages})


@pytest.mark.parametrize("row", ["ready-stored-token", "revoked-refreshes", "expired-rotates", "ready"])
def test_mcp_sdk(codex_user: User, row: str) -> None:
    codex_user.has(row)
    # The number of tools does not matter here.
    assert example(codex_user, "mcp_sdk.py", row, codex_user.lab.url(row)).stdout.startswith("['tool-1'")
    expected = codex_user.lab.rows[row]["expect"]
    assert codex_user.lab.tokens_sent(row) == expected["tokensSent"]
    assert codex_user.lab.refreshes(row) == (expected.get("refreshTokensSent") or [])


def test_mcp_sdk_ends_with_the_verdict(codex_user: User) -> None:
    row = "expired-no-refresh"
    codex_user.has(row)
    failed = example(codex_user, "mcp_sdk.py", row, codex_user.lab.url(row), status=1)
    assert "StartupFailedError" in failed.stderr and "sign in again" in failed.stderr
    assert "expired-token" not in failed.stderr


@needs_browser_variable
def test_sign_in(codex_user: User) -> None:
    codex_user.has("first-sign-in")
    assert example(codex_user, "sign_in.py", "first-sign-in").stdout == "first-sign-in: signed in (oAuth)\n"
    assert codex_user.record("first-sign-in") is not None


def test_sign_in_steps(codex_user: User) -> None:
    codex_user.has("first-sign-in")
    assert example(codex_user, "sign_in_steps.py", "first-sign-in").stdout == "first-sign-in: signed in (oAuth)\n"
    assert codex_user.record("first-sign-in") is not None


@pytest.mark.parametrize(
    ("row", "printed"),
    [
        ("expired-rotates", "200\n"),
        ("insufficient-scope", "200\n"),
        ("expired-no-refresh", "Your sign-in to expired-no-refresh has expired or was revoked: sign in again\n"),
    ],
)
def test_own_requests(codex_user: User, row: str, printed: str) -> None:
    codex_user.has(row)
    assert example(codex_user, "own_requests.py", row, codex_user.lab.url(row)).stdout == printed


@needs_browser_variable
def test_watch(codex_user: User) -> None:
    codex_user.has("expired-no-refresh")
    name = "expired-no-refresh"
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "watch.py")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment(codex_user),
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == [f"{name} starting\n", f"{name} failed\n"]
            example(codex_user, "sign_in.py", name)
            rest, _ = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert rest == f"{name} starting\n{name} ready\n"


def test_app_server(codex_user: User) -> None:
    codex_user.has("ready", "first-sign-in")
    lines = example(codex_user, "app_server.py", "first-sign-in").stdout.splitlines()
    assert lines[0] == "first-sign-in authenticationRequired" and "sign in" in lines[1]
    assert lines[2:] == ["ready connected", "signed in", "first-sign-in ready"]
    assert codex_user.record("first-sign-in") is not None


def test_own_store(codex_user: User) -> None:
    # The user's credentials are in Codex's store, and not in this one.
    codex_user.has("ready-stored-token", "ready")
    for _ in range(2):
        lines = example(codex_user, "own_store.py").stdout.splitlines()
        assert {"ready ready", "ready-stored-token failed"} < set(lines)


def test_discover(codex_user: User) -> None:
    codex_user.has("ready", "server-500")
    lines = [line.strip() for line in example(codex_user, "discover.py").stdout.splitlines()]
    assert lines[:3] == [f"codex: {codex_user.config}", "ready", "server-500"]
    assert sorted(lines[3:]) == ["ready ready", "ready starting", "server-500 failed", "server-500 starting"]


def test_judge(codex_user: User) -> None:
    kind, line = example(codex_user, "judge.py").stdout.splitlines()
    assert kind == "reauthenticationRequired reauthenticate"
    assert json.loads(line)["params"]["failureReason"] == "reauthenticationRequired"


def test_blocking(codex_user: User) -> None:
    with codex_user.config.open("a") as file:
        file.write(f'[mcp_servers.linear]\nurl = "{codex_user.lab.url("ready")}"\n')
    codex_user.has("server-500")
    assert example(codex_user, "blocking.py").stdout == "linear starting\nlinear ready\n"


def test_errors(codex_user: User) -> None:
    codex_user.config.write_text("[mcp_servers.a\n")
    assert example(codex_user, "errors.py").stdout.splitlines() == [
        f"{codex_user.config}:1: syntax",
        "invalidType params.name",
        "configuration",
    ]


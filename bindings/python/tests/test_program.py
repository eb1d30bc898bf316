"""The program in the package: `python -m mcp_startup`, and the script `mcp-startup`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from lab import DEADLINE_S, PROGRAM, User, wait_for_end, wait_for_pid

import mcp_startup

SCRIPT = Path(sys.executable).with_name("mcp-startup")


def run(*arguments: str, program: list[str] = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S
    )


@pytest.mark.parametrize("program", [PROGRAM, [str(SCRIPT)]], ids=["module", "script"])
def test_its_version_is_the_package_s(program: list[str]) -> None:
    done = run("--version", program=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mcp-startup {mcp_startup.__version__}\n", "")
    assert version("mcp-startup") == mcp_startup.__version__


@pytest.mark.parametrize(
    ("rows", "status"),
    [(["ready"], 0), (["ready", "server-500"], 1), (["ready", "first-sign-in"], 3), (["expired-no-refresh"], 3)],
)
def test_a_check_ends_with_what_its_servers_came_to(user: User, rows: list[str], status: int) -> None:
    user.has(*rows)
    done = run("check", "--config", str(user.config), "--format", "ndjson")
    assert done.returncode == status, done.stderr
    decoded = mcp_startup.decode_lines(done.stdout)
    assert decoded.errors == ()
    closing = {said.name: said.status for said in decoded.notifications if said.status != "starting"}
    assert closing == {row: user.lab.rows[row]["expect"]["state"] for row in rows}
    assert len(decoded.notifications) == 2 * len(rows)
    reasons = [said.failure_reason for said in decoded.notifications if said.failure_reason is not None]
    assert reasons == (["reauthenticationRequired"] if rows == ["expired-no-refresh"] else [])


def test_bad_usage_ends_with_2(tmp_path: Path) -> None:
    assert run("chekc").returncode == 2
    done = run("check", "--config", str(tmp_path / "nothing.toml"))
    assert done.returncode == 2 and "nothing.toml" in done.stderr


def test_an_argument_need_not_be_unicode(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("a file's name is Unicode here")
    config = os.fsencode(tmp_path) + b"/\xff.toml"
    Path(os.fsdecode(config)).write_text("")
    done = subprocess.run([*PROGRAM, "check", "--config", config], stdin=subprocess.DEVNULL, capture_output=True)
    # It was found and read, which is all that matters here.
    assert done.returncode == 2 and b"no server is configured" in done.stderr


def test_the_demo_ends_with_0() -> None:
    done = run("demo", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["servers"]) > 5


def test_it_reads_lines_from_stdin_to_their_end() -> None:
    line = mcp_startup.McpServerStatusUpdatedNotification.reauthentication_required("linear", "no").encode()
    done = subprocess.run(
        [*PROGRAM, "follow"], input=line + "\n", capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 3 and "linear" in done.stdout


def test_ctrl_c_ends_it_with_130_and_leaves_no_program(user: User) -> None:
    pid_file = user.has_silent_program()
    command = [*PROGRAM, "check", "--config", str(user.config)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        pid = wait_for_pid(pid_file)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    wait_for_end(pid)


def test_a_reader_that_has_gone_ends_it(user: User) -> None:
    user.has("ready", "first-sign-in")
    command = [*PROGRAM, "check", "--config", str(user.config), "--format", "ndjson"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 141

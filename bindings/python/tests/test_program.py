"""The program in the package: `python -m mcp_startup`, and the script `mcp-startup`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest
from lab import DEADLINE_S, PROGRAM, User, needs_signals, wait_for_end, wait_for_pid

import mcp_startup

SCRIPT = Path(sysconfig.get_path("scripts"), "mcp-startup")


def run(*arguments: str, program: list[str] = PROGRAM) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S
    )


@pytest.mark.parametrize("program", [PROGRAM, [str(SCRIPT)]], ids=["module", "script"])
def test_the_program_has_the_version_of_the_package(program: list[str]) -> None:
    done = run("--version", program=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mcp-startup {mcp_startup.__version__}\n", "")
    assert version("mcp-startup") == mcp_startup.__version__


@pytest.mark.parametrize(
    ("rows", "status"),
    [(["ready"], 0), (["ready", "server-500"], 1), (["ready", "first-sign-in"], 3), (["expired-no-refresh"], 3)],
)
def test_the_exit_status_of_a_check_reports_the_results(user: User, rows: list[str], status: int) -> None:
    user.has(*rows)
    done = run("check", "--config", str(user.config), "--format", "ndjson")
    assert done.returncode == status, done.stderr
    decoded = mcp_startup.decode_lines(done.stdout)
    assert decoded.errors == ()
    closing = {params.name: params.status for params in decoded.notifications if params.status != "starting"}
    assert closing == {row: user.lab.rows[row]["expect"]["state"] for row in rows}
    assert len(decoded.notifications) == 2 * len(rows)
    reasons = [params.failure_reason for params in decoded.notifications if params.failure_reason is not None]
    assert reasons == (["reauthenticationRequired"] if rows == ["expired-no-refresh"] else [])


def test_a_usage_error_exits_with_2(tmp_path: Path) -> None:
    assert run("chekc").returncode == 2
    done = run("check", "--config", str(tmp_path / "nothing.toml"))
    assert done.returncode == 2 and "nothing.toml" in done.stderr


def test_an_argument_need_not_be_unicode(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("file names are Unicode on this platform")
    config = os.fsencode(tmp_path) + b"/\xff.toml"
    Path(os.fsdecode(config)).write_text("")
    done = subprocess.run([*PROGRAM, "check", "--config", config], stdin=subprocess.DEVNULL, capture_output=True)
    # The message shows that the file was found and read.
    assert done.returncode == 2 and b"no servers are configured" in done.stderr


def test_the_demo_exits_with_0() -> None:
    done = run("demo", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["servers"]) > 5


def test_follow_reads_stdin_to_its_end() -> None:
    line = mcp_startup.McpServerStatusUpdatedNotification.reauthentication_required("linear", "no").encode()
    done = subprocess.run(
        [*PROGRAM, "follow"], input=line + "\n", capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 3 and "linear" in done.stdout


@needs_signals
def test_ctrl_c_exits_with_130_and_leaves_no_program(user: User) -> None:
    pid_file = user.has_silent_program()
    command = [*PROGRAM, "check", "--config", str(user.config)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        pid = wait_for_pid(pid_file)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    wait_for_end(pid)


def test_the_program_exits_when_the_reader_of_its_output_closes_the_pipe(user: User) -> None:
    user.has("ready", "first-sign-in")
    command = [*PROGRAM, "check", "--config", str(user.config), "--format", "ndjson"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(DEADLINE_S) == 141

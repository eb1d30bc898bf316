"""Process exit, Ctrl-C, and forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from lab import DEADLINE_S, READING_PROGRAM, User, needs_signals, python, run_python, wait_for_end, wait_for_pid

CHECK = """
import asyncio, sys, mcp_startup
async def main():
    async for event in mcp_startup.check(config=sys.argv[1]):
        print(event.notification.name, event.notification.status, flush=True)
asyncio.run(main())
"""

BLOCKING = """
import sys, mcp_startup
try:
    for event in mcp_startup.check_blocking(config=sys.argv[1]):
        print(event.notification.name, event.notification.status, flush=True)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""

# Exits during a check, while its program runs.
EXITS = """
import asyncio, os, sys, mcp_startup
config, pid_file, how = sys.argv[1:]
async def until_it_runs(check):
    await check.__anext__()
    while not os.path.exists(pid_file):
        await asyncio.sleep(0.01)
async def main():
    global check
    check = mcp_startup.check(config=config)
    await until_it_runs(check)
    if how == "exit":
        sys.exit(0)
    if how == "other loop":
        return
asyncio.run(main())
"""


def test_an_idle_process_exits(user: User) -> None:
    user.has("ready", "stdio-ready")
    for code in [CHECK, BLOCKING]:
        lines = run_python(code, str(user.config)).split("\n")
        assert sorted(lines) == ["", "ready ready", "ready starting", "stdio-ready ready", "stdio-ready starting"]
    # So does a process that only imports the package.
    run_python("import mcp_startup")


@pytest.mark.parametrize("how", ["exit", "return"])
def test_a_process_that_exits_during_a_check_leaves_no_program(user: User, how: str) -> None:
    pid_file = user.has_silent_program()
    run_python(EXITS, str(user.config), str(pid_file), how)
    wait_for_end(wait_for_pid(pid_file))


@needs_signals
@pytest.mark.parametrize("code", [CHECK, BLOCKING], ids=["asyncio", "blocking"])
def test_ctrl_c_interrupts_and_leaves_no_program(user: User, code: str) -> None:
    pid_file = user.has_silent_program()
    with python(code, str(user.config)) as process:
        assert process.stdout is not None and process.stdout.readline() == "silent starting\n"
        pid = wait_for_pid(pid_file)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    if code == BLOCKING:
        assert (process.returncode, out, err) == (130, "interrupted\n", "")
    else:
        # Python exits this way if nothing handles the exception.
        assert process.returncode == -signal.SIGINT and err.endswith("KeyboardInterrupt\n"), err
    wait_for_end(pid)


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_program_that_reads_its_input_ends_if_its_parent_is_killed(user: User, how: str) -> None:
    pid_file = user.has_silent_program(program=READING_PROGRAM)
    with python(CHECK, str(user.config)) as process:
        pid = wait_for_pid(pid_file)
        getattr(process, how)()
        process.communicate(timeout=DEADLINE_S)
    # Windows has no signals, and its processes end with a status.
    assert process.returncode == 1 if sys.platform == "win32" else process.returncode < 0
    wait_for_end(pid)


@needs_signals
def test_a_process_that_exits_at_sigterm_leaves_no_program(user: User) -> None:
    pid_file = user.has_silent_program()
    handler = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
    with python(handler + CHECK, str(user.config)) as process:
        pid = wait_for_pid(pid_file)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143
    wait_for_end(pid)


@needs_signals
def test_ctrl_c_interrupts_a_blocking_check_that_receives_no_event(user: User) -> None:
    user.has("hangs", timeout_s=600)
    with python(BLOCKING, str(user.config)) as process:
        assert process.stdout is not None and process.stdout.readline() == "hangs starting\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130


UNCHANGED = """
import ctypes, os, signal, sys, threading, time, mcp_startup

# The first thread of a process adds a signal handler of the C library.
thread = threading.Thread(target=int)
thread.start()
thread.join()

def attributes():
    wanted = ("Umask:", "Uid:", "Gid:", "NSpgid:", "NSsid:", "SigIgn:", "SigCgt:", "SigBlk:", "NoNewPrivs:")
    with open("/proc/self/status") as status, open("/proc/self/limits") as limits:
        lines = [line for line in status if line.startswith(wanted)]
        is_subreaper = ctypes.c_int(-1)
        # PR_GET_CHILD_SUBREAPER
        assert ctypes.CDLL(None).prctl(37, ctypes.byref(is_subreaper), 0, 0, 0) == 0
        handler = signal.getsignal(signal.SIGINT)
        return lines, limits.read(), is_subreaper.value, dict(os.environ), os.getcwd(), handler

def files():
    return os.listdir("/proc/self/fd")

def complete():
    events = list(mcp_startup.check_blocking(config=sys.argv[1]))
    assert [event.failure for event in events] == [None] * 4, events

def changes():
    return [pair for pair in zip(before, attributes()) if pair[0] != pair[1]]

before = attributes()
assert len(before[0]) == 9, before[0]
complete()
assert not changes(), changes()
# The first check has started the runtime, whose files stay open.
opened = len(files())
complete()
end = time.monotonic() + 10
while len(files()) > opened and time.monotonic() < end:
    time.sleep(0.02)
assert len(files()) <= opened, (opened, files())
assert not changes(), changes()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc here")
def test_a_check_changes_no_attribute_of_its_process(user: User) -> None:
    user.has("ready", "stdio-ready")
    run_python(UNCHANGED, str(user.config))


FORKED = """
import asyncio, os, sys, mcp_startup
options = {"config": sys.argv[1]}

async def collect(check):
    return [event async for event in check]

async def sign_in():
    await mcp_startup.begin_sign_in("ready", "http://127.0.0.1:1/", **options)

def raises(call):
    try:
        call()
    except mcp_startup.McpStartupError as error:
        return error.code == "forked" and "fork" in str(error)
    return False

def in_child(held):
    calls = [
        lambda: asyncio.run(collect(mcp_startup.check(**options))),
        lambda: asyncio.run(collect(mcp_startup.watch(**options))),
        lambda: list(mcp_startup.check_blocking(**options)),
        lambda: asyncio.run(mcp_startup.authorization("ready", **options)),
        lambda: asyncio.run(mcp_startup.auth_status("ready", **options)),
        lambda: asyncio.run(mcp_startup.sign_out("ready", **options)),
        lambda: asyncio.run(sign_in()),
        # An iterator that the parent created.
        lambda: asyncio.run(held.__anext__()),
    ]
    for number, call in enumerate(calls):
        if not raises(call):
            return number + 1
    # Functions that need no thread still work.
    line = '{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"ready"}}'
    assert mcp_startup.decode(line).name == "a"
    assert mcp_startup.judge({}).kind is mcp_startup.StartupFailureKind.OTHER
    return 0

async def main():
    held = mcp_startup.watch(**options)
    await held.__anext__()
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            # The running loop belongs to the parent. The child creates its own.
            asyncio.events._set_running_loop(None)
            status = in_child(held)
            del held
        finally:
            # multiprocessing ends its children with or without their atexit functions.
            if sys.argv[2] == "exit":
                os._exit(status)
            import atexit
            atexit._run_exitfuncs()
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    print("child", os.waitstatus_to_exitcode(status))
    # The parent's iterator still works.
    await held.__anext__()
    held.close()
    print("parent", len(await collect(mcp_startup.check(**options))))

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("end", ["exit", "atexit"])
def test_use_after_a_fork_raises_an_error_instead_of_hanging(user: User, end: str) -> None:
    user.has("ready")
    assert run_python(FORKED, str(user.config), end) == "child 0\nparent 2\n"


FORKS_DURING_A_CHECK = """
import asyncio, os, sys, mcp_startup
config, pid_file = sys.argv[1:]
async def main():
    check = mcp_startup.check(config=config)
    await check.__anext__()
    while not os.path.exists(pid_file):
        await asyncio.sleep(0.01)
    with open(pid_file) as file:
        program = int(file.read())
    pid = os.fork()
    if pid == 0:
        # The child drops the parent's check and exits.
        check.close()
        del check
        os._exit(0)
    os.waitpid(pid, 0)
    # The program belongs to the parent and still runs.
    os.kill(program, 0)
    with open(f"/proc/{program}/stat") as stat:
        assert stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    check.cancel()
    print([event.notification.status.value async for event in check])
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc here")
def test_a_child_that_exits_does_not_end_the_programs_of_its_parent(user: User) -> None:
    pid_file = user.has_silent_program()
    assert run_python(FORKS_DURING_A_CHECK, str(user.config), str(pid_file)) == "['cancelled']\n"


USED_ONLY_AFTER_A_FORK = """
import os, sys, mcp_startup
pid = os.fork()
if pid == 0:
    events = list(mcp_startup.check_blocking(config=sys.argv[1]))
    os._exit(len(events))
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status), len(list(mcp_startup.check_blocking(config=sys.argv[1]))))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_can_import_before_a_fork_and_use_after_it(user: User) -> None:
    user.has("ready")
    assert run_python(USED_ONLY_AFTER_A_FORK, str(user.config)) == "2 2\n"


SPAWNED = """
import multiprocessing, sys, mcp_startup
def count(config):
    return len(list(mcp_startup.check_blocking(config=config)))
if __name__ == "__main__":
    counts = [count(sys.argv[1])]
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        counts += pool.map(count, [sys.argv[1]] * 2)
    print(counts)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_spawn_and_forkserver_work(user: User, method: str) -> None:
    if method == "forkserver" and sys.platform == "win32":
        pytest.skip("no forkserver here")
    user.has("ready")
    script = user.home / "spawned.py"
    script.write_text(SPAWNED)
    # A file, because the new processes import the main module.
    done = subprocess.run(
        [sys.executable, str(script), str(user.config), method],
        capture_output=True, text=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[2, 2, 2]\n"), done.stderr

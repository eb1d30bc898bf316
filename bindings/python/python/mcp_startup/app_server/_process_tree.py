"""Kills a process with the processes that it has started, such as those of a wrapper like `npx`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

START_OPTIONS: dict[str, Any] = {"start_new_session": os.name == "posix"}
"""The options of `subprocess.Popen` for such a process."""

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _kernel = ctypes.WinDLL("kernel32")
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _PROCESS_TERMINATE, _PROCESS_SET_QUOTA = 0x1, 0x100

    class ProcessTree:
        """A process, and those that it starts from now on: a job object."""

        def __init__(self, pid: int) -> None:
            self._job = wintypes.HANDLE(_kernel.CreateJobObjectW(None, None))
            process = wintypes.HANDLE(_kernel.OpenProcess(_PROCESS_TERMINATE | _PROCESS_SET_QUOTA, False, pid))
            # Fails if the process has already exited.
            _kernel.AssignProcessToJobObject(self._job, process)
            _kernel.CloseHandle(process)

        def kill(self) -> None:
            """Kills the processes that are running."""
            _kernel.TerminateJobObject(self._job, 1)

        def __del__(self) -> None:
            _kernel.CloseHandle(self._job)

else:

    class ProcessTree:
        """A process, and those that it starts: a process group."""

        def __init__(self, pid: int) -> None:
            self._pid = pid

        def kill(self) -> None:
            """Kills the processes that are running."""
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass

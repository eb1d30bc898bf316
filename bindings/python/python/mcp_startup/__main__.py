"""The program `mcp-startup`: `python -m mcp_startup`."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from . import _native


def main() -> NoReturn:
    """Runs the program with this process's arguments, and exits with its status."""
    # The program handles Ctrl-C itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    status = _native.program([sys.executable, "-m", "mcp_startup"], sys.argv[1:])
    sys.stdout.flush()
    # Skip Python's shutdown: it would wait for a thread that still reads stdin.
    os._exit(status)


if __name__ == "__main__":
    main()

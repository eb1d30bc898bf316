"""The program `mcp-startup`: `python -m mcp_startup`."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

from . import _native


def main() -> NoReturn:
    """Runs the program with this process's arguments, and ends with its status."""
    # The program listens for Ctrl-C itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    status = _native.program([sys.executable, "-m", "mcp_startup"], sys.argv[1:])
    sys.stdout.flush()
    # Without Python's own end: a read of stdin that is still waiting must not hold it up.
    os._exit(status)


if __name__ == "__main__":
    main()

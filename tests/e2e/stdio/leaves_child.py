"""A legacy MCP server over stdio that starts a child process and leaves it running at exit.

The child sleeps for an hour, in the same process group, without the server's pipes. Before the first response, the server writes
the process id of the child to the file that MCP_STARTUP_E2E_CHILD_PID names, if it is set, and to stderr as `child N`.
"""

import os
import subprocess
import sys

import legacy

child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(3600)"],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
path = os.environ.get("MCP_STARTUP_E2E_CHILD_PID")
if path:
    with open(path + ".part", "w") as file:
        file.write(f"{child.pid}\n")
    os.rename(path + ".part", path)
print(f"child {child.pid}", file=sys.stderr, flush=True)


def refuse(message):
    error = {"code": -32601, "message": "Method not found"}
    legacy.send({"id": message["id"], "error": error})


legacy.serve("leaves-child", refuse)
os._exit(0)

"""Starts a server over stdio and records the messages to it: relay.py RECORD COMMAND [ARGUMENT…]

RECORD gets a line of JSON for each launch, each message from the client and the first answer of the server."""
import json
import os
import subprocess
import sys
import threading

record = open(sys.argv[1], "a", buffering=1)


def note(**entry):
    record.write(json.dumps(entry) + "\n")


server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
note(launch=server.pid)


def answers():
    """Passes on the output of the server, and ends with it."""
    first = b""
    while part := server.stdout.read(65536):
        if first is not None:
            first += part
            if b"\n" in first:
                note(answer=first.decode(errors="replace")[:2000])
                first = None
        os.write(1, part)
    code = server.wait()
    note(exit=code)
    os._exit(code if code >= 0 else 1)


threading.Thread(target=answers, daemon=True).start()
rest = b""
while part := os.read(0, 65536):
    rest += part
    *lines, rest = rest.split(b"\n")
    for line in lines:
        try:
            message = json.loads(line)
            meta = message.get("params", {}).get("_meta", {})
            note(method=message.get("method"), version=meta.get("io.modelcontextprotocol/protocolVersion"))
        except (ValueError, AttributeError):
            note(method="?", version=None)
    try:
        server.stdin.write(part)
    except OSError:
        break
try:
    server.stdin.close()
except OSError:
    pass
server.wait()
threading.Event().wait(1)

#!/usr/bin/env python3
"""MCP servers that flood their client, for hosts in every language.

    flood.py stdio FLOOD WHEN   one server over stdio
    flood.py http               servers over HTTP: the first line of the output is their base URL, to which FLOOD/WHEN is added.
                                It ends with its input

FLOOD: `pings` without reading the responses, `notifications`, `large` notifications of 15 MiB, `smaller` ones of 3 MiB, `values` for
many values in each, `unended` for a message without an end, `stopped` for one that stops before the limit, `late` for one that ends some
seconds after it stopped, `quiet` for a server that sends nothing, or `long` for one whose list of tools is large. `tools` and `nested` are
lists of tools that are complete and valid: one of 10 MB, and one with many nested objects. Only over HTTP: `split` for an event without an
end whose lines end in the next chunk, and `ids` for streams that end after an event with a long ID.
WHEN: `list`, in place of the list of tools, `events`, the same for a complete list in an event stream, `live`, when the server is ready
(over HTTP, on the stream of a GET request), or `call`, in place of the result of a call (over HTTP, in an event stream), or `body`, the
same as JSON.

`flood.json` has the floods of a start.
"""

import functools
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MESSAGES = {
    "pings": '{"jsonrpc":"2.0","id":%d,"method":"ping"}',
    "notifications": '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%d"}}',
}
CHUNK_MESSAGES = 1000
# Floods of large messages, by the length of each.
LARGE = {
    "large": '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"' + "x" * (15 << 20) + '"}}',
    "smaller": '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"' + "x" * (3 << 20) + '"}}',
    "values": '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":[' + "{}," * 40_000 + "{}]}}",
}
UNENDED_MIB = {"unended": 15, "stopped": 9, "late": 15}
WORKING = ("quiet", "long", "tools", "nested")
LATE_S = 3
# How long a client takes to consider a server ready that has listed its tools.
UNTIL_READY_S = 0.5


def result(message):
    """The result of a working server."""
    if message["method"] == "initialize":
        version = message["params"]["protocolVersion"]
        server = {"name": "flood", "version": "1"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
    if message["method"] == "tools/list":
        return {"tools": [{"name": "one", "inputSchema": {"type": "object"}}]}
    return {}


def response(message, kind):
    answer = result(message)
    if kind == "long" and message["method"] == "tools/list":
        # The others take all places before.
        time.sleep(UNTIL_READY_S)
        answer["tools"][0]["description"] = "x" * 1_500_000
    text = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer})
    if kind in ("tools", "nested") and message["method"] == "tools/list":
        text = text.replace(json.dumps(answer["tools"]), tools(kind))
    return text


@functools.cache
def tools(kind):
    """A list that has almost as many bytes, tools or values as are read."""
    if kind == "tools":
        tool = {"name": "n" * 400, "description": "d" * 500, "inputSchema": {"type": "object"}}
        return json.dumps([tool] * 10_000)
    nested = {}
    for _ in range(100):
        nested = {"a": nested}
    return json.dumps([{"name": "one", "inputSchema": nested}] * 1_150)


def flood(write, kind, frame, call=None):
    """Writes messages until the client closes the connection, or the result of a call."""
    if kind in UNENDED_MIB:
        beginning, end = "{", ""
        if call is not None:
            beginning = json.dumps({"jsonrpc": "2.0", "id": call, "result": {"content": []}})
            beginning, end = beginning[:-3], beginning[-3:]
        before, after = frame.split("%s")
        write((before + beginning).encode())
        for _ in range(UNENDED_MIB[kind]):
            write(b" " * (1 << 20))
        time.sleep(LATE_S if kind == "late" else 60)
        write((end + after).encode())
        return
    while kind in LARGE:
        write((frame % LARGE[kind]).encode())
    number = 1000
    while True:
        numbers = range(number, number + CHUNK_MESSAGES)
        write("".join(frame % (MESSAGES[kind] % number) for number in numbers).encode())
        number += CHUNK_MESSAGES


def flooded_method(when):
    """The request with which a flood begins."""
    return "tools/call" if when in ("call", "body") else "tools/list"


def serve_stdio(kind, when):
    def write(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    try:
        for line in sys.stdin:
            message = json.loads(line)
            if "method" not in message or "id" not in message:
                continue
            floods = kind not in WORKING and message["method"] == flooded_method(when)
            if not floods or when == "live":
                write(f"{response(message, kind)}\n".encode())
            if floods:
                time.sleep(UNTIL_READY_S if when == "live" else 0)
                flood(write, kind, "%s\n", message["id"] if when == "call" else None)
    except BrokenPipeError:
        sys.stderr.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, content_type="", body=b"", close=False):
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Mcp-Session-Id", "session")
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def flood_split(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Mcp-Session-Id", "session")
        self.end_headers()
        self.close_connection = True
        while True:
            for chunk in (b"data: " + b"x" * (250 << 10) + b"\n", b"a", b"\n"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def flood_events(self, kind, call=None):
        if kind == "split":
            self.flood_split()
            return
        self.answer(200, "text/event-stream", close=True)
        if kind == "ids":
            self.wfile.write(b"id: " + b"x" * (3 << 20) + b"\ndata: \n\n")
            return
        flood(self.wfile.write, kind, "data: %s\n\n", call)

    def do_POST(self):
        kind, when = self.path.strip("/").split("/")
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "method" not in message and when == "list":
            # The responses to a flood are not read, and the client waits.
            time.sleep(60)
        if "method" not in message or "id" not in message:
            self.answer(202)
        elif kind not in WORKING and when != "live" and message["method"] == flooded_method(when):
            if when == "body":
                self.answer(200, "application/json", close=True)
                flood(self.wfile.write, kind, "%s", message["id"])
            else:
                self.flood_events(kind, message["id"] if when == "call" else None)
        elif when == "events":
            self.answer(200, "text/event-stream", f"data: {response(message, kind)}\n\n".encode())
        else:
            self.answer(200, "application/json", response(message, kind).encode())

    def do_GET(self):
        kind, when = self.path.strip("/").split("/")
        if when != "live" or kind in WORKING:
            self.answer(405)
            return
        time.sleep(UNTIL_READY_S)
        self.flood_events(kind)

    def do_DELETE(self):
        kind, _ = self.path.strip("/").split("/")
        if kind not in WORKING:
            # The client waits for the end of its session.
            time.sleep(60)
        self.answer(200)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, *_):
        """A client that has seen enough closes the connection."""


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        serve_stdio(*sys.argv[2:])
    else:
        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        sys.stdin.read()

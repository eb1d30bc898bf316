#!/usr/bin/env python3
"""An MCP server whose tool returns a text of any length, for clients that do not read.

    large_results.py stdio BYTES    one server over stdio
    large_results.py json BYTES     over HTTP, each response as JSON: the first line of the output is the URL. It ends with its input
    large_results.py events BYTES   the same, each response as an event stream
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def response(message, text):
    """The response to a request, or None to a notification."""
    method = message.get("method")
    if "id" not in message:
        return None
    if method == "initialize":
        server = {"name": "large", "version": "1"}
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": server}
    elif method == "tools/list":
        result = {"tools": [{"name": "large", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": text}]}
    else:
        result = {}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})


def serve_stdio(text):
    try:
        for line in sys.stdin:
            answer = response(json.loads(line), text)
            if answer is not None:
                print(answer, flush=True)
    except BrokenPipeError:
        sys.stderr.close()


def serve_http(text, as_events):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status, body=b""):
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if as_events else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = response(message, text)
            if answer is None:
                self.answer(202)
            else:
                self.answer(200, (f"data: {answer}\n\n" if as_events else answer).encode())

        def do_GET(self):
            self.answer(405)

        do_DELETE = do_GET

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/mcp", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


def main():
    transport, length = sys.argv[1], int(sys.argv[2])
    text = "x" * length
    if transport == "stdio":
        serve_stdio(text)
    else:
        serve_http(text, transport == "events")


main()

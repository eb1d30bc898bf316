"""A server that supports only 2026-07-28 and refuses other requests exactly as the specification says: strict.py http VARIANT PORT

    header  400 with -32020, because required headers are missing (Streamable HTTP, Server Validation)
    404     404 with -32601, because the method is unknown (Streamable HTTP, Protocol Version Header)
    plain   400 without JSON-RPC, as an intermediary may answer (Server Validation, second note)"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

variant, port = sys.argv[2], int(sys.argv[3])
VERSION = "2026-07-28"
COMPLETE = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "compatibility", "version": "1.0.0"}}}
RESULTS = {
    "server/discover": {"supportedVersions": [VERSION], "capabilities": {"tools": {}}},
    "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = message["method"]

        def rpc(status, **members):
            self.reply(status, json.dumps({"jsonrpc": "2.0", "id": message.get("id"), **members}).encode())

        has_headers = self.headers["MCP-Protocol-Version"] == VERSION and self.headers["Mcp-Method"] == method
        if variant == "plain" and not has_headers:
            self.reply(400, b"Bad Request", "text/plain")
        elif variant == "header" and not has_headers:
            rpc(400, error={"code": -32020, "message": "Header mismatch: required header MCP-Protocol-Version is missing"})
        elif method in RESULTS:
            rpc(200, result={**COMPLETE, **RESULTS[method]})
        else:
            rpc(404, error={"code": -32601, "message": "Method not found"})

    def do_GET(self):
        self.reply(405)

    do_DELETE = do_GET

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()

"""The MCP server and the authorization server of a case. They are valid except for the faults of the case.

`tools` (the number of tools), `version`, `era` ("modern": only 2026-07-28), `sse` (the old HTTP+SSE transport, and how it writes its address), `guard` (the bearer
tokens it accepts; `guarded`: only for these methods), `challenge`, `oauth` (see Server.OAUTH), and `rules`. The first rule that matches
a request overrides all others:

    on    "POST /mcp tools/list": method, path (with *), JSON-RPC method if any    has, hasnt   regexes on the whole request
    status, type, headers, body   the response; a rule without status and body changes only how the valid response is sent:
    encoding "gzip" …, bom, charset, wait (s), open (the stream stays open), lacks (bytes at the end: the connection breaks), back (the query, or the end of the path and the query, with which /authorize sends the user back),
    asks (a JSON-RPC method: the stream begins with a request of the server, and continues after the client's answer to it)
"""
import base64, fnmatch, gzip, hashlib, http.server, json, queue, re, threading, time, zlib
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from good import GIVEN, fill, result_of, tool

MODERN = "2026-07-28"
HEADERS = {"raw deflate": "deflate", "half of gzip": "gzip"}


def encoded(body, encoding):
    """Brotli and zstd are written as uncompressed blocks, which every decoder reads."""
    if encoding == "gzip":
        return gzip.compress(body)
    if encoding == "deflate":
        return zlib.compress(body)
    if encoding == "br":
        blocks = [body[at:at + 65536] for at in range(0, len(body), 65536)]
        return b"".join(((len(part) - 1) << (4 if at == 0 else 3) | 1 << (20 if at == 0 else 19)).to_bytes(3, "little") + part
                        for at, part in enumerate(blocks)) + b"\x03"
    if encoding == "zstd":
        blocks = [body[at:at + 100000] for at in range(0, len(body), 100000)]
        return b"\x28\xb5\x2f\xfd\xa0" + len(body).to_bytes(4, "little") + b"".join(
            (len(part) << 3 | (at == len(blocks) - 1)).to_bytes(3, "little") + part for at, part in enumerate(blocks))
    if encoding == "raw deflate":
        return zlib.compress(body)[2:-4]
    if encoding == "gzip, gzip":
        return gzip.compress(gzip.compress(body))
    if encoding == "half of gzip":
        return gzip.compress(body)[:-12]
    raise ValueError(encoding)


class Server:
    OAUTH = {
        "prm": ["/.well-known/oauth-protected-resource/mcp"],   # the addresses of the resource's metadata, and its content:
        "resource": "@BASE@/mcp", "named": "@BASE@", "scopes": [],
        "at": ["/.well-known/oauth-authorization-server"],      # the addresses of the authorization server's metadata, and its content:
        "issuer": "@BASE@", "metadata": {}, "without": [],
        "methods": ["none"],          # how its clients authenticate; a registration that asks for another is refused
        "client": "",                 # the client it knows already: ID, or ID:SECRET
        "callback": "",               # the only redirect URI it takes
    }

    def __init__(self, case):
        self.case, self.seen, self.streams, self.asked, self.registered = case, [], {}, {}, ""
        self.answered = threading.Event()             # the client has answered a request of the server
        self.oauth = {**self.OAUTH, **case.get("oauth", {})} if "oauth" in case else None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do(self):
                try:
                    server.serve(self)
                except (ConnectionError, ValueError):
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = do_HEAD = do_CONNECT = do

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None      # a client may close the connection
        self.places = {"PORT": self.http.server_port, "BASE": "http://127.0.0.1:%d" % self.http.server_port}
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(request.path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        text = "%s %s\n%s\n\n%s" % (request.command, request.path, "\n".join("%s: %s" % pair for pair in headers.items()), body)
        self.seen.append(text)
        try:
            message = json.loads(body)
        except ValueError:
            message = {}
        message = message if isinstance(message, dict) else {}
        if "id" in message and "method" not in message:
            self.answered.set()
        line = " ".join([request.command, url.path, message.get("method") or ""]).strip()
        rule = next((rule for rule in self.case.get("rules", []) if self.fits(rule, line, text)), {})
        good = {} if "status" in rule or "body" in rule else self.good(request.command, url, headers, body, message)
        answer = result_of(message, self.case.get("tools", 1), self.case.get("version"))
        places = {**self.places, "ID": json.dumps(message.get("id")), "ANSWER": json.dumps(answer),
                  "VERSION": (message.get("params") or {}).get("protocolVersion")}
        self.reply(request, {"status": 200, "type": "application/json", **good, **fill(rule, places)}, url)

    @staticmethod
    def fits(rule, line, text):
        on = rule.get("on", "* *").split(" ")
        parts = line.split(" ")
        named = all(fnmatch.fnmatchcase(part, pattern) for pattern, part in zip(on, parts + [""] * len(on)))
        return named and re.search(rule.get("has", ""), text) and not ("hasnt" in rule and re.search(rule["hasnt"], text))

    def reply(self, request, rule, url):
        time.sleep(rule.get("wait", 0))
        body = rule.get("body", "")
        body = body if isinstance(body, str) else json.dumps(body)
        if "back" in rule:
            query = dict(parse_qsl(url.query))
            to = query.get("redirect_uri", "") + ("" if rule["back"].startswith("/") else "?") + rule["back"]
            rule = {**rule, "status": 302, "headers": {"Location": to + "&" + urlencode(
                {"state": query.get("state", "")})}}
            body = ""
        data = (b"\xef\xbb\xbf" if rule.get("bom") else b"") + body.encode(rule.get("charset", "utf-8"))
        headers = dict(rule.get("headers", {}))
        if "encoding" in rule:
            data, headers["Content-Encoding"] = encoded(data, rule["encoding"]), HEADERS.get(rule["encoding"], rule["encoding"])
        stays = rule.get("open") or rule.get("stream") or rule.get("asks")
        if rule["type"] and (data or stays):
            headers["Content-Type"] = rule["type"]
        request.send_response(rule["status"])
        headers["Connection" if stays else "Content-Length"] = "close" if stays else str(len(data) + rule.get("lacks", 0))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if "asks" in rule:
            asks = json.dumps({"jsonrpc": "2.0", "id": "asked", "method": rule["asks"]})
            request.wfile.write(("data: %s\n\n" % asks).encode())
            request.wfile.flush()
            if not self.answered.wait(20):
                data = b""
        if request.command != "HEAD":
            request.wfile.write(data)
            request.wfile.flush()
        if rule.get("stream"):
            while (event := rule["stream"].get(timeout=20)) is not None:
                request.wfile.write(event.encode())
                request.wfile.flush()
        elif rule.get("open"):
            request.connection.settimeout(20)
            request.connection.recv(1)
        if stays or "lacks" in rule:
            request.close_connection = True

    # The responses of a valid server.

    def good(self, method, url, headers, body, message):
        oauth, sse = self.oauth, self.case.get("sse")
        if sse and (found := self.old_transport(sse, method, url, message)):
            return found
        if oauth and (found := self.authorization_server(oauth, method, url, headers, body, message)):
            return found
        if url.path.rstrip("/") != self.case.get("path", "/mcp").rstrip("/"):
            return {"status": 404, "type": "text/plain", "body": "Not Found"}
        if method != "POST":
            return {"status": 405}
        guarded = self.case.get("guarded")
        if ("guard" in self.case or oauth) and (not guarded or message.get("method") in guarded):
            token = headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.case.get("guard", [GIVEN["NEWACCESS"]]):
                challenge = self.case.get("challenge", 'Bearer resource_metadata="@BASE@%s"' % oauth["prm"][0] if oauth and oauth["prm"] else "")
                return {"status": 401, "body": {"error": "invalid_token"},
                        "headers": {"WWW-Authenticate": fill(challenge, self.places)} if challenge else {}}
        if self.case.get("era") == "modern":
            return self.modern(headers, message)
        answer = result_of(message, self.case.get("tools", 1), self.case.get("version"))
        return {"status": 202} if answer is None else {"body": answer}

    def modern(self, headers, message):
        """Only MCP 2026-07-28: no `initialize`, and the server refuses a request without the header before it reads the body."""
        error = lambda code, text: {"status": 400, "body": {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": code, "message": text}}}
        if headers.get("mcp-protocol-version") != MODERN:
            return error(-32020, "Bad Request: the header MCP-Protocol-Version is required")
        more = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "case", "version": "1.0.0"}}}
        if message.get("method") == "server/discover":
            result = {"supportedVersions": [MODERN], "capabilities": {"tools": {}}}
        elif message.get("method") == "tools/list":
            result = {"tools": [tool(number + 1) for number in range(self.case.get("tools", 1))]}
        else:
            return {**error(-32601, "Method not found"), "status": 404}
        return {"body": {"jsonrpc": "2.0", "id": message["id"], "result": {**result, **more}}}

    def old_transport(self, sse, method, url, message):
        """A stream that names the address for messages and carries the responses (MCP 2024-11-05)."""
        if method == "GET" and url.path == sse["at"]:
            events = self.streams["1"] = queue.Queue()
            endpoint = "event: endpoint\r\ndata: %s\r\n\r\n" % fill(sse.get("written", sse["messages"]), self.places)
            threading.Timer(sse.get("wait", 0), events.put, [endpoint]).start()
            return {"type": "text/event-stream", "body": ": hello\n\n", "stream": events}
        if method == "POST" and url.path == urlsplit(fill(sse["messages"], self.places).split()[0]).path:
            answer = result_of(message, self.case.get("tools", 1), "2024-11-05")
            if answer and "1" in self.streams:
                self.streams["1"].put("event: message\r\ndata: %s\r\n\r\n" % json.dumps(answer))
            return {"status": 202, "type": "text/plain", "body": "Accepted"}
        if url.path == sse["at"]:
            return {"status": 405, "type": "text/plain", "body": "Method Not Allowed", "headers": {"Allow": "GET"}}
        return None

    def authorization_server(self, oauth, method, url, headers, body, message):
        base, fields = self.places["BASE"], dict(parse_qsl(body, keep_blank_values=True))
        said = lambda status, code, text="": {"status": status, "body": {"error": code, "error_description": text}}
        if url.path in oauth["prm"]:
            document = {"resource": oauth["resource"], "authorization_servers": [oauth["named"]]}
            return {"body": fill({**document, **({"scopes_supported": oauth["scopes"]} if oauth["scopes"] else {})}, self.places)}
        if url.path in oauth["at"]:
            document = {"issuer": oauth["issuer"], "authorization_endpoint": "@BASE@/authorize", "token_endpoint": "@BASE@/token",
                        "registration_endpoint": "@BASE@/register", "response_types_supported": ["code"],
                        "grant_types_supported": ["authorization_code", "refresh_token"], "code_challenge_methods_supported": ["S256"],
                        "token_endpoint_auth_methods_supported": oauth["methods"], **oauth["metadata"]}
            return {"body": fill({name: value for name, value in document.items() if name not in oauth["without"]}, self.places)}
        client = oauth["client"] or self.registered
        known, _, secret = (client, "", "") if client.startswith("https:") else client.partition(":")
        if (method, url.path) == ("POST", "/register") and "registration_endpoint" not in oauth["without"]:
            wanted = message.get("token_endpoint_auth_method", "client_secret_basic")
            if wanted not in oauth["methods"]:
                return said(400, "invalid_client_metadata", "token_endpoint_auth_method must be one of " + ", ".join(oauth["methods"]))
            self.registered = "client-1" if wanted == "none" else "client-1:" + GIVEN["SECRET"]
            more = {} if wanted == "none" else {"client_secret": GIVEN["SECRET"], "client_secret_expires_at": 0}
            return {"status": 201, "body": {"client_id": "client-1", "redirect_uris": message.get("redirect_uris"),
                                            "token_endpoint_auth_method": wanted, **more}}
        if (method, url.path) == ("GET", "/authorize"):
            self.asked = asked = dict(parse_qsl(url.query, keep_blank_values=True))
            if oauth["callback"] and asked.get("redirect_uri") != fill(oauth["callback"], self.places):
                return {"status": 400, "type": "text/html", "body": "<h1>redirect_uri did not match any configured URIs</h1>"}
            if asked.get("client_id") != known or asked.get("code_challenge_method") != "S256" or asked.get("response_type") != "code":
                return {"status": 400, "type": "text/html", "body": "<h1>invalid request</h1>"}
            return {"back": "code=" + GIVEN["CODE"]}
        if (method, url.path) == ("POST", "/token"):
            return self.token(oauth, headers, fields, known, secret, said)
        return None

    def token(self, oauth, headers, fields, known, secret, said):
        basic = headers.get("authorization", "")
        given = base64.b64decode(basic[6:]).decode().split(":") if basic.startswith("Basic ") else None
        by = "client_secret_basic" if given else "client_secret_post" if fields.get("client_secret") else "none"
        given = [unquote(part) for part in given] if given else [fields.get("client_id"), fields.get("client_secret", "")]
        if secret and (by not in oauth["methods"] or given != [known, secret]):
            return said(401, "invalid_client", "authenticate by " + ", ".join(oauth["methods"]))
        granted = {"body": {"access_token": GIVEN["NEWACCESS"], "token_type": "Bearer", "expires_in": 3600, "refresh_token": GIVEN["NEWREFRESH"]}}
        if fields.get("grant_type") == "refresh_token":
            return granted if fields.get("refresh_token") == GIVEN["OLDREFRESH"] else said(400, "invalid_grant")
        verifier = base64.urlsafe_b64encode(hashlib.sha256(fields.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        right = (fields.get("code") == GIVEN["CODE"] and verifier == self.asked.get("code_challenge")
                 and fields.get("redirect_uri") == self.asked.get("redirect_uri"))
        return granted if right else said(400, "invalid_grant", "the code, its verifier or redirect_uri does not match")

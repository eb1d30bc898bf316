"""A proxy in front of a server over HTTP, which records the requests and the start of each response."""
import json
import re
import socket
import threading

ANSWER = 4096  # how much of a response is kept, in bytes


class Exchange:
    """A request and the start of its response."""

    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.verb, self.path = first.split(" ")[:2]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        try:
            self.method = json.loads(body).get("method")
        except (ValueError, AttributeError):
            self.method = None
        self.response = b""

    @property
    def status(self):
        found = re.match(rb"HTTP/1\.\d (\d+)", self.response)
        return int(found[1]) if found else None

    @property
    def code(self):
        """The code of the JSON-RPC error in the response."""
        found = re.search(rb'"code"\s*:\s*(-\d+)', self.response.partition(b"\r\n\r\n")[2])
        return int(found[1]) if found else None

    @property
    def session(self):
        """The session that the response opens."""
        found = re.search(rb"\r\nmcp-session-id: *([^\r]+)\r\n", self.response.partition(b"\r\n\r\n")[0] + b"\r\n", re.I)
        return found[1].decode() if found else None

    def __str__(self):
        name = self.method or self.verb
        return "%s %s" % (name, self.status if self.code is None else "%s %s" % (self.status, self.code))


class Proxy:
    """Forwards connections to the port `to`. Each request is recorded before the server gets it."""

    def __init__(self, to):
        self.to, self.exchanges, self.sockets = to, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            client.close()
            return
        self.sockets += [client, server]
        current = []
        threading.Thread(target=self.responses, args=(server, client, current), daemon=True).start()
        try:
            self.requests(client.makefile("rb"), server, current)
        except (OSError, ValueError):
            pass
        for end in (server, client):
            self.shut(end)

    def requests(self, stream, server, current):
        while True:
            head = b""
            while line := stream.readline():
                if line == b"\r\n":
                    break
                head += line
            if not line:
                return
            length = re.search(rb"(?:^|\r\n)content-length: *(\d+)", head, re.I)
            body = stream.read(int(length[1])) if length else b""
            exchange = Exchange(head, body)
            current[:] = [exchange]
            self.exchanges.append(exchange)
            server.sendall(head + b"\r\n" + body)

    def responses(self, server, client, current):
        try:
            while part := server.recv(65536):
                for exchange in current:
                    exchange.response += part[:max(0, ANSWER - len(exchange.response))]
                client.sendall(part)
        except OSError:
            pass
        self.shut(client)

    @staticmethod
    def shut(end):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for end in self.sockets:
            self.shut(end)
            end.close()

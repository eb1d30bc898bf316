"""The messages of the app-server, in the models of the SDK of Codex (PyPI `openai-codex`)."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from typing import Any

import pytest
from lab import HOME_VARIABLES, PROGRAM, User

registry: Any = pytest.importorskip("openai_codex.generated.notification_registry")
models: Any = pytest.importorskip("openai_codex.generated.v2_all")

RESULTS = {
    "thread/start": "ThreadStartResponse",
    "mcpServerStatus/list": "ListMcpServerStatusResponse",
    "mcpServer/oauth/login": "McpServerOauthLoginResponse",
    "mcpServer/tool/call": "McpServerToolCallResponse",
    "mcpServer/resource/read": "McpResourceReadResponse",
    "config/mcpServer/reload": "McpServerRefreshResponse",
}
SERVERS = ["ready", "first-sign-in", "expired-no-refresh", "server-500", "stdio-exits-3"]


class Session:
    """A client that compares each message with the model of Codex that has its method."""

    def __init__(self, user: User) -> None:
        command = [*PROGRAM, "app-server", "--config", str(user.config)]
        env = {**os.environ, **dict.fromkeys(HOME_VARIABLES, str(user.home)), "CODEX_HOME": str(user.home)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)
        self.checked: dict[str, int] = {}
        self.requests = 0

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        model = registry.NOTIFICATION_MODELS.get(message.get("method"))
        if model is not None:
            self.check(message["method"], model, message["params"])
        return message

    def check(self, method: str, model: Any, value: Any) -> None:
        model.model_validate(value)
        self.checked[method] = self.checked.get(method, 0) + 1

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self.requests += 1
        self.send({"id": self.requests, "method": method, "params": params or {}})
        while (message := self.next()).get("id") != self.requests:
            pass
        result: dict[str, Any] = message["result"]
        if method in RESULTS:
            self.check(method, getattr(models, RESULTS[method]), result)
        return result

    def until(self, method: str, **params: Any) -> None:
        while (message := self.next()).get("method") != method or not params.items() <= message["params"].items():
            pass


def test_codex_reads_every_message_that_it_has(own_user: User) -> None:
    own_user.has(*SERVERS)
    own_user.has_tool()
    session = Session(own_user)
    try:
        session.request("initialize", {"clientInfo": {"name": "test", "version": "1"}})
        session.send({"method": "initialized"})
        assert len(session.request("mcpServerStatus/list")["data"]) == len(SERVERS) + 1
        thread = session.request("thread/start")["thread"]["id"]
        session.request("mcpServerStatus/list", {"threadId": thread, "detail": "toolsAndAuthOnly"})
        session.request("mcpServer/tool/call", {"threadId": thread, "server": "own", "tool": "echo", "arguments": {"a": 2}})
        session.request("mcpServer/resource/read", {"threadId": thread, "server": "own", "uri": "own://a"})
        login = session.request("mcpServer/oauth/login", {"name": "first-sign-in"})
        # The page of the lab redirects to the app-server.
        urllib.request.urlopen(login["authorizationUrl"], timeout=60).close()
        session.until("mcpServer/oauthLogin/completed", success=True)
        session.until("mcpServer/startupStatus/updated", name="first-sign-in", status="ready")
        session.request("config/mcpServer/reload")
    finally:
        session.process.kill()
        session.process.communicate()
    expected = {*RESULTS, "mcpServer/startupStatus/updated", "mcpServer/oauthLogin/completed"}
    assert session.checked.keys() == expected
    assert session.checked["mcpServer/startupStatus/updated"] >= 2 * (len(SERVERS) + 1) + 2

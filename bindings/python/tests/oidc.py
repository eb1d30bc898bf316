"""A real authorization server with an MCP server (`tests/e2e/npm/oidc.mjs`), which `scripts/setup` installs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from lab import DEADLINE_S, key_of

INSTALLED = Path(os.environ.get("MCP_STARTUP_E2E", "/nonexistent"))

needs_oidc = pytest.mark.skipif(
    not (INSTALLED / "npm/.installed-from").exists(),
    reason="MCP_STARTUP_E2E is not the folder where scripts/setup has installed the real servers",
)


class Oidc:
    """A running authorization server. Its MCP server is at `/NAME/mcp`, for any name."""

    def __init__(self) -> None:
        node = "node.exe" if sys.platform == "win32" else "node"
        command = [INSTALLED / "bin" / node, INSTALLED / "npm/oidc.mjs"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base = self._process.stdout.readline().strip().removeprefix("listening ")

    def __enter__(self) -> Oidc:
        return self

    def __exit__(self, *_: object) -> None:
        # The server ends with its stdin.
        self._process.communicate(timeout=DEADLINE_S)

    def url(self, name: str) -> str:
        return f"{self.base}/{name}/mcp"

    def servers(self, *names: str) -> dict[str, Any]:
        return {name: {"url": self.url(name)} for name in names}

    def post(self, path: str, **parameters: Any) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.base}/test/{path}", json.dumps(parameters).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.base}/test/stats", timeout=DEADLINE_S) as response:
            stats: dict[str, Any] = json.load(response)
        return stats

    def grant(self, name: str, **parameters: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """Signs a user in. Returns the grant, and the records of a store that has it."""
        grant = self.post("grant", name=name, **parameters)
        record = {
            "server_name": name,
            "server_url": self.url(name),
            "issuer": grant["issuer"],
            "client_id": grant["clientId"],
            "access_token": grant["accessToken"],
            "expires_at": grant["expiresAtMs"],
            "refresh_token": grant["refreshToken"],
            "scopes": ["mcp:tools", "offline_access"],
        }
        return grant, {key_of(name, self.url(name)): json.dumps(record)}


def browse(authorization_url: str, *, deny: bool = False) -> str:
    """Acts as a user with a browser: opens the sign-in page, presses a button, and returns the text of the last page."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(authorization_url, timeout=DEADLINE_S) as page:
        assert "<form" in page.read().decode()
        form = page.url
    with browser.open(form, b"deny=yes" if deny else b"", timeout=DEADLINE_S) as page:
        return re.sub("<[^>]*>", "", page.read().decode())

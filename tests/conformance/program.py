#!/usr/bin/env python3
"""The program as the client that the public MCP conformance suite runs: check, sign in without a browser, check.

    program.py PROGRAM URL

The suite passes the scenario and its data in environment variables. It judges the requests. The output of the program is passed on.
Exits with the status of the last check.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

# The suite expects this URL as the client ID, if the authorization server supports client ID metadata documents.
CLIENT_METADATA_URL = "https://conformance-test.local/client-metadata.json"
# The scenarios that judge the first request, so that only the era of 2026-07-28 is possible.
MODERN_SCENARIOS = ("request-metadata", "http-standard-headers")
SIGN_IN_KINDS = ("signInRequired", "reauthenticationRequired", "insufficientScope")
MAX_SIGN_INS = 3
LIMIT_S = 20


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def redirect_of(url: str) -> str:
    """Opens a page of an authorization server that consents immediately. Returns the URL that it redirects the browser to."""
    try:
        with urllib.request.build_opener(NoRedirects).open(url, timeout=LIMIT_S) as answer:
            raise SystemExit(f"the authorization server answered {answer.status} without a redirect")
    except urllib.error.HTTPError as redirect:
        return redirect.headers["Location"]


class Program:
    def __init__(self, program: str, url: str, folder: Path):
        context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
        scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
        server = {"type": "http", "url": url}
        oauth = {"clientId": context.get("client_id"), "clientSecret": context.get("client_secret")}
        if oauth := {key: value for key, value in oauth.items() if value}:
            server["oauth"] = oauth
        if scenario in MODERN_SCENARIOS:
            server["protocolEra"] = "modern"
        configuration = folder / "servers.json"
        configuration.write_text(json.dumps({"mcpServers": {"conformance": server}}))
        self.program = program
        self.options = ["conformance", "--config", str(configuration), "--client-metadata-url", CLIENT_METADATA_URL]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def check(self) -> tuple[int, str | None]:
        """Returns the exit status, and the kind of the failure."""
        command = [self.program, "check", *self.options, "--format", "json"]
        checked = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, timeout=2 * LIMIT_S)
        print(checked.stdout.decode(), flush=True)
        failure = json.loads(checked.stdout)["servers"][0]["failure"]
        return checked.returncode, failure and failure["kind"]

    def sign_in(self) -> bool:
        """Signs in as a user does whose browser is on this machine."""
        command = [self.program, "login", *self.options, "--no-browser", "--timeout", str(LIMIT_S)]
        login = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in login.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            if address := re.fullmatch(r"\s+(https?://\S+)\n", line):
                with urllib.request.urlopen(redirect_of(address[1]), timeout=2 * LIMIT_S):
                    pass
        return login.wait(LIMIT_S) == 0


def main(program: str, url: str) -> int:
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        client = Program(program, url, Path(folder))
        for _ in range(MAX_SIGN_INS):
            status, kind = client.check()
            if kind not in SIGN_IN_KINDS:
                return status
            if not client.sign_in():
                return 1
        return client.check()[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Runs the test vectors of `tests/vectors`, as every language does.

Each test prints how many cases it ran, reports every case that failed with the actual and the expected value, and fails unless it
ran every case of the file.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import mcp_startup
from mcp_startup import (
    CredentialFacts,
    DecodeError,
    LineError,
    McpServerStatusUpdatedNotification,
    ServerKey,
    StartupTracker,
)

VECTORS = Path(__file__).parents[3] / "tests/vectors"

Case = dict[str, Any]


class Wrong(Exception):
    """A case did not have the expected result."""


def equal(what: str, got: Any, expected: Any) -> None:
    # Compare the JSON, because 1, 1.0 and True are equal in Python.
    if json.dumps(got, sort_keys=True) != json.dumps(expected, sort_keys=True):
        raise Wrong(f"  {what}\n       got {json.dumps(got)}\n  expected {json.dumps(expected)}")


def only(case: Case, *fields: str) -> None:
    unknown = set(case) - {"name", "source", *fields}
    if unknown:
        raise Wrong(f"the case itself is wrong: {unknown}")


def run(file: str, check: Callable[[Case], None], capsys: pytest.CaptureFixture[str]) -> None:
    cases: list[Case] = json.loads((VECTORS / file).read_text(encoding="utf-8"))
    ran = 0
    names = set()
    failures = []
    for case in cases:
        assert case.get("name"), f"{file}: a case has no name: {case}"
        assert case.get("source"), f"{file}: {case['name']}: no source"
        assert case["name"] not in names, f"{file}: {case['name']}: the name is not unique"
        names.add(case["name"])
        try:
            check(case)
        except Wrong as wrong:
            failures.append(f"{file}: {case['name']} ({case['source']})\n{wrong}")
        except Exception as error:
            failures.append(f"{file}: {case['name']} ({case['source']})\n  {error!r}")
        ran += 1
    # Bypass pytest's capture, so that the count is always printed.
    with capsys.disabled():
        print(f"\nvectors: {file} {ran} cases (python)", flush=True)
    assert ran == len(cases) > 0, f"{file}: not every case was run"
    assert not failures, f"{len(failures)} of {ran} cases failed\n\n" + "\n\n".join(failures)


def bytes_of(case: Case, text: str) -> bytes:
    if (text in case) == ("hex" in case):
        raise Wrong(f"the case itself is wrong: either {text} or hex")
    return case[text].encode() if text in case else bytes.fromhex(case["hex"])


def params(notification: McpServerStatusUpdatedNotification | mcp_startup.TrackedServer | None) -> Any:
    """The fields of a notification, under their JSON names."""
    if notification is None:
        return None
    environment = {"environmentId": notification.environment_id}
    if isinstance(notification, McpServerStatusUpdatedNotification):
        # Null if the line has it, and absent otherwise.
        environment = environment if "environmentId" in json.loads(notification.encode())["params"] else {}
    return {
        "threadId": notification.thread_id,
        "name": notification.name,
        **environment,
        "status": notification.status,
        "error": notification.error,
        "failureReason": notification.failure_reason,
    }


def wire(value: Any) -> Any:
    """The JSON form of a value. Fields that are `None` and an empty list of requests are left out."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {
            re.sub("_(.)", lambda match: match[1].upper(), name): wire(field)
            for name, field in fields.items()
            if field is not None and not (name in ("requests", "configuration_warnings") and field == ())
        }
    return [wire(item) for item in value] if isinstance(value, tuple) else value


def error_is(got: DecodeError, expected: Case) -> None:
    equal("field", got.field, expected.get("field"))
    # A case has no kind if the contract does not distinguish between two kinds.
    if expected.get("kind") is not None:
        equal("kind", got.kind, expected["kind"])
    if expected.get("field") and expected["field"] not in str(got):
        raise Wrong(f"  message does not name {expected['field']}: {got}")


def errors_are(got: tuple[LineError, ...], expected: list[Case]) -> None:
    equal("numbers of the invalid lines", [error.line for error in got], [error["line"] for error in expected])
    for error, expected_error in zip(got, expected):
        error_is(error.error, expected_error)


def check_decode(case: Case) -> None:
    only(case, "line", "hex", "notification", "encoded", "error")
    if ("notification" in case) == ("error" in case):
        raise Wrong("the case itself is wrong: either a notification or an error")
    line = bytes_of(case, "line")
    inputs: list[str | bytes] = [line] if "hex" in case else [line, case["line"]]
    for value in inputs:
        try:
            got = mcp_startup.decode(value)
        except DecodeError as error:
            if "error" not in case:
                raise Wrong(f"       got {error!r}\n  expected {case['notification']}") from None
            error_is(error, case["error"])
        else:
            if "error" in case:
                raise Wrong(f"       got {got}\n  expected an error {case['error']}")
            equal("notification", params(got), case["notification"])
            if "encoded" in case:
                equal("encoded", got and got.encode(), case["encoded"])


def check_encode(case: Case) -> None:
    only(case, "constructor", "server", "threadId", "error", "line")
    make = getattr(McpServerStatusUpdatedNotification, re.sub("([A-Z])", r"_\1", case["constructor"]).lower())
    error = [case["error"]] if "error" in case else []
    built = make(case["server"], *error, thread_id=case.get("threadId"))
    equal("line", built.encode(), case["line"])
    if mcp_startup.decode(case["line"]) != built:
        raise Wrong(f"  decoded again\n       got {mcp_startup.decode(case['line'])}\n  expected {built}")


def check_lines(case: Case) -> None:
    only(case, "text", "hex", "notifications", "errors")
    data = bytes_of(case, "text")
    got = mcp_startup.decode_lines(data)
    equal("notifications", [params(notification) for notification in got.notifications], case["notifications"])
    errors_are(got.errors, case["errors"])
    applied = StartupTracker().apply_lines(data)
    errors_are(applied.errors, case["errors"])
    equal("notifications that the tracker counted", applied.notifications, len(case["notifications"]))


def check_tracker(case: Case) -> None:
    only(case, "limit", "steps")
    tracker = StartupTracker(limit=case.get("limit"))
    for number, step in enumerate(case["steps"], 1):
        try:
            take_step(tracker, step)
        except Wrong as wrong:
            raise Wrong(f"  step {number}\n{wrong}") from None


def keys(servers: Iterable[ServerKey]) -> list[list[str | None]]:
    """Each key as a list of the thread, the environment and the name."""
    return [[server.thread_id, server.environment_id, server.name] for server in servers]


def take_step(tracker: StartupTracker, step: Case) -> None:
    shown = ("servers", "reauthenticationRequired")
    if "lines" in step:
        only(step, "lines", "notifications", "changed", "prompts", "errors", *shown)
        applied = tracker.apply_lines("\n".join(step["lines"]))
        equal("notifications", applied.notifications, step["notifications"])
        equal("changed", keys(applied.changed), step["changed"])
        equal("prompts", keys(applied.prompts), step["prompts"])
        equal("errors", [error.line for error in applied.errors], step["errors"])
    else:
        only(step, "remove", "removed", *shown)
        equal("removed", tracker.remove(step["remove"]), step["removed"])
    if "servers" in step:
        servers = tracker.servers()
        equal("servers", [params(server) for server in servers], step["servers"])
        for server in servers:
            found = tracker.server(server.name, thread_id=server.thread_id, environment_id=server.environment_id)
            equal("server", params(found), params(server))
    if "reauthenticationRequired" in step:
        required = keys(tracker.reauthentication_required())
        equal("reauthenticationRequired", required, step["reauthenticationRequired"])


def check_assess(case: Case) -> None:
    only(case, "facts", "nowMs", "configured", "oauthPublished", "worth", "firstRequest", "authStatus")
    worth = None
    if case["facts"] is not None:
        if set(case["facts"]) != {"accessToken", "refreshToken", "expiresAtMs"}:
            raise Wrong("the case itself is wrong: its facts")
        facts = CredentialFacts(
            access_token=case["facts"]["accessToken"],
            refresh_token=case["facts"]["refreshToken"],
            expires_at_ms=case["facts"]["expiresAtMs"],
        )
        worth = mcp_startup.assess(facts, now_ms=case["nowMs"])
    equal("worth", worth and wire(worth), case["worth"])
    # Null if the configuration contains authorization, so that the stored credential is not used.
    if case["firstRequest"] is not None:
        equal("firstRequest", mcp_startup.first_request(worth), case["firstRequest"])
    status = mcp_startup.auth_status_of(
        configured=case["configured"], stored=worth, oauth_published=case["oauthPublished"]
    )
    equal("authStatus", status, case["authStatus"])


def check_judge(case: Case) -> None:
    only(case, "evidence", "kind", "recovery", "fallback", "failureReason", "authRequiredReason", "messageContains")
    failure = mcp_startup.judge(case["evidence"])
    # The evidence is complete, both as JSON and as objects.
    equal("evidence", wire(failure.evidence), case["evidence"])
    if mcp_startup.judge(failure.evidence) != failure:
        raise Wrong(f"  judged as an object\n       got {mcp_startup.judge(failure.evidence)}\n  expected {failure}")
    # A case leaves out the kind and the recovery if the design specifies only the reason.
    if "kind" in case:
        equal("kind", failure.kind, case["kind"])
        equal("recovery", failure.recovery, case["recovery"])
        equal("fallback", failure.fallback, case.get("fallback"))
    notification = McpServerStatusUpdatedNotification.from_failure("linear", failure)
    equal("failureReason", notification.failure_reason, case["failureReason"])
    equal("error", notification.error, failure.message)
    if "authRequiredReason" in case:
        equal("authRequiredReason", mcp_startup.auth_required_reason(failure), case["authRequiredReason"])
    message = failure.message
    if not 0 < len(message) <= 300:
        raise Wrong(f"  message of {len(message)} characters: {message!r}")
    if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in message):
        raise Wrong(f"  control characters in the message: {message!r}")
    for part in case["messageContains"]:
        if part not in message:
            raise Wrong(f"  message without {part!r}: {message!r}")


@pytest.mark.parametrize(
    ("file", "check"),
    [
        ("decode.json", check_decode),
        ("encode.json", check_encode),
        ("lines.json", check_lines),
        ("tracker.json", check_tracker),
        ("assess.json", check_assess),
        ("judge.json", check_judge),
    ],
    ids=["decode", "encode", "lines", "tracker", "assess", "judge"],
)
def test_vectors(file: str, check: Callable[[Case], None], capsys: pytest.CaptureFixture[str]) -> None:
    run(file, check, capsys)


def test_every_file_of_vectors_is_run() -> None:
    marks = test_vectors.pytestmark  # type: ignore[attr-defined]
    run_here = {file for file, _ in marks[0].args[1]}
    assert run_here == {path.name for path in VECTORS.iterdir()}

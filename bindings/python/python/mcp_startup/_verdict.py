"""The verdict, for a host that starts its servers with another SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from . import _native
from ._errors import unwrap
from ._generated import CredentialFacts, CredentialWorth, Evidence, FirstRequest, McpAuthStatus, StartupFailure
from ._wire import from_wire, to_wire


def judge(evidence: Evidence | Mapping[str, Any]) -> StartupFailure:
    """Judges a failed start by its evidence, an `Evidence` or the same as JSON has it. The least evidence gives `OTHER`.

    Raises `McpStartupError` where it is no evidence.
    """
    return from_wire(StartupFailure, unwrap(_native.judge(json.dumps(to_wire(evidence)))))


def assess(facts: CredentialFacts, *, now_ms: int | None = None) -> CredentialWorth:
    """Says what a stored credential is worth at `now_ms` (ms since the Unix epoch); now, unless told otherwise."""
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return from_wire(CredentialWorth, unwrap(_native.assess(json.dumps(to_wire(facts)), now_ms)))


def first_request(worth: CredentialWorth | None) -> FirstRequest:
    """What to send first with a credential of this worth; `None`: nothing is stored."""
    return FirstRequest(unwrap(_native.first_request(_text(worth))))


def auth_status_of(
    *, configured: bool, stored: CredentialWorth | None, oauth_published: bool | None
) -> McpAuthStatus | None:
    """Says how a client is authorized at a server, from what is known of it.

    `configured`: the configuration carries authorization. `oauth_published`: whether the server publishes OAuth, `False` for
    stdio, `None` where nobody has asked it: then the answer may be `None`.
    """
    status = unwrap(_native.auth_status_of(configured, _text(stored), oauth_published))
    return None if status is None else McpAuthStatus(status)


def evidence_of(failure: object) -> str:
    """The evidence of a verdict, as JSON."""
    if not isinstance(failure, StartupFailure):
        raise TypeError(f"a StartupFailure is wanted, not {type(failure).__name__}")
    return json.dumps(to_wire(failure.evidence))


def _text(worth: CredentialWorth | None) -> str | None:
    return None if worth is None else json.dumps(to_wire(worth))

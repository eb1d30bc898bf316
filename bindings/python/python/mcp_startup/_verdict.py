"""The verdict functions, for hosts that start servers with another SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from . import _native
from ._arguments import check_arguments, refused, to_json_value
from ._errors import unwrap
from ._generated import (
    CredentialFacts,
    CredentialWorth,
    Evidence,
    FirstRequest,
    McpAuthRequiredReason,
    McpAuthStatus,
    StartupFailure,
)
from ._wire import from_wire, to_wire


def judge(evidence: Evidence | Mapping[str, Any]) -> StartupFailure:
    """Classifies a failed start by its evidence.

    Args:
        evidence: An `Evidence`, or a mapping with the field names of its JSON form. Every field is optional; empty evidence results
            in the kind `OTHER`.

    Raises:
        McpStartupError: If the mapping is not valid evidence.
    """
    check_arguments(judge, locals())
    wire = to_json_value("evidence", to_wire(evidence))
    return from_wire(StartupFailure, unwrap(_native.judge(json.dumps(wire))))


def auth_required_reason(failure: StartupFailure) -> McpAuthRequiredReason | None:
    """Returns why the server requires authentication, in the words of the Agent Host Protocol.

    Returns:
        The reason, which depends only on the recovery. `None` if signing in is not the recovery: the server's status in that
        protocol is then `error`.
    """
    check_arguments(auth_required_reason, locals())
    reason = unwrap(_native.auth_required_reason(failure.recovery.value))
    return None if reason is None else McpAuthRequiredReason(reason)


def assess(facts: CredentialFacts, *, now_ms: int | None = None) -> CredentialWorth:
    """Returns whether a stored credential can be used or refreshed.

    Args:
        facts: The relevant facts of the stored record.
        now_ms: The time to evaluate it at, in milliseconds since the Unix epoch. By default, the current time.
    """
    check_arguments(assess, locals())
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return from_wire(CredentialWorth, unwrap(_native.assess(_text("facts", facts), now_ms)))


def first_request(worth: CredentialWorth | None) -> FirstRequest:
    """Returns what to send first with a credential of this worth. `None` means that no credential is stored."""
    check_arguments(first_request, locals())
    return FirstRequest(unwrap(_native.first_request(None if worth is None else _text("worth", worth))))


def auth_status_of(
    *, configured: bool, stored: CredentialWorth | None, oauth_published: bool | None
) -> McpAuthStatus | None:
    """Returns how a client is authorized at a server.

    Args:
        configured: Whether the configuration contains authorization.
        stored: The credential that is stored for exactly this server, or `None`.
        oauth_published: Whether the server publishes OAuth metadata: `False` for stdio, `None` if it is unknown.

    Returns:
        The status, or `None` if it depends on whether the server publishes OAuth metadata.
    """
    check_arguments(auth_status_of, locals())
    worth = None if stored is None else _text("stored", stored)
    status = unwrap(_native.auth_status_of(configured, worth, oauth_published))
    return None if status is None else McpAuthStatus(status)


def evidence_of(failure: object) -> str:
    """Returns the evidence of a verdict as JSON."""
    if not isinstance(failure, StartupFailure):
        raise refused("failure", "a `StartupFailure`", failure)
    return _text("failure.evidence", failure.evidence)


def _text(name: str, value: object) -> str:
    return json.dumps(to_json_value(name, to_wire(value)))
